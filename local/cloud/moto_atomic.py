"""Serializes requests to services with conditional writes: moto checks the condition and writes in two steps.

Importing this module changes moto for the whole process, its own server and `mock_aws` included.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from moto.dynamodb.responses import DynamoHandler
from moto.s3.responses import S3Response
from moto.ssm.responses import SimpleSystemManagerResponse

one_at_a_time = threading.RLock()
"""Held while a request is served. Its holder must not wait for another request."""


def _alone(serve: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(serve)
    def serve_alone(*arguments: Any, **options: Any) -> Any:  # moto's own types
        with one_at_a_time:
            return serve(*arguments, **options)

    return serve_alone


for _service, _entry in (
    (DynamoHandler, "call_action"),
    (SimpleSystemManagerResponse, "call_action"),
    (S3Response, "bucket_response"),
    (S3Response, "key_response"),
):
    setattr(_service, _entry, _alone(getattr(_service, _entry)))
