"""The wire: every call that a function's process makes passes here, is noted, and can be made to go wrong.

A function's process reaches AWS, Slack, the classifier and the shop at addresses of its environment. Here each function
gets addresses of its own, so that a call tells whose it is; what is asked goes on to the real server of the machine.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from typing import get_args
from urllib.parse import urlsplit

from injector import Call, Edge, Injector
from werkzeug import Response
from werkzeug.datastructures import Headers

from web.guard import Guarded

EDGES: tuple[Edge, ...] = get_args(Edge)

_VARIABLES: dict[Edge, tuple[str, str]] = {
    "aws": ("AWS_ENDPOINT_URL", ""),
    "slack": ("SLACK_API_URL", "/api/"),
    "classifier": ("PREDICT_URL", "/predict"),
    "site": ("SITE_ADDRESS", ""),
}
"""The environment variable that tells a function where an edge is, and the path in it."""

_ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "expect"})
ANSWER_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Noted:
    """A call that was made, as `Call` has it. `applied` is the server's status, None if it never got the call."""

    function: str
    operation: str
    path: str
    applied: int | None


class Wire(Injector):
    """The addresses that functions call, what they called, and the rules that calls meet.

    `targets` are the real servers' origins and are set once these are up.
    """

    def __init__(self, functions: Sequence[str]) -> None:
        super().__init__()
        self.functions = functions
        self.targets: dict[Edge, str] = {}
        self.log: list[Noted] = []
        self._servers: dict[tuple[str, Edge], _Server] = {}

    def __enter__(self) -> Wire:
        for function in self.functions:
            for edge in EDGES:
                self._servers[function, edge] = _Server(self, function, edge)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers.values():
            server.shutdown()
            server.server_close()

    @property
    def ports(self) -> set[int]:
        """The ports at which it stands for the machine's servers."""
        return {server.server_port for server in self._servers.values()}

    def address(self, function: str, edge: Edge) -> str:
        """Return the origin at which a function, by logical id, finds an edge."""
        return f"http://127.0.0.1:{self._servers[function, edge].server_port}"

    def environment(self, function: str) -> dict[str, str]:
        """Return the environment variables that lead a function over the wire."""
        return {name: self.address(function, edge) + path for edge, (name, path) in _VARIABLES.items()}

    def answer(self, call: Call) -> Response:
        """Return what a call is answered. Raises `ConnectionError` where the connection is to be cut."""
        applied: list[int] = []

        def forward() -> Response:
            answer = _forwarded(call, self.targets[call.edge])
            applied.append(answer.status_code)
            return answer

        try:
            return self(call, forward)
        finally:
            self.log.append(Noted(call.function, call.operation, call.path, applied[-1] if applied else None))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a killed process leaves its connections behind

    def __init__(self, wire: Wire, function: str, edge: Edge) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.wire, self.function, self.edge = wire, function, edge
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Keep quiet: killed processes and time-outs break connections."""


class _Request(Guarded):
    server: _Server
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body in one segment: else Nagle's algorithm costs 40 ms a call

    def handle_expect_100(self) -> bool:
        """Answer `Expect: 100-continue` at once: boto3 waits a second for it before it sends an object."""
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def do_GET(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = Call(self.path, body, server.edge, self.command, Headers(self.headers.items()), server.function)
        try:
            self._send(server.wire.answer(call))
        except ConnectionError:  # the connection is to be cut, or the caller has given up or is dead
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, answer: Response) -> None:
        self.send_response_only(answer.status_code)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.is_streamed:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        for part in answer.iter_encoded():
            self.wfile.write(part)
            if answer.is_streamed:
                self.wfile.flush()

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # the base class's names

    def log_message(self, *_: object) -> None:
        """Print nothing: `Wire.log` keeps the calls."""


def _forwarded(call: Call, target: str) -> Response:
    origin = urlsplit(target)
    connection = http.client.HTTPConnection(origin.hostname or "", origin.port, timeout=ANSWER_SECONDS)
    try:
        connection.putrequest(call.method, call.path, skip_host=True, skip_accept_encoding=True)
        for name, value in call.headers.items():
            if name.lower() == "host":
                # AWS's signatures cover the host that was asked; the stand-ins answer to their own name alone
                value = value if call.edge in {"aws", "classifier"} else origin.netloc  # noqa: PLW2901
            if name.lower() not in _ONE_HOP:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(call.body)))
        connection.endheaders(call.body)
        response = connection.getresponse()
        body = response.read()
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in _ONE_HOP]
        return Response(body, response.status, headers)
    except http.client.RemoteDisconnected:
        return Response(status=502)
    finally:
        connection.close()
