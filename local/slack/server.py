"""The stand-in over HTTP: the Web API at /api/, response_urls at /actions/, the channel's page at /."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import requests
from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.utils import redirect

from local.slack.api import response_url, web_api
from local.slack.channel import RateLimit
from local.slack.page import HEADERS, anchor, render
from local.slack.stand_in import Slack

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@contextlib.contextmanager
def serve_slack(
    *,
    bot_token: str,
    signing_secret: str,
    channel: str = "C0LOCAL0001",
    interactions_url: str | None = None,
    clock: Callable[[], float] = time.time,
    post_burst: int = 30,
    post_interval: float = 1.0,
    press_timeout: float = 3.0,
) -> Iterator[Slack]:
    """Serve a stand-in on a free port of 127.0.0.1 for the time of the context.

    Slack allows about one chat.postMessage a second and channel and lets short bursts pass: `post_interval` is the
    seconds between two, `post_burst` how many may come at once. Slack names no number for a burst; 30 lets a day's
    usual posts pass, and a backlog meets the limit. `press_timeout` is how many seconds a press waits for the app's
    answer, `clock` gives seconds since 1970.
    """
    slack = Slack(
        bot_token=bot_token,
        signing_secret=signing_secret,
        channel=channel,
        interactions_url=interactions_url,
        clock=clock,
        rate_limit=RateLimit(post_burst, post_interval),
        press_timeout=press_timeout,
    )
    site = _Site(slack)
    server = make_server("127.0.0.1", 0, site, threaded=True, request_handler=_QuietHandler)
    slack.address = f"http://127.0.0.1:{server.server_port}"
    site.hosts = frozenset({f"127.0.0.1:{server.server_port}", f"localhost:{server.server_port}"})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield slack
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _QuietHandler(WSGIRequestHandler):
    disable_nagle_algorithm = True  # headers and body are two writes: Nagle can hold the second one back for 40 ms

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  # werkzeug's name
        """Say nothing: `Slack.log` keeps the calls."""


class _Site:
    """The WSGI application: which path is answered by what, and who may ask."""

    def __init__(self, slack: Slack) -> None:
        self.hosts: frozenset[str] = frozenset()
        self._slack = slack
        self._page_token = secrets.token_urlsafe(24)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        request.max_form_memory_size = None  # Japanese blocks in a form, three bytes and nine characters a letter
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        # A foreign name that leads here belongs to a page that wants to read or press in the owner's browser.
        if request.headers.get("Host") not in self.hosts:
            return Response("このアドレスからは利用できません。", status=403)
        match request.method, request.path:
            case _, path if path.startswith("/api/"):
                return web_api(self._slack, request, path.removeprefix("/api/"))
            case "POST", path if path.startswith("/actions/"):
                return response_url(self._slack, request)
            case "GET" | "HEAD", "/":
                return Response(render(self._slack, self._page_token), headers=HEADERS, mimetype="text/html")
            case "POST", "/press":
                return self._press(request)
            case _:
                return Response("ページがありません。", status=404)

    def _press(self, request: Request) -> Response:
        form = request.form
        own_origins = {None, *(f"http://{host}" for host in self.hosts)}
        token_is_right = secrets.compare_digest(form.get("token", "").encode(), self._page_token.encode())
        if not token_is_right or request.headers.get("Origin") not in own_origins:
            return Response("このページのボタンからのみ操作できます。ページを開き直してください。", status=403)
        ts = form.get("ts", "")
        try:
            self._slack.press(ts, form.get("action_id", ""), block_id=form.get("block_id"))
        except (LookupError, RuntimeError) as error:
            return Response(f"ボタンを押せません: {error}", status=409)
        except requests.RequestException:
            pass  # kept in failed_presses, which the page shows beside the message
        return redirect(f"/#{anchor(ts)}", code=303)
