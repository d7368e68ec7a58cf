"""One cold start: imports a handler, gives it the event on standard input, prints the seconds of processor time."""

import importlib
import json
import os
import resource
import sys
from types import SimpleNamespace

module, _, name = sys.argv[1].rpartition(".")
handler = getattr(importlib.import_module(module), name)
context = SimpleNamespace(
    function_name=os.environ["AWS_LAMBDA_FUNCTION_NAME"],
    memory_limit_in_mb=int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]),
    invoked_function_arn="arn:aws:lambda:ap-northeast-1:123456789012:function:cold",
    aws_request_id="00000000-0000-4000-8000-000000000000",
)
answer = handler(json.load(sys.stdin), context)
if answer["statusCode"] != 200:  # HTTP's OK
    sys.exit(f"answered {answer}")
used = resource.getrusage(resource.RUSAGE_SELF)
sys.stdout.write(f"\n{used.ru_utime + used.ru_stime}\n")
