"""An HTTP API on loopback: routes, IAM authorization, events and answers in payload format 2.0.

Simulated: routes of the API's OpenAPI body (fixed, `{name}`, `{name+}` and `$default`), signatures, execute-api:Invoke,
the resource policy of the function behind a route, the 30 s and 10 MB limits. Not simulated: CORS, throttling, other
authorizers, custom domains, stages other than $default, signatures in the query string, payload format 1.0.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from typing import Any

from local.cloud.access import ACCOUNT, REGION, check_service_may_invoke, is_allowed, policies_of
from local.cloud.errors import AccessDenied, CloudError, FunctionError, PayloadTooLarge
from local.cloud.http_events import HttpResponse, Request, answer_of, http_event, message_answer
from local.cloud.moto_types import needs_iam
from local.cloud.signature import signed_for, signer
from web.guard import Guarded

INTEGRATION_SECONDS = 30.0
MAX_BODY_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """One route: what it matches, which function it calls (by name), whether requests must be signed."""

    key: str
    method: str
    pattern: re.Pattern[str]
    function_name: str
    needs_signature: bool
    seconds: float

    @property
    def resource(self) -> str:
        """The part of the route's ARN after the stage, such as POST/predict."""
        method, _, path = self.key.partition(" ")
        return method + path


def routes_of(body: Mapping[str, Any]) -> list[Route]:
    """Return the routes of an API's OpenAPI body, the most specific first."""
    routes = []
    for path, operations in body["paths"].items():
        for method, operation in operations.items():
            integration = operation["x-amazon-apigateway-integration"]
            if integration.get("payloadFormatVersion") != "2.0":
                raise CloudError(f"route {method.upper()} {path}: the local cloud supports only payload format 2.0")
            verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
            is_default = path == "/$default"
            routes.append(
                Route(
                    key="$default" if is_default else f"{verb} {path}",
                    method=verb,
                    pattern=_path_pattern("/{path+}" if is_default else path),
                    function_name=integration["uri"].split(":function:")[1].split("/")[0],
                    needs_signature=needs_iam(operation),
                    seconds=integration.get("timeoutInMillis", INTEGRATION_SECONDS * 1000) / 1000,
                )
            )
    return sorted(routes, key=lambda route: (route.key == "$default", "+}" in route.key, "{" in route.key))


def _path_pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)(\+?)\}", path)
    expression = "".join(
        re.escape(fixed) + (f"(?P<{name}>{'.*' if greedy else '[^/]+'})" if name else "")
        for fixed, name, greedy in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True)
    )
    return re.compile(expression)


class Gateway:
    """Serves the routes of one API on a free port of 127.0.0.1 until it is closed.

    `invoke(function_name, payload)` runs a function; it raises FunctionError and PayloadTooLarge. `proxy_ports` are
    further ports at which clients reach it. Requests from web pages are refused. `server_errors` counts what
    CloudWatch's metric 5xx counts.
    """

    def __init__(
        self,
        api_id: str,
        routes: list[Route],
        invoke: Callable[[str, bytes], bytes],
        report: Callable[[str], None],
        proxy_ports: Collection[int] = (),
    ) -> None:
        self.api_id = api_id
        self._routes = routes
        self._invoke = invoke
        self._report = report
        self.server_errors = 0
        self._server = _GatewayServer(self, proxy_ports)

    @property
    def url(self) -> str:
        """The API's endpoint, without a trailing slash."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Request) -> HttpResponse:
        """Return the API's response to one request."""
        routes = (route for route in self._routes if route.method in (request.method, "ANY"))
        matches = ((route, route.pattern.fullmatch(request.path)) for route in routes)
        route, match = next(((route, match) for route, match in matches if match), (None, None))
        if route is None or match is None:
            return message_answer(404, "Not Found")
        caller = None
        if route.needs_signature:
            caller = signer(request.method, request.target, request.headers, request.body, datetime.now(UTC))
            if signed_for(request.headers) != (REGION, "execute-api"):
                return message_answer(403, "Forbidden")
            if caller is None or not is_allowed(policies_of(caller), "execute-api:Invoke", self._arn(route)):
                return message_answer(403, "Forbidden")
        parameters = {} if route.key == "$default" else match.groupdict()
        event = http_event(request, self.api_id, route.key, parameters, caller)
        answer = self._integrate(route, event)
        self.server_errors += answer.status >= 500
        return answer

    def _arn(self, route: Route) -> str:
        return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api_id}/$default/{route.resource}"

    def _integrate(self, route: Route, event: dict[str, Any]) -> HttpResponse:
        result: list[HttpResponse] = []

        def run() -> None:
            result.append(self._call(route, event))

        # the function continues after API Gateway times out
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(route.seconds)
        return result[0] if result else message_answer(503, "Service Unavailable")

    def _call(self, route: Route, event: dict[str, Any]) -> HttpResponse:
        try:
            check_service_may_invoke(route.function_name, "apigateway.amazonaws.com", self._arn(route))
            response = self._invoke(route.function_name, json.dumps(event, ensure_ascii=False).encode())
            return answer_of(json.loads(response))
        except PayloadTooLarge:
            return message_answer(413, "Request Entity Too Large")
        except AccessDenied as error:
            self._report(f"route {route.key}: {error}")
        except (FunctionError, ValueError):
            pass  # the function's own log says why
        return message_answer(500, "Internal Server Error")


class _GatewayServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # an open connection must not delay the end of the cloud

    def __init__(self, gateway: Gateway, proxy_ports: Collection[int]) -> None:
        super().__init__(("127.0.0.1", 0), _GatewayRequest)
        self.gateway, self.proxy_ports = gateway, proxy_ports
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnect."""


class _GatewayRequest(Guarded):
    server: _GatewayServer
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body in one segment: else Nagle's algorithm costs 40 ms a request
    timeout = 60

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            answer = self._refuse(411, "Length Required")
        elif int(length) > MAX_BODY_BYTES:
            answer = self._refuse(413, "Request Entity Too Large")
        else:
            body = self.rfile.read(int(length))
            answer = self.server.gateway.answer(Request(self.command, self.path, self.headers, body))
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _refuse(self, status: int, text: str) -> HttpResponse:
        self.close_connection = True  # the body stays unread
        return message_answer(status, text)

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_POST  # the base class's names
