"""An HTTP API on loopback: routes, IAM authorization, events and answers in payload format 2.0.

Simulated: routes of the API's OpenAPI body (fixed, `{name}`, `{name+}` and `$default`), signatures, execute-api:Invoke,
the resource policy of the function behind a route, the 30 s and 10 MB limits. Not simulated: CORS, throttling, other
authorizers, custom domains, stages other than $default, signatures in the query string, payload format 1.0.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

from moto.iam.access_control import AssumedRoleAccessKey, IAMUserAccessKey

from local.cloud.access import ACCOUNT, REGION, check_service_may_invoke, is_allowed, policies_of
from local.cloud.errors import AccessDenied, CloudError, FunctionError, PayloadTooLarge
from local.cloud.moto_types import needs_iam
from local.cloud.signature import signer

INTEGRATION_SECONDS = 30.0
MAX_BODY_BYTES = 10 * 1024 * 1024

_TEXT_TYPES = re.compile(r"text/.*|application/(json|javascript|xml)|application/.*\+(json|xml)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Route:
    """One route: what it matches, which function it calls (by name), whether a caller must sign."""

    key: str
    method: str
    pattern: re.Pattern[str]
    function_name: str
    needs_signature: bool
    seconds: float

    @property
    def resource(self) -> str:
        """The part of the route's ARN behind the stage, such as POST/predict."""
        method, _, path = self.key.partition(" ")
        return method + path


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response: `headers` as pairs, because Set-Cookie may come more than once."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def routes_of(body: Mapping[str, Any]) -> list[Route]:
    """Return the routes of an API's OpenAPI body, the more specific first."""
    routes = []
    for path, operations in body["paths"].items():
        for method, operation in operations.items():
            integration = operation["x-amazon-apigateway-integration"]
            if integration.get("payloadFormatVersion") != "2.0":
                raise CloudError(f"route {method.upper()} {path}: the local cloud speaks payload format 2.0 alone")
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

    `invoke(function_name, payload)` answers for the functions; it raises FunctionError and PayloadTooLarge.
    """

    def __init__(
        self, api_id: str, routes: list[Route], invoke: Callable[[str, bytes], bytes], report: Callable[[str], None]
    ) -> None:
        self.api_id = api_id
        self._routes = routes
        self._invoke = invoke
        self._report = report
        self._server = _GatewayServer(self)

    @property
    def url(self) -> str:
        """The API's endpoint, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Take no further requests."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, headers: Message, body: bytes) -> Answer:
        """Return the API's answer to one request; `target` is its path and query as sent."""
        raw_path, _, query = target.partition("?")
        path = unquote(raw_path)
        matches = ((route, route.pattern.fullmatch(path)) for route in self._routes if route.method in (method, "ANY"))
        route, match = next(((route, match) for route, match in matches if match), (None, None))
        if route is None or match is None:
            return _message(404, "Not Found")
        key = None
        if route.needs_signature:
            key = signer(method, target, headers, body, datetime.now(UTC))
            if key is None or not is_allowed(policies_of(key), "execute-api:Invoke", self._arn("$default", route)):
                return _message(403, "Forbidden")
        event = _event(self.api_id, route, method, path, query, headers, body)
        if parameters := {name: value for name, value in match.groupdict().items() if route.key != "$default"}:
            event["pathParameters"] = parameters
        if key is not None:
            event["requestContext"]["authorizer"] = {"iam": _caller(key)}
        return self._integrate(route, event)

    def _arn(self, stage: str, route: Route) -> str:
        return f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api_id}/{stage}/{route.resource}"

    def _integrate(self, route: Route, event: dict[str, Any]) -> Answer:
        result: list[Answer] = []

        def run() -> None:
            result.append(self._call(route, event))

        # the function goes on after API Gateway has given up
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(route.seconds)
        return result[0] if result else _message(503, "Service Unavailable")

    def _call(self, route: Route, event: dict[str, Any]) -> Answer:
        try:
            check_service_may_invoke(route.function_name, "apigateway.amazonaws.com", self._arn("$default", route))
            response = self._invoke(route.function_name, json.dumps(event, ensure_ascii=False).encode())
            return _answer(json.loads(response))
        except PayloadTooLarge:
            return _message(413, "Request Entity Too Large")
        except AccessDenied as error:
            self._report(f"route {route.key}: {error}")
        except (FunctionError, ValueError):
            pass  # the function's own log says why
        return _message(500, "Internal Server Error")


def _message(status: int, text: str) -> Answer:
    return Answer(status, [("content-type", "application/json")], json.dumps({"message": text}).encode())


def _event(
    api_id: str, route: Route, method: str, path: str, query: str, headers: Message, body: bytes
) -> dict[str, Any]:
    now = datetime.now(UTC)
    given = {name.lower(): ",".join(headers.get_all(name, [])) for name in headers}
    cookies = [cookie.strip() for cookie in given.pop("cookie", "").split(";") if cookie.strip()]
    host = given.get("host", "")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            **given,
            "x-amzn-trace-id": f"Root=1-{int(now.timestamp()):08x}-{uuid.uuid4().hex[:24]}",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": host.rpartition(":")[2],
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": api_id,
            "domainName": host,
            "domainPrefix": host.split(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": given.get("user-agent", ""),
            },
            "requestId": uuid.uuid4().hex[:16],
            "routeKey": route.key,
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if query:
        parameters: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
        event["queryStringParameters"] = parameters
    if body:
        event["body"], event["isBase64Encoded"] = _event_body(body, given.get("content-type", ""))
    return event


def _event_body(body: bytes, content_type: str) -> tuple[str, bool]:
    """Return the body for the event and whether it is in base64, as it is for all that is not text: forms included."""
    if _TEXT_TYPES.fullmatch(content_type.partition(";")[0].strip()):
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass  # not the text that it says it is
    return base64.b64encode(body).decode(), True


def _caller(key: IAMUserAccessKey | AssumedRoleAccessKey) -> dict[str, Any]:
    access_key = key.create_credentials().access_key
    caller = key.arn.rpartition("/")[2]
    return {
        "accessKey": access_key,
        "accountId": ACCOUNT,
        "callerId": caller,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": key.arn,
        "userId": caller,
    }


def _answer(response: object) -> Answer:
    """Return the HTTP response that a function's answer stands for. Raises ValueError where it stands for none."""
    if not isinstance(response, Mapping) or "statusCode" not in response:
        text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
        return Answer(200, [("content-type", "application/json")], text.encode())
    body = response.get("body") or ""
    if not isinstance(body, str):
        raise ValueError("body must be a string")  # noqa: TRY004  # answered with 500 like any other wrong answer
    headers = [(str(name).lower(), _header(value)) for name, value in (response.get("headers") or {}).items()]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=utf-8"))
    headers += [("set-cookie", str(cookie)) for cookie in response.get("cookies") or []]
    content = base64.b64decode(body) if response.get("isBase64Encoded") else body.encode()
    return Answer(int(response["statusCode"]), headers, content)


def _header(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _GatewayServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a connection that is kept open must not keep the cloud

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(("127.0.0.1", 0), _GatewayRequest)
        self.gateway = gateway
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Keep quiet about clients that hang up."""


class _GatewayRequest(BaseHTTPRequestHandler):
    server: _GatewayServer
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body in one segment: else Nagle's algorithm costs 40 ms a request
    timeout = 60

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            answer = _message(413, "Request Entity Too Large")
        else:
            answer = self.server.gateway.answer(self.command, self.path, self.headers, self.rfile.read(length))
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815  # the base class's names
