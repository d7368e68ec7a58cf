"""The Lambda Runtime API, from which a function's process gets events and to which it sends responses.

Simulated: the calls next, response, error and init error, the deadline, the 6 MB limit of responses. Not simulated:
response streaming, extensions, SnapStart's calls.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any, Protocol

from local.cloud.effort import NO_EFFORT, Effort
from web.guard import Guarded, new_token

MAX_ANSWER_BYTES = 6_291_556
"""The largest response that Lambda accepts from a function."""

_API = "/2018-06-01/runtime/"


@dataclass(slots=True)
class Outcome:
    """The result of one event: the response as JSON text, or an error document. `log` holds the printed lines."""

    response: bytes | None = None
    error: dict[str, Any] | None = None
    log: list[str] = field(default_factory=list)
    seconds: float = 0.0
    effort: Effort = NO_EFFORT


@dataclass(slots=True)
class Event:
    """One event being processed: `seconds` is its time limit, `taken_at` the monotonic time the process took it."""

    request_id: str
    payload: bytes
    function_arn: str
    seconds: float
    taken_at: float | None = None
    outcome: Outcome | None = None


class Environment(Protocol):
    """The execution environment that the API serves."""

    def next_event(self) -> Event | None:
        """Wait for the next event and return it; None if the process ended."""

    def answer(self, request_id: str, outcome: Outcome) -> bool:
        """Store the process's response; return False if the event is not its current one."""

    def fail_to_start(self, error: dict[str, Any]) -> None:
        """Store the process's initialization error."""


class RuntimeApi(ThreadingHTTPServer):
    """The Runtime API of one environment, on a free port of 127.0.0.1 until it is shut down.

    Clients need `address`, the value of AWS_LAMBDA_RUNTIME_API: a token is the first part of every path.
    """

    daemon_threads = True
    block_on_close = False  # a killed process may leave a request waiting

    def __init__(self, environment: Environment) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeRequest)
        self.environment = environment
        self.root = f"/{new_token()}"
        self.address = f"127.0.0.1:{self.server_port}{self.root}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Print nothing: a killed process breaks its connection."""


class _RuntimeRequest(Guarded):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body in one segment: else Nagle's algorithm costs 40 ms a call

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        if self._call() != "invocation/next":
            self._send(404, b"{}")
            return
        event = self.server.environment.next_event()
        if event is None:
            self._send(500, b"{}")
            return
        self._send(
            200,
            event.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": event.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + event.seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self._body()
        match self._call().split("/"):
            case ["init", "error"]:
                self.server.environment.fail_to_start(_error_document(body))
                self._send(202, b'{"status":"OK"}')
            case ["invocation", request_id, "error"]:
                self._answer(request_id, Outcome(error=_error_document(body)))
            case ["invocation", request_id, "response"] if len(body) > MAX_ANSWER_BYTES:
                message = f"Response payload size exceeded maximum allowed payload size ({MAX_ANSWER_BYTES} bytes)."
                error = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}
                self._answer(request_id, Outcome(error=error), 413)
            case ["invocation", request_id, "response"]:
                self._answer(request_id, Outcome(response=body))
            case _:
                self._send(404, b"{}")

    def _call(self) -> str:
        """Return the name of the call; empty if the path lacks the token."""
        root = f"{self.server.root}{_API}"
        is_known = secrets.compare_digest(self.path[: len(root)].encode(), root.encode())
        return self.path[len(root) :] if is_known else ""

    def _answer(self, request_id: str, outcome: Outcome, status: int = 202) -> None:
        is_known = self.server.environment.answer(request_id, outcome)
        self._send(status if is_known else 400, b'{"status":"OK"}' if is_known else b"{}")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _error_document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"errorType": "Unknown", "errorMessage": body.decode("utf-8")}
