"""Slack for many owners: one server, and for each owner a workspace, channel and bot token of their own."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server

from local.slack import Slack
from local.slack.api import response_url, web_api
from local.slack.channel import RateLimit
from web.guard import refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PRESS_SECONDS = 30.0
"""How long a press is waited for: longer than Slack's three seconds, so that a slow one is measured."""


@contextmanager
def serve_workspaces(channels: Sequence[str], signing_secret: str) -> Iterator[dict[str, Slack]]:
    """Serve a workspace for each channel while the context lasts, and yield the workspaces by channel.

    Slack's limit of one message a second is off: the model adds it, and measurements would only wait.
    """
    workspaces = {
        channel: Slack(
            bot_token=f"xoxb-{secrets.token_hex(24)}",
            signing_secret=signing_secret,
            channel=channel,
            interactions_url=None,
            clock=time.time,
            rate_limit=RateLimit(burst=10_000, interval=0.0),
            press_timeout=PRESS_SECONDS,
        )
        for channel in channels
    }

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        channel, _, path = environ["PATH_INFO"].removeprefix("/").partition("/")
        request = Request({**environ, "PATH_INFO": f"/{path}"})
        request.max_form_memory_size = None
        kind, _, method = path.partition("/")
        if channel not in workspaces or request.method != "POST" or kind not in {"api", "actions"}:
            return Response(status=404)(environ, start_response)
        slack = workspaces[channel]
        refused = refusal(environ, may_link=False)
        answer = refused or (web_api(slack, request, method) if kind == "api" else response_url(slack, request))
        return answer(environ, start_response)

    server = make_server("127.0.0.1", 0, serve, threaded=True, request_handler=_QuietHandler)
    for channel, slack in workspaces.items():
        slack.address = f"http://127.0.0.1:{server.server_port}/{channel}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield workspaces
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _QuietHandler(WSGIRequestHandler):
    disable_nagle_algorithm = True

    def log(self, *_: object) -> None:
        """Print nothing."""
