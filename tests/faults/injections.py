"""What can happen to a call on the wire, and which calls it happens to."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from faults.proxy import Act, Call, Forward, ProxyResponse

Fits = Callable[[Call], bool]


def calls(function: str, operation: str) -> Fits:
    """Return a test for calls of a function (`crawler`) whose operation begins with the words given."""
    logical_id = f"{function.capitalize()}Function"
    return lambda call: call.function == logical_id and call.operation.startswith(operation)


def nth_call(function: str, operation: str, nth: int) -> Fits:
    """Return a test for the `nth` call of one operation by a function, by logical id; it is asked about a call once."""
    met = itertools.count(1)
    return lambda call: call.function == function and call.operation == operation and next(met) == nth


def answered(status: int, body: bytes | Iterable[bytes] = b"", headers: Sequence[tuple[str, str]] = ()) -> Act:
    """Answer in the server's place; the call never reaches it."""
    return lambda _call, _forward: ProxyResponse(status, headers, body)


def json_answered(status: int, value: object, headers: Sequence[tuple[str, str]] = ()) -> Act:
    """Answer with JSON in the server's place."""
    return answered(status, json.dumps(value).encode(), [("Content-Type", "application/json"), *headers])


def broken(_call: Call, _forward: Forward) -> ProxyResponse | None:
    """Break the connection before the call reaches the server."""
    return None


def answer_lost(_call: Call, forward: Forward) -> ProxyResponse | None:
    """Let the server do its work, and break the connection before its answer comes."""
    forward()
    return None


def late(seconds: float) -> Act:
    """Let the server do its work at once, and its answer come after `seconds`."""

    def act(_call: Call, forward: Forward) -> ProxyResponse | None:
        answer = forward()
        time.sleep(seconds)
        return answer

    return act


def slow(seconds: float) -> Act:
    """Let the call reach its server after `seconds`."""

    def act(_call: Call, forward: Forward) -> ProxyResponse | None:
        time.sleep(seconds)
        return forward()

    return act


def changed(change: Callable[[Any], Any]) -> Act:
    """Let the server do its work, and change the JSON of its answer."""

    def act(_call: Call, forward: Forward) -> ProxyResponse | None:
        answer = forward()
        assert isinstance(answer.body, bytes)  # servers of the machine answer whole
        return replace(answer, body=json.dumps(change(json.loads(answer.body))).encode())

    return act


def rewritten(rewrite: Callable[[bytes], bytes]) -> Act:
    """Let the server do its work, and change the bytes of its answer."""

    def act(_call: Call, forward: Forward) -> ProxyResponse | None:
        answer = forward()
        assert isinstance(answer.body, bytes)  # as above
        return replace(answer, body=rewrite(answer.body))

    return act


def killed_before(kill: Callable[[str], None]) -> Act:
    """Kill the caller, by its function's logical id, before its call reaches the server."""

    def act(call: Call, _forward: Forward) -> ProxyResponse | None:
        kill(call.function)
        return None

    return act


def killed_after(kill: Callable[[str], None]) -> Act:
    """Let the server do its work and kill the caller before it has the answer."""

    def act(call: Call, forward: Forward) -> ProxyResponse | None:
        forward()
        kill(call.function)
        return None

    return act


def dynamodb_error(name: str) -> Act:
    """Answer with one of DynamoDB's errors."""
    kind = f"com.amazonaws.dynamodb.v20120810#{name}"
    return json_answered(400, {"__type": kind, "message": "injected"}, [("x-amzn-RequestId", "injected")])


def s3_error(status: int, code: str) -> Act:
    """Answer with one of S3's errors."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>injected</Message></Error>'
    return answered(status, body.encode(), [("Content-Type", "application/xml")])


def slack_error(code: str, status: int = 200) -> Act:
    """Answer with one of Slack's errors."""
    return json_answered(status, {"ok": False, "error": code})
