"""Trouble while works slide out of the listing: later days bring more new works than the limit lets a crawl read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from injector import Rule, after_its_work, answered, killed_before

from faults.fault import Fault
from faults.harness import Harness
from faults.site_faults import EITHER_LISTING, HTML, half_unparsable, one_work

GROUP = "Works that slide out of the listing"
BEYOND = 20
"""More new works than `ItemLimit` has in a world."""

_DOWN = Rule(EITHER_LISTING, answered(403, b"", HTML))
_NO_PAGE = answered(200, b"<html><body>maintenance</body></html>", HTML)


def _then_slid(*troubles: Callable[[], Rule], new: int) -> Callable[[Harness], int]:
    """Return what lets a day of `new` works go by in each trouble, and then a calm day whose works push those out."""

    def happen(on: Harness) -> int:
        rules = []
        for trouble in troubles:
            rules.append(trouble())
            on.a_day(new, rules[-1:])
        on.a_day(BEYOND)
        return sum(rule.met for rule in rules)

    return happen


def _beyond_the_limit(on: Harness) -> int:
    """Let two days in a row bring more new works than the limit."""
    for _ in range(2):
        on.a_day(BEYOND)
    return 2


def _deadly_page(on: Harness) -> int:
    """Kill the crawler at the first new page, all day; the other works are to be posted on the same day."""
    before = len(on.machine.slack.messages)
    rule = Rule(one_work(_NO_PAGE).fits, after_its_work(killed_before(on.machine.cloud.kill)))
    on.a_day(3, [rule])
    posted = [message for message in on.machine.slack.messages[before:] if message.item_id]
    if len(posted) != 2:
        raise AssertionError(f"{len(posted)} of the day's 2 other works were posted: one page stopped them all")
    on.a_day(BEYOND)
    return rule.met


FAULTS = (
    Fault(
        GROUP, "slide-many", f"{BEYOND} new works a day, two days, where the limit is 12", _beyond_the_limit, seconds=8
    ),
    Fault(
        GROUP,
        "slide-down",
        "403 to every page on two mornings, 8 new works on each",
        _then_slid(*[lambda: replace(_DOWN)] * 2, new=8),
        seconds=10,
    ),
    Fault(
        GROUP,
        "slide-failed",
        "a work's page fails for a day, and new works push it out",
        _then_slid(lambda: one_work(_NO_PAGE), new=2),
        seconds=8,
        is_quick=True,
    ),
    Fault(
        GROUP,
        "slide-bad-crawl",
        "every second work's page unparsable for a day, and new works push them all out",
        _then_slid(half_unparsable, new=8),
        seconds=12,
    ),
    Fault(GROUP, "slide-deadly", "a page that kills the crawler, all day", _deadly_page, seconds=10),
)
