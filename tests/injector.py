"""The one way to break things over HTTP: rules that say which calls fail, and what happens to them instead.

`rules_of` puts an injector into a stand-in of `local/`. The wire of `tests/faults/` is one too.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from werkzeug import Response
from werkzeug.datastructures import Headers

from local.shop.site import Site
from local.slack import Slack

Edge = Literal["aws", "slack", "classifier", "site"]
Pairs = Sequence[tuple[str, str]]

_S3_OPERATIONS = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its path with the query, its body and, on the wire, the logical id of the function that makes it."""

    path: str
    body: bytes = b""
    edge: Edge = "site"
    method: str = "GET"
    headers: Headers = field(default_factory=Headers)
    function: str = ""

    @property
    def operation(self) -> str:
        """What is called, the same every day and for every item: `dynamodb:PutItem`, `site: GET /robots.txt`."""
        path = unquote(urlsplit(self.path).path)
        if self.edge == "slack":
            return "slack:response_url" if path.startswith("/actions/") else f"slack:{path.removeprefix('/api/')}"
        if self.edge != "aws":
            return f"{self.edge}: {self.method} {_general(path)}"
        if target := self.headers.get("X-Amz-Target"):
            return f"{self._service}:{target.rpartition('.')[2]}"
        if self._service == "lambda":
            return "lambda:Invoke"
        if "list-type=2" in self.path:
            return "s3:ListObjectsV2"
        return f"s3:{_S3_OPERATIONS.get(self.method, self.method)} {_general(path.split('/', 2)[2])}"

    @property
    def _service(self) -> str:
        """The AWS service that the request was signed for."""
        found = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", self.headers.get("Authorization", ""))
        return found[1] if found else "unsigned"


Fits = Callable[[Call], bool]
Forward = Callable[[], Response]
"""Lets the called server do its work, and returns its answer."""

Act = Callable[[Call, Forward], Response]
"""What happens to a call. `ConnectionError` cuts the connection without an answer."""


@dataclass(slots=True)
class Rule:
    """A fault: what happens to the first `times` calls that fit; `met` counts them."""

    fits: Fits
    act: Act
    times: float = math.inf
    met: int = 0


class Injector:
    """Applies the first of its `rules` that fits a call; a call that none fits goes through."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self._lock = threading.Lock()

    def __call__(self, call: Call, forward: Forward) -> Response:
        """Return the answer to a call. Raises `ConnectionError` where the connection is to be cut."""
        with self._lock:
            rule = next((rule for rule in self.rules if rule.met < rule.times and rule.fits(call)), None)
            if rule:
                rule.met += 1
        return rule.act(call, forward) if rule else forward()


def rules_of(stand_in: Site | Slack) -> list[Rule]:
    """Return the rules that a stand-in's calls meet, to add to and to clear."""
    if not isinstance(stand_in.intercept, _AtStandIn):
        stand_in.intercept = _AtStandIn()
    return stand_in.intercept.rules


class _AtStandIn(Injector):
    def __call__(self, path: str, body: bytes, forward: Forward) -> Response:  # type: ignore[override]  # what a stand-in gives
        return super().__call__(Call(path, body), forward)


# which calls


def at(place: str, about: str = "") -> Fits:
    """Return a test for calls whose path holds `place` and whose body holds `about`."""
    return lambda call: place in call.path and about.encode() in call.body


def calls(function: str, operation: str) -> Fits:
    """Return a test for calls of a function (`crawler`) whose operation begins with the words given."""
    logical_id = f"{function.capitalize()}Function"
    return lambda call: call.function == logical_id and call.operation.startswith(operation)


def nth_call(function: str, operation: str, nth: int) -> Fits:
    """Return a test for the `nth` call of one operation by a function, by logical id; it is asked about a call once."""
    met = itertools.count(1)
    return lambda call: call.function == function and call.operation == operation and next(met) == nth


# what happens to them


def answered(status: int, body: bytes | Iterable[bytes] = b"", headers: Pairs = ()) -> Act:
    """Answer in the server's place; the call never reaches it."""
    return lambda _call, _forward: Response(body, status, headers)


