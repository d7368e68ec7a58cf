"""Who may use a page of this machine: the one who was given its address, and no other page of the same browser.

Such a page is served on 127.0.0.1 under an address whose first part is a token. Any page on the web can make the
owner's browser send requests to this machine; it does not know the token, and the browser says where it comes from.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HEADERS = {
    "Cache-Control": "no-store",
    # pictures come from the shop or from its stand-in, which has another port
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' https: http://127.0.0.1:*; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""What every answer carries. Scripts and styles are files: the page can hold none inline."""

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_OWN_SITES = {None, "same-origin", "none"}  # "none" is an address typed in or a bookmark


def new_token() -> str:
    """Return a random token for `guard`, as it stands in an address."""
    return secrets.token_urlsafe(24)


def guard(app: Flask, token: str) -> None:
    """Serve `app` under /`token`/ alone: anything else, and what `refusal` refuses, is answered 403.

    The routes of `app` are written without the token, and the addresses that `url_for` builds have it. All answers get
    `HEADERS`. A page names its icon in a `<link rel="icon">`, since the browser asks for /favicon.ico otherwise.
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

    app.wsgi_app = serve  # type: ignore[method-assign]  # Flask's documentation wraps an app so


def refusal(environ: WSGIEnvironment) -> Response | None:
    """Return the answer, 403, to a request that another page in the browser makes; None for one that may pass.

    Refused are a foreign `Host` (a foreign name that leads to this machine), a foreign `Origin`, and whatever changes
    something and says in `Sec-Fetch-Site` that it comes from elsewhere.
    """
    request = Request(environ)
    hosts = {f"{name}:{environ['SERVER_PORT']}" for name in ("127.0.0.1", "localhost")}
    if request.headers.get("Host") not in hosts:
        return _refused("このアドレスからは利用できません。")
    is_own_origin = request.headers.get("Origin") in {None, *(f"http://{host}" for host in hosts)}
    is_own_site = request.method in _SAFE_METHODS or request.headers.get("Sec-Fetch-Site") in _OWN_SITES
    if not (is_own_origin and is_own_site):
        return _refused("ほかのページからは操作できません。ページを開き直してください。")
    return None


def _refused(text: str) -> Response:
    return Response(text, status=403, mimetype="text/plain")
