"""What goes wrong between the crawler and the site."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from injector import Act, Call, Forward, Rule, answered, broken, calls, rewritten
from werkzeug import Response

from faults.fault import Fault, a_day_of
from faults.harness import Harness, Settings
from faults.memory import peak_megabytes
from local.shop.pages import fallback_listing_page, listing_page

GROUP = "Site"
HTML = [("Content-Type", "text/html; charset=UTF-8")]
GIGABYTE, PART = 1_000_000_000, b"<!-- more -->\n" * 50_000
ALL_DAY = float("inf")
MOST_MEGABYTES = 250.0
_LISTING = calls("crawler", "site: GET /home/works")
EITHER_LISTING = calls("crawler", "site: GET /home/")
WORK = calls("crawler", "site: GET /home/work/")
ROBOTS = calls("crawler", "site: GET /robots.txt")

SHORT_TURNS = Settings(time_limits=(("CrawlerFunction", 20.0),))
"""The crawler waits for a page a tenth of its time limit: here two seconds."""


def _a_gigabyte(_call: Call, _forward: Forward) -> Response:
    return Response(_parts(), 200, [*HTML, ("Content-Length", str(GIGABYTE))])


def _parts() -> Iterator[bytes]:
    for _ in range(GIGABYTE // len(PART)):
        yield PART


def _a_drip(_call: Call, _forward: Forward) -> Response:
    return Response(_drops(), 200, HTML)


def _drops() -> Iterator[bytes]:
    for _ in range(100):
        yield b"<"
        time.sleep(0.2)


def _in_broken_encoding(page: bytes) -> bytes:
    """Return a page in which every tenth Japanese letter lacks its last byte."""
    letters = iter(range(1, 1 << 30))
    return re.sub(rb"[\xe3-\xe9][\x80-\xbf]{2}", lambda m: m[0][:2] if next(letters) % 10 == 0 else m[0], page)


def _cut_listing(on: Harness) -> int:
    """Let the listing show the newest three works alone, in either form of it."""

    def cut(call: Call, _forward: Forward) -> Response:
        entries = on.machine.site.entries()[:3]
        page = (fallback_listing_page if "/fsr/" in call.path else listing_page)(entries, 3, 1, [])
        return Response(page.encode(), 200, HTML)

    rule = Rule(lambda call: call.edge == "site" and ("/works/" in call.path or "/fsr/" in call.path), cut)
    on.a_day(2, [rule])
    on.a_day(1)
    return rule.met


def half_unparsable() -> Rule:
    """Return a fault that answers every second work with a page that is no work's."""
    seen: list[str] = []

    def is_of_the_bad_half(call: Call) -> bool:
        if not WORK(call):
            return False
        if call.path not in seen:
            seen.append(call.path)
        return seen.index(call.path) % 2 == 1

    return Rule(is_of_the_bad_half, answered(200, b"<html><body>maintenance</body></html>", HTML))


def _half_unparsable(on: Harness) -> int:
    rule = half_unparsable()
    on.a_day(8, [rule])
    on.a_day(1)
    return rule.met


def _gigabyte(on: Harness) -> int:
    """Let a work's page be a gigabyte long, all day."""
    times = a_day_of(one_work(_a_gigabyte))(on)
    if (peak := peak_megabytes(on.machine, "CrawlerFunction")) > MOST_MEGABYTES:
        raise AssertionError(f"the crawler held {peak:.0f} MB")
    return times


def one_work(act: Act) -> Rule:
    """Return what happens to the first work asked for, however often it is asked for."""
    asked: list[str] = []

    def is_the_first(call: Call) -> bool:
        if not WORK(call):
            return False
        if not asked:
            asked.append(call.path)
        return call.path == asked[0]

    return Rule(is_the_first, act)


def _fault(name: str, injected: str, *rules: Rule, new: int = 2, seconds: float = 5, short: bool = False) -> Fault:
    settings = SHORT_TURNS if short else Settings()
    is_quick = name in {"403", "404"}
    return Fault(GROUP, f"site-{name}", injected, a_day_of(*rules, new=new), settings, seconds, is_quick)


FAULTS = (
    _fault("202", "202, a challenge, to the listing, twice", Rule(_LISTING, answered(202, b"", HTML), 2), seconds=130),
    _fault("403", "403 to every page, all day", Rule(EITHER_LISTING, answered(403, b"", HTML), ALL_DAY)),
    _fault("404", "404 of one work, all day", one_work(answered(404, b"", HTML))),
    _fault("429", "429 with Retry-After of two seconds", Rule(WORK, answered(429, b"", [("Retry-After", "2")]), 1)),
    _fault("503", "503 to a work's page, twice", Rule(WORK, answered(503, b"", HTML), 2), seconds=15),
    _fault("503-robots", "503 to robots.txt, once", Rule(ROBOTS, answered(503), 1)),
    _fault("broken", "connection broken, once", Rule(WORK, broken, 1)),
    _fault(
        "redirect",
        "redirect of a work to another host",
        one_work(answered(302, b"", [("Location", "https://example.com/")])),
    ),
    Fault(GROUP, "site-gigabyte", "a page of 1 GB, streamed, all day", _gigabyte),
    _fault("drip", "a page that drips, five bytes a second, twice", Rule(WORK, _a_drip, 2), seconds=30, short=True),
    _fault("encoding", "pages in broken encoding, all day", Rule(WORK, rewritten(_in_broken_encoding))),
    _fault("no-work", "a work's page that is another page, all day", one_work(answered(200, b"<html></html>", HTML))),
    Fault(GROUP, "site-cut", "the listing cut to three works, all day", _cut_listing, is_quick=True),
    Fault(GROUP, "site-half", "every second work's page unparsable, all day", _half_unparsable, seconds=15),
)
