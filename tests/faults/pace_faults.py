"""How the crawler treats the shop: the pace that its requests come at, and when it leaves the shop alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from injector import Call, Forward, Rule, answered, calls
from werkzeug import Response

from faults.fault import Fault
from faults.harness import Harness
from faults.site_faults import HTML, ROBOTS, WORK

GROUP = "Pace"
PACE = 1.0
"""Seconds between two requests that the shop asks for here."""

TOLERANCE = 0.9
"""Requests are timed where they arrive, and a busy machine may hold the first of them up."""

_SLOWEST = 2.0
_DELAYS = f"""\
User-agent: Osusume
Crawl-delay: 0.1
Request-rate: 1/{_SLOWEST:g}

User-agent: *
Crawl-delay: 0.2

User-agent: Osusume
Crawl-delay: 0.5
"""
_SITE = calls("crawler", "site: ")


def _check_pace(on: Harness, begin: Callable[[threading.Event], None], pace: float, rules: Sequence[Rule] = ()) -> None:
    """Raise `AssertionError` where what `begin` begins asks the shop for more than one page each `pace` seconds.

    The event that `begin` is given is set at the first request for a work's page.
    """
    times: list[float] = []
    reads_works = threading.Event()

    def note(call: Call, forward: Forward) -> Response:
        times.append(time.monotonic())
        if WORK(call):
            reads_works.set()
        return forward()

    with on.trouble([*rules, Rule(_SITE, note)]):
        begin(reads_works)
        on.settle()
    took = max(times) - min(times)
    if took < TOLERANCE * pace * (len(times) - 1):
        raise AssertionError(f"{len(times)} requests came in {took:.1f} s, where {pace} s between two were asked for")


def _several_delays(on: Harness) -> int:
    """Let robots.txt name the crawler twice, with other delays, and with a rate that is slower than both."""
    rule = Rule(ROBOTS, answered(200, _DELAYS.encode(), [("Content-Type", "text/plain")]))
    _check_pace(on, lambda _: on.begin_day(3), _SLOWEST, [rule])
    on.a_day(1)
    return rule.met


def _delivered_twice(on: Harness) -> int:
    """Deliver a morning's event again under its request id while the first delivery reads pages, as Lambda may do."""
    on.machine.site.crawl_delay = PACE
    event = {"scheduled_at": on.next_morning(4).isoformat()}
    _check_pace(on, lambda again: on.machine.cloud.invoke_twice("CrawlerFunction", event, again), PACE)
    on.machine.site.crawl_delay = 0.0
    on.a_day(1)
    return 2


def _refused(headers: Sequence[tuple[str, str]], most: int) -> Callable[[Harness], int]:
    """Return what lets the shop answer 429 to works' pages all day, and checks that it does not do so often."""

    def happen(on: Harness) -> int:
        rule = Rule(WORK, answered(429, b"", [*HTML, *headers]))
        on.a_day(2, [rule])
        if rule.met > most:
            raise AssertionError(f"the shop had to refuse {rule.met} requests: {most} are enough to understand")
        on.a_day(1)
        return rule.met

    return happen


FAULTS = (
    Fault(
        GROUP,
        "pace-retry-after",
        "429 with Retry-After of 30 years",
        _refused([("Retry-After", "999999999")], 1),
        seconds=8,
    ),
    Fault(GROUP, "pace-429", "429 without Retry-After to works' pages, all day", _refused([], 2), seconds=8),
    Fault(
        GROUP,
        "pace-delays",
        "robots.txt with several delays and a rate, which is the slowest of them",
        _several_delays,
        seconds=12,
    ),
    Fault(
        GROUP,
        "pace-doubled",
        "the morning's event delivered again under its request id while it is worked at",
        _delivered_twice,
        seconds=15,
    ),
)
