"""API Gateway's payload format 2.0: HTTP requests as events, functions' results as HTTP responses."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl, unquote

from moto.iam.access_control import AssumedRoleAccessKey, IAMUserAccessKey

from local.cloud.access import ACCOUNT

Key = IAMUserAccessKey | AssumedRoleAccessKey

_TEXT_TYPES = re.compile(r"text/.*|application/(json|javascript|xml)|application/.*\+(json|xml)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request; `target` is its path and query as sent."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        """The decoded path."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> str:
        """The query as sent."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response: `headers` as pairs, because Set-Cookie may occur more than once."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def message_answer(status: int, text: str) -> HttpResponse:
    """Return one of API Gateway's own responses."""
    return HttpResponse(status, [("content-type", "application/json")], json.dumps({"message": text}).encode())


def http_event(
    request: Request, api_id: str, route_key: str, path_parameters: Mapping[str, str], caller: Key | None
) -> dict[str, Any]:
    """Return the event for a route's function; `caller` signed the request, if the route requires a signature."""
    now = datetime.now(UTC)
    given = {name.lower(): ",".join(request.headers.get_all(name, [])) for name in request.headers}
    cookies = [cookie.strip() for cookie in given.pop("cookie", "").split(";") if cookie.strip()]
    host = given.get("host", "")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": request.path,
        "rawQueryString": request.query,
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
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": given.get("user-agent", ""),
            },
            "requestId": uuid.uuid4().hex[:16],
            "routeKey": route_key,
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if path_parameters:
        event["pathParameters"] = dict(path_parameters)
    if caller is not None:
        event["requestContext"]["authorizer"] = {"iam": _caller(caller)}
    if request.query:
        parameters: dict[str, str] = {}
        for name, value in parse_qsl(request.query, keep_blank_values=True):
            parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
        event["queryStringParameters"] = parameters
    if request.body:
        event["body"], event["isBase64Encoded"] = _event_body(request.body, given.get("content-type", ""))
    return event


def _event_body(body: bytes, content_type: str) -> tuple[str, bool]:
    """Return the event's body and whether it is base64: everything but text is, forms included."""
    if _TEXT_TYPES.fullmatch(content_type.partition(";")[0].strip()):
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass  # not the text that its type claims
    return base64.b64encode(body).decode(), True


def _caller(key: Key) -> dict[str, Any]:
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


def answer_of(response: object) -> HttpResponse:
    """Return the HTTP response for a function's result. Raises ValueError for an invalid result."""
    if not isinstance(response, Mapping) or "statusCode" not in response:
        text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
        return HttpResponse(200, [("content-type", "application/json")], text.encode())
    body = response.get("body") or ""
    if not isinstance(body, str):
        raise ValueError("body must be a string")  # noqa: TRY004  # a 500 like any other invalid result
    headers = [(str(name).lower(), _header(value)) for name, value in (response.get("headers") or {}).items()]
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=utf-8"))
    headers += [("set-cookie", str(cookie)) for cookie in response.get("cookies") or []]
    content = base64.b64decode(body) if response.get("isBase64Encoded") else body.encode()
    return HttpResponse(int(response["statusCode"]), headers, content)


def _header(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
