"""The made-up shop as an HTTP server on loopback: its days, and a log of its requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import NamedTuple

from werkzeug import Response

from local.shop.entries import Entry, entries_on
from local.shop.routes import Shop, page_at
from osusume.items import Item
from samples.works import DEMO_DAYS, demo_works
from web.guard import Guarded


class Request(NamedTuple):
    """A request that was answered; `path` holds the query too."""

    method: str
    path: str
    status: int


def _undisturbed(_path: str, _body: bytes, serve: Callable[[], Response]) -> Response:
    return serve()


@dataclass(slots=True)
class Site:
    """The shop while it is served at `address`.

    `day` counts from 1 and may be set at any time. `log` has a request for each answer, oldest first. `intercept` may
    change each answer: it gets the path with the query, the body, and a function that makes the shop's own answer.
    """

    works: Sequence[Item]
    days: Sequence[int]
    crawl_delay: float
    day: int
    address: str = ""
    intercept: Callable[[str, bytes, Callable[[], Response]], Response] = _undisturbed
    log: list[Request] = field(default_factory=list)

    def entries(self) -> list[Entry]:
        """Return what is on sale on `day`, newest first, music included."""
        return entries_on(self.day, self.works, self.days)

    def clear_log(self) -> None:
        """Forget the requests answered so far."""
        self.log.clear()


@contextmanager
def serve_site(
    crawl_delay: float = 0.05,
    day: int = 1,
    works: Sequence[Item] | None = None,
    days: Sequence[int] = DEMO_DAYS,
    port: int = 0,
) -> Iterator[Site]:
    """Serve the shop on 127.0.0.1 until the block ends; port 0 takes one that is free.

    `crawl_delay` (seconds) is what robots.txt asks for. `works` are the demo's unless given, oldest first; `days` says
    how many of them are out on the first day and how many each later day adds. Raises `OSError` for a port in use.
    """
    site = Site(demo_works() if works is None else works, days, crawl_delay, day)
    with ThreadingHTTPServer(("127.0.0.1", port), _handler_for(site)) as server:
        site.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="catalogue", daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


def _handler_for(site: Site) -> type[Guarded]:
    class Handler(Guarded):
        shows_pictures = True

        def do_GET(self) -> None:
            with suppress(ConnectionError):  # a client may have given up
                shop = Shop(site.entries(), site.crawl_delay)
                answer = site.intercept(self.path, b"", lambda: page_at(shop, self.path))
                # Logged first, so that whoever has the answer finds it in the log.
                site.log.append(Request(self.command, self.path, answer.status_code))
                self.send_response(answer.status_code)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.data)

        do_HEAD = do_GET  # the name that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
            """Stay silent: `Site.log` has the requests."""

    return Handler