def json_answered(status: int, value: object, headers: Pairs = ()) -> Act:
    """Answer with JSON in the server's place."""
    return answered(status, json.dumps(value).encode(), [("Content-Type", "application/json"), *headers])


def after_its_work(act: Act) -> Act:
    """Let the server do its work first; only the caller does not learn of it."""

    def done(call: Call, forward: Forward) -> Response:
        forward()
        return act(call, forward)

    return done


def broken(_call: Call, _forward: Forward) -> Response:
    """Break the connection before the call reaches the server."""
    raise ConnectionAbortedError


answer_lost = after_its_work(broken)


def late(seconds: float) -> Act:
    """Let the server do its work at once, and its answer come after `seconds`."""

    def act(_call: Call, forward: Forward) -> Response:
        answer = forward()
        time.sleep(seconds)
        return answer

    return act


def slow(seconds: float) -> Act:
    """Let the call reach its server after `seconds`."""

    def act(_call: Call, forward: Forward) -> Response:
        time.sleep(seconds)
        return forward()

    return act


def altered(status: int | None = None, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Act:
    """Let the server do its work, and replace whatever is given of its answer."""

    def act(_call: Call, forward: Forward) -> Response:
        answer = forward()
        answer.status_code = status or answer.status_code
        if body is not None:
            answer.data = body
        answer.headers.update(headers or {})
        return answer

    return act


def rewritten(rewrite: Callable[[bytes], bytes]) -> Act:
    """Let the server do its work, and change the bytes of its answer."""

    def act(_call: Call, forward: Forward) -> Response:
        answer = forward()
        answer.data = rewrite(answer.data)
        return answer

    return act


def changed(change: Callable[[Any], Any]) -> Act:
    """Let the server do its work, and change the JSON of its answer."""
    return rewritten(lambda body: json.dumps(change(json.loads(body))).encode())


def killed_before(kill: Callable[[str], None]) -> Act:
    """Kill the caller, by its function's logical id, before its call reaches the server."""

    def act(call: Call, _forward: Forward) -> Response:
        kill(call.function)
        raise ConnectionAbortedError

    return act


def dynamodb_error(name: str) -> Act:
    """Answer with one of DynamoDB's errors."""
    kind = f"com.amazonaws.dynamodb.v20120810#{name}"
    return json_answered(400, {"__type": kind, "message": "injected"}, [("x-amzn-RequestId", "injected")])


def s3_error(status: int, code: str) -> Act:
    """Answer with one of S3's errors."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>injected</Message></Error>'
    return answered(status, body.encode(), [("Content-Type", "application/xml")])


def slack_error(code: str, status: int = 200, details: Sequence[str] = ()) -> Act:
    """Answer with one of Slack's errors."""
    told = {"errors": details, "response_metadata": {"messages": [f"[ERROR] {detail}" for detail in details]}}
    return json_answered(status, {"ok": False, "error": code, **(told if details else {})})


def slack_rule(
    method: str,
    times: float = 1,
    *,
    about: str = "",
    after_posting: bool = False,
    status: int = 200,
    error: str | None = None,
    details: Sequence[str] = (),
    drop: bool = False,
    retry_after: int = 1,
) -> Rule:
    """Return what happens to the next `times` calls of a method, or of a `response_url`, at the stand-in of Slack.

    The connection is cut with `drop`. Otherwise the answer is an HTTP `status` and one of Slack's errors.
    """
    if drop:
        act: Act = broken
    elif status == 429:
        act = json_answered(429, {"ok": False, "error": "ratelimited"}, [("Retry-After", str(retry_after))])
    else:
        act = slack_error(error or "internal_error", status, details)
    place = "/actions/" if method == "response_url" else f"/api/{method}"
    return Rule(at(place, about), after_its_work(act) if after_posting else act, times)


def _general(path: str) -> str:
    """Return a path without what differs from item to item and from day to day."""
    path = re.sub(r"RJ\d+", "…", path)
    path = re.sub(r"\d{4}/\d\d/\d\d/\d{6}Z", "…", path)
    return re.sub(r"/(works|fsr)/.*", r"/\1/…", path)
