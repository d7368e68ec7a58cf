"""Hands events to the local cloud where moto would run a function itself, or not at all.

Importing this module changes moto for the whole process. The running cloud sets `handlers`: there is one cloud at a
time, because moto's stores belong to the process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import moto.s3.notifications
from moto.awslambda.models import LambdaBackend
from moto.core.exceptions import JsonRESTError

from local.cloud.errors import FunctionError, PayloadTooLarge


@dataclass(slots=True)
class Handlers:
    """The running cloud's callbacks for events.

    `invoke(function_name, payload, is_event)` returns the response, which is empty for a queued event; it raises
    FunctionError and PayloadTooLarge. `deliver(function_arn, event)` queues an S3 notification.
    """

    has_function: Callable[[str], bool]
    invoke: Callable[[str, bytes, bool], bytes]
    deliver: Callable[[str, dict[str, Any]], None]


handlers: Handlers | None = None


class FunctionNotFound(JsonRESTError):
    """Lambda's error for an unknown function."""

    code = 404


class RequestTooLarge(JsonRESTError):
    """Lambda's error for an event over its limit."""

    code = 413


def _invoke(
    _backend: LambdaBackend,
    function_name: str,
    _qualifier: str | None,
    body: str | bytes | None,
    headers: Any,  # werkzeug's, whose names ignore case
    response_headers: dict[str, str],
) -> bytes:
    """Replace moto's invocation, which needs Docker and does not support asynchronous events."""
    name = function_name.rpartition(":function:")[2].partition(":")[0]
    payload = (body.encode() if isinstance(body, str) else body) or b"{}"
    kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
    try:
        json.loads(payload)
    except ValueError as error:
        raise JsonRESTError(
            "InvalidRequestContentException", f"Could not parse request body into json: {error}"
        ) from error
    if handlers is None or not handlers.has_function(name):
        raise FunctionNotFound("ResourceNotFoundException", f"Function not found: {name}")
    if kind == "DryRun":
        return b""
    try:
        return handlers.invoke(name, payload, kind == "Event")
    except FunctionError as error:
        response_headers["x-amz-function-error"] = "Unhandled"
        return json.dumps(error.document).encode()
    except PayloadTooLarge as error:
        raise RequestTooLarge("RequestTooLargeException", str(error)) from error


def _s3_event(event_name: str, bucket: Any, key: Any, notification_id: str) -> dict[str, Any]:  # moto's
    """Return S3's event with the fields that moto omits: user, source address, version, sequencer."""
    event: dict[str, Any] = _moto_s3_event(event_name, bucket, key, notification_id)
    record = event["Records"][0]
    record["s3"]["object"]["key"] = quote_plus(key.name, safe="/")  # moto would escape the slashes too
    record["userIdentity"] = {"principalId": "AWS:AROALOCAL"}
    record["requestParameters"] = {"sourceIPAddress": "127.0.0.1"}
    record["responseElements"] = {"x-amz-request-id": f"{time.time_ns():016X}", "x-amz-id-2": "local"}
    record["s3"]["bucket"]["ownerIdentity"] = {"principalId": "LOCAL"}
    record["s3"]["object"]["sequencer"] = f"{time.time_ns():018X}"
    if bucket.is_versioned:
        record["s3"]["object"]["versionId"] = key.version_id
    return event


def _deliver(_account: str, event: dict[str, Any], function_arn: str, _region: str) -> None:
    """Replace moto's delivery, which needs Docker and swallows every error."""
    if handlers is not None:
        handlers.deliver(function_arn, event)


_moto_s3_event = moto.s3.notifications._get_s3_event

setattr(LambdaBackend, "invoke", _invoke)  # noqa: B010  # mypy forbids to assign a method
setattr(moto.s3.notifications, "_get_s3_event", _s3_event)  # noqa: B010  # as above
setattr(moto.s3.notifications, "_invoke_awslambda", _deliver)  # noqa: B010  # as above
