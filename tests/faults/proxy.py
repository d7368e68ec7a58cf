"""The wire: every call that a function's process makes passes here, is noted, and can be made to go wrong.

A function's process reaches AWS, Slack, the classifier and the shop at addresses of its environment. Here each function
gets addresses of its own, so that a call tells whose it is; what is asked goes on to the real server of the machine.
"""

from __future__ import annotations

import http.client
import math
import re
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import ThreadingHTTPServer
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

from web.guard import Guarded

Edge = Literal["aws", "slack", "classifier", "site"]

EDGES: tuple[Edge, ...] = get_args(Edge)

_VARIABLES: dict[Edge, tuple[str, str]] = {
    "aws": ("AWS_ENDPOINT_URL", ""),
    "slack": ("SLACK_API_URL", "/api/"),
    "classifier": ("PREDICT_URL", "/predict"),
    "site": ("SITE_ADDRESS", ""),
}
"""The environment variable that tells a function where an edge is, and the path in it."""

_S3_OPERATIONS = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
_ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "expect"})
ANSWER_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function, by logical id."""

    function: str
    edge: Edge
    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def name(self) -> str:
        """What is called, in words that are the same on every day and for every item."""
        return f"{self.function.removesuffix('Function').lower()} {self.operation}"

    @property
    def operation(self) -> str:
        """What is called, without who calls: `dynamodb:PutItem`, `s3:GetObject crawls/….json`, `GET /robots.txt`."""
        path = unquote(urlsplit(self.path).path)
        if self.edge == "slack":
            return "slack:response_url" if path.startswith("/actions/") else f"slack:{path.removeprefix('/api/')}"
        if self.edge != "aws":
            return f"{self.edge}: {self.method} {_general(path)}"
        if target := self.headers.get("X-Amz-Target"):
            return f"{_service(self.headers)}:{target.rpartition('.')[2]}"
        if _service(self.headers) == "lambda":
            return "lambda:Invoke"
        if "list-type=2" in self.path:
            return "s3:ListObjectsV2"
        return f"s3:{_S3_OPERATIONS.get(self.method, self.method)} {_general(path.split('/', 2)[2])}"


@dataclass(frozen=True, slots=True)
class ProxyResponse:
    """What goes back to the function; a body in parts is sent as it comes, with no length told."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Iterable[bytes] = b""


Forward = Callable[[], ProxyResponse]
"""Lets the server that was called do its work, and returns its answer."""

Act = Callable[[Call, Forward], ProxyResponse | None]
"""What happens to a call; None breaks the connection without an answer."""


@dataclass(slots=True)
class Rule:
    """Something that happens to the first `times` calls that fit; `met` has their names."""

    fits: Callable[[Call], bool]
    act: Act
    times: float = math.inf
    met: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Noted:
    """A call that was made, as `Call` has it. `applied` is the server's status, None if it never got the call."""

    name: str
    function: str
    operation: str
    path: str
    applied: int | None


@dataclass(slots=True)
class Wire:
    """The addresses that functions call, what they called, and the rules that calls meet.

    `targets` are the real servers' origins and are set once these are up. The first rule that fits a call acts.
    """

    functions: Sequence[str]
    targets: dict[Edge, str] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    log: list[Noted] = field(default_factory=list)
    _servers: dict[tuple[str, Edge], _Server] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

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

    def answer(self, call: Call) -> ProxyResponse | None:
        """Return what a call is answered, None for a broken connection."""
        applied: list[int] = []

        def forward() -> ProxyResponse:
            answer = _forwarded(call, self.targets[call.edge])
            applied.append(answer.status)
            return answer

        rule = self._rule_for(call)
        try:
            return rule.act(call, forward) if rule else forward()
        finally:
            status = applied[-1] if applied else None
            self.log.append(Noted(call.name, call.function, call.operation, call.path, status))

    def _rule_for(self, call: Call) -> Rule | None:
        with self._lock:
            for rule in self.rules:
                if len(rule.met) < rule.times and rule.fits(call):
                    rule.met.append(call.name)
                    return rule
        return None


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
        call = Call(server.function, server.edge, self.command, self.path, self.headers, body)
        answer = server.wire.answer(call)
        if answer is None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        with suppress(ConnectionError):  # the caller may have given up, or be dead
            self._send(answer)

    def _send(self, answer: ProxyResponse) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if isinstance(answer.body, bytes):
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.send_header("Connection", "close")
        self.close_connection = True
        self.end_headers()
        for part in answer.body:
            self.wfile.write(part)
            self.wfile.flush()

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # the base class's names

    def log_message(self, *_: object) -> None:
        """Print nothing: `Wire.log` keeps the calls."""


def _forwarded(call: Call, target: str) -> ProxyResponse:
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
        return ProxyResponse(response.status, headers, body)
    except http.client.RemoteDisconnected:
        return ProxyResponse(502)
    finally:
        connection.close()


def _service(headers: Message) -> str:
    """Return the AWS service that a request was signed for."""
    found = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", headers.get("Authorization", ""))
    return found[1] if found else "unsigned"


def _general(path: str) -> str:
    """Return a path without what differs from item to item and from day to day."""
    path = re.sub(r"RJ\d+", "…", path)
    path = re.sub(r"\d{4}/\d\d/\d\d/\d{6}Z", "…", path)
    return re.sub(r"/(works|fsr)/.*", r"/\1/…", path)
