"""Trouble while works slide out of the listing: later days bring more new works than the limit lets a crawl read."""

from __future__ import annotations

from collections.abc import Callable

from faults.fault import Fault, Hit
from faults.injections import answered, killed_after
from faults.proxy import Rule
from faults.site_faults import EITHER_LISTING, HTML, half_unparsable, one_work
from faults.world import World

GROUP = "Works that slide out of the listing"
BEYOND = 20
"""More new works than `ItemLimit` has in a world."""

_DOWN = Hit(EITHER_LISTING, answered(403, b"", HTML))
_NO_PAGE = answered(200, b"<html><body>maintenance</body></html>", HTML)


def _then_slid(*troubles: Callable[[World], Rule], new: int) -> Callable[[World], int]:
    """Return what lets a day of `new` works go by in each trouble, and then a calm day whose works push those out."""

    def happen(on: World) -> int:
        rules = []
        for trouble in troubles:
            rules.append(trouble(on))
            on.a_day(new, rules[-1:])
        on.a_day(BEYOND)
        return sum(len(rule.met) for rule in rules)

    return happen


def _beyond_the_limit(on: World) -> int:
    """Let two days in a row bring more new works than the limit."""
    for _ in range(2):
        on.a_day(BEYOND)
    return 2


def _deadly_page(on: World) -> int:
    """Kill the crawler at the first new page, all day; the other works are to be posted on the same day."""
    before = len(on.machine.slack.messages)
    rule = Hit(one_work(_NO_PAGE).fits, killed_after(on.machine.cloud.kill)).rule()
    on.a_day(3, [rule])
    posted = [message for message in on.machine.slack.messages[before:] if message.item_id]
    if len(posted) != 2:
        raise AssertionError(f"{len(posted)} of the day's 2 other works were posted: one page stopped them all")
    on.a_day(BEYOND)
    return len(rule.met)


FAULTS = (
    Fault(
        GROUP, "slide-many", f"{BEYOND} new works a day, two days, where the limit is 12", _beyond_the_limit, seconds=8
    ),
    Fault(
        GROUP,
        "slide-down",
        "403 to every page on two mornings, 8 new works on each",
        _then_slid(*[lambda _: _DOWN.rule()] * 2, new=8),
        seconds=10,
        is_quick=True,
    ),
    Fault(
        GROUP,
        "slide-failed",
        "a work's page fails for a day, and new works push it out",
        _then_slid(lambda _: one_work(_NO_PAGE).rule(), new=2),
        seconds=8,
        is_quick=True,
    ),
    Fault(
        GROUP,
        "slide-bad-crawl",
        "every second work's page unparsable for a day, and new works push them all out",
        _then_slid(lambda _: half_unparsable(), new=8),
        seconds=12,
    ),
    Fault(GROUP, "slide-deadly", "a page that kills the crawler, all day", _deadly_page, seconds=10),
)
