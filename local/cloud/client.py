"""A small client of the Lambda Runtime API, for machines that awslambdaric does not install on. Run as a script."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
import urllib.request
from types import SimpleNamespace

_API = f"http://{os.environ.get('AWS_LAMBDA_RUNTIME_API')}/2018-06-01/runtime"


def _post(path: str, body: object) -> None:
    text = json.dumps(body, ensure_ascii=False).encode()
    urllib.request.urlopen(urllib.request.Request(f"{_API}/{path}", text)).close()  # noqa: S310  # loopback


def _document(error: BaseException) -> dict[str, object]:
    traceback.print_exception(error)
    stack = traceback.format_tb(error.__traceback__)
    return {"errorType": type(error).__name__, "errorMessage": str(error), "stackTrace": stack}


def main(handler_name: str) -> None:
    """Serve events with the handler `module.function` until the cloud ends the process."""
    module_name, _, name = handler_name.rpartition(".")
    try:
        handler = getattr(importlib.import_module(module_name), name)
    except Exception as error:  # noqa: BLE001  # whatever a module raises is reported
        _post("init/error", _document(error))
        sys.exit(1)
    while True:
        with urllib.request.urlopen(f"{_API}/invocation/next") as response:  # noqa: S310  # loopback
            headers, event = response.headers, json.load(response)
        request_id, deadline = headers["Lambda-Runtime-Aws-Request-Id"], int(headers["Lambda-Runtime-Deadline-Ms"])
        context = SimpleNamespace(
            aws_request_id=request_id,
            function_name=os.environ["AWS_LAMBDA_FUNCTION_NAME"],
            function_version=os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
            memory_limit_in_mb=os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
            log_group_name=os.environ["AWS_LAMBDA_LOG_GROUP_NAME"],
            log_stream_name=os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
            invoked_function_arn=headers["Lambda-Runtime-Invoked-Function-Arn"],
            get_remaining_time_in_millis=lambda deadline=deadline: max(0, deadline - int(time.time() * 1000)),
        )
        try:
            _post(f"invocation/{request_id}/response", handler(event, context))
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is reported
            _post(f"invocation/{request_id}/error", _document(error))


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # each line belongs to the event at hand
    sys.path.pop(0)  # this folder: its modules are none of the function's
    main(sys.argv[1])
