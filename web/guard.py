"""Keeps other pages in the owner's browser away from the servers on this machine.

Any page on the web can make the browser send requests to any port of this machine; the browser's headers say where they
come from. A page for the owner also has a secret token as the first part of its address.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, ClassVar

from flask import Flask
from werkzeug import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HEADERS = {
    "Cache-Control": "no-store",
    # pictures come from the shop, or from its stand-in on another port
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' https: http://127.0.0.1:*; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every response. They forbid inline scripts and styles."""

_HERE = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of requests that no other page made; "none" is a typed address or a bookmark."""

_SKIP_BYTES = 1 << 20
_SKIP_SECONDS = 2.0


def new_token() -> str:
    """Return a random token for `guard` that needs no quoting in a URL."""
    return secrets.token_urlsafe(24)


def guard(app: Flask, token: str) -> None:
    """Serve `app` only under /`token`/; anything else, and what `refusal` refuses, gets a 403.

    The routes of `app` do not contain the token; the URLs that `url_for` builds do. All responses get `HEADERS`. A page
    must name its icon in a `<link rel="icon">`, or the browser asks for /favicon.ico.
    """
    routes = app.wsgi_app

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        _, first, rest = (*environ.get("PATH_INFO", "").split("/", 2), "", "")[:3]
        answer = refusal(environ)
        if answer is None and not secrets.compare_digest(first.encode(), token.encode()):
            answer = _refused("アドレスが違います。起動したときに表示されたアドレスを開いてください。")
        if answer is None:
            answer = Response.from_app(routes, {**environ, "SCRIPT_NAME": f"/{token}", "PATH_INFO": f"/{rest}"})
        answer.headers.update(HEADERS)
        return answer(environ, start_response)

    app.wsgi_app = serve  # type: ignore[method-assign]  # Flask's documentation wraps an app like this


def refusal(environ: WSGIEnvironment, *, may_link: bool = True) -> Response | None:
    """Return a 403 response for a request that another page in the browser made, None for any other.

    It refuses a foreign `Host` (a foreign name that resolves to this machine), a foreign `Origin`, OPTIONS, and a
    `Sec-Fetch-Site` of another site. With `may_link`, a GET from another site may be a link, and passes.
    """
    request = Request(environ)
    is_link = may_link and request.method in {"GET", "HEAD"}
    sites = _HERE | ({"same-site", "cross-site"} if is_link else set())
    reason = _reason_to_refuse(request.method, request.headers.getlist, {int(environ["SERVER_PORT"])}, sites)
    return _refused(reason) if reason else None


class Guarded(BaseHTTPRequestHandler):
    """Handles requests of programs on this machine; a request of any page in a browser gets a 403.

    It refuses what `refusal` refuses, and links. A server behind a proxy on this machine lists the proxy's ports, which
    `Host` may then name, in its attribute `proxy_ports`.
    """

    shows_pictures: ClassVar[bool] = False
    """Whether pages on this machine may show its pictures."""

    def parse_request(self) -> bool:
        """Read the request's head; if it is malformed or refused, send the response and return False."""
        if not super().parse_request():
            return False
        is_picture = self.shows_pictures and self.headers.get("Sec-Fetch-Dest") == "image"
        server: Any = self.server
        reason = _reason_to_refuse(
            self.command,
            lambda name: self.headers.get_all(name, []),
            {server.server_port, *getattr(server, "proxy_ports", ())},
            _HERE | ({"same-site"} if is_picture else set()),
        )
        if reason is None:
            return True
        self._skip_body()
        body = reason.encode()
        self.send_response_only(403)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return False

    def _skip_body(self) -> None:
        """Read a body of usual size and close the connection: an unread body would cut the response off."""
        self.close_connection = True
        length = self.headers.get("Content-Length", "")
        if length.isdecimal():
            self.connection.settimeout(_SKIP_SECONDS)
            with suppress(OSError):
                self.rfile.read(min(int(length), _SKIP_BYTES))


def _reason_to_refuse(
    method: str, values_of: Callable[[str], list[str]], ports: Set[int], sites: Set[str]
) -> str | None:
    """Return why the request is refused, None if it is not; `values_of` returns the values of a header."""
    hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost") for port in ports}
    host = values_of("Host")
    if len(host) != 1 or host[0] not in hosts:
        return "このアドレスからは利用できません。"
    is_own_origin = set(values_of("Origin")) <= {f"http://{host[0]}"}
    is_own_site = set(values_of("Sec-Fetch-Site")) <= sites
    if not (is_own_origin and is_own_site):
        return "ほかのページからは操作できません。ページを開き直してください。"
    return "OPTIONS は利用できません。" if method == "OPTIONS" else None


def _refused(text: str) -> Response:
    return Response(text, status=403, mimetype="text/plain")
