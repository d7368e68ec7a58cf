"""The made-up shop as an HTTP server on loopback: its days, a log of its requests, and faults on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import NamedTuple

from local.shop.entries import Entry, entries_on
from local.shop.routes import Shop, answer
from osusume.items import Item
from samples.works import DEMO_DAYS, demo_works
from web.guard import Guarded


class Request(NamedTuple):
    """A request that was answered; `path` holds the query too."""

    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class SiteFault:
    """How an answer differs from the shop's own: in whatever is given. `delay` is in seconds."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay: float = 0.0


_NO_FAULT = SiteFault()


@dataclass(slots=True)
class Site:
    """The shop while it is served at `address`.

    `day` counts from 1 and may be set at any time. `faults` maps a part of a path (query included) to the fault with
    which such requests are answered; the first that fits counts. `log` has a request for each answer, oldest first.
    """

    works: Sequence[Item]
    days: Sequence[int]
    crawl_delay: float
    day: int
    address: str = ""
    faults: dict[str, SiteFault] = field(default_factory=dict)
    log: list[Request] = field(default_factory=list)

    def entries(self) -> list[Entry]:
        """Return what is on sale on `day`, newest first, music included."""
        return entries_on(self.day, self.works, self.days)

    def clear_log(self) -> None:
        """Forget the requests answered so far."""
        self.log.clear()

    def fault_for(self, path: str) -> SiteFault:
        """Return the fault that requests of `path` meet, one that changes nothing where there is none."""
        return next((fault for part, fault in list(self.faults.items()) if part in path), _NO_FAULT)


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
            fault = site.fault_for(self.path)
            time.sleep(fault.delay)
            own = answer(Shop(site.entries(), site.crawl_delay), self.path)
            status = own.status if fault.status is None else fault.status
            body = own.body if fault.body is None else fault.body
            headers = {"Content-Type": own.content_type, "Content-Length": str(len(body)), **fault.headers}
            # Logged first, so that whoever has the answer finds it in the log.
            site.log.append(Request(self.command, self.path, status))
            with suppress(ConnectionError):  # a client may have given up
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        do_HEAD = do_GET  # the name that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
            """Stay silent: `Site.log` has the requests."""

    return Handler
