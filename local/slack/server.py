"""The stand-in over HTTP: the Web API at /api/, response_urls at /actions/, the channel's page under its token."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from werkzeug import Request
from werkzeug.serving import WSGIRequestHandler, make_server

from local.slack.api import response_url, web_api
from local.slack.channel import RateLimit
from local.slack.page import channel_page
from local.slack.stand_in import Slack
from web.guard import new_token, refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


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
    """Serve a stand-in on a free port of 127.0.0.1 for the duration of the context.

    Slack allows about one chat.postMessage per second and channel, and short bursts: `post_interval` is the interval in
    seconds, `post_burst` the size of a burst. Slack documents no burst size; 30 allows the usual posts of a day, but
    not a backlog. `press_timeout` is how many seconds a press waits for the app's response, `clock` gives seconds since
    1970.
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
    token = new_token()
    site = _site(slack, channel_page(slack, token))
    server = make_server("127.0.0.1", 0, site, threaded=True, request_handler=_QuietHandler)
    slack.address = f"http://127.0.0.1:{server.server_port}"
    slack.page_address = f"{slack.address}/{token}/"
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
        """Log nothing: `Slack.log` records the calls."""


def _site(slack: Slack, page: WSGIApplication) -> WSGIApplication:
    """Return the whole site: the Web API and response_urls for the app, and the page for the owner."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        request.max_form_memory_size = None  # Japanese blocks in a form, three bytes and nine characters a letter
        if request.path.startswith("/api/"):
            answer = partial(web_api, slack, request, request.path.removeprefix("/api/"))
        elif request.path.startswith("/actions/") and request.method == "POST":
            answer = partial(response_url, slack, request)
        else:
            return page(environ, start_response)
        refused = refusal(environ, may_link=False)
        response = refused or slack.intercept(request.path, request.get_data(), answer)
        return response(environ, start_response)

    return serve
