"""Recognises a bad crawl: the listing is too short, or too many pages cannot be read or say little."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from statistics import median

from osusume.items import Item
from osusume.snapshots import Failure, Snapshot

TROUBLES_IN_A_ROW = 5
"""After so many failures in a row the crawl stops; the next try resumes."""

TOLERATED_TROUBLES = 2
TOLERATED_SHARE = 0.25
"""A crawl is bad if more pages failed, or say little, than both of these allow."""

POOR_SHARE = 0.5
"""A page says little if it fills less than this share of the fields that the last snapshot's items fill."""


class BadCrawl(RuntimeError):
    """Raised instead of writing a poor snapshot; the pages read are kept for the next try."""


def check_listing(listed: int, item_limit: int, last: Snapshot | None) -> None:
    """Raise `BadCrawl` if fewer than half of the usual number of works are listed."""
    usual = len(last.items) + len(last.failures) if last else item_limit / 5  # some of the newest works are music
    least = math.ceil(min(item_limit, usual) / 2)
    if listed < least:
        raise BadCrawl(
            f"the listing has {listed} works, at least {least} were expected: the site is in trouble,"
            " has nothing on this floor, or has changed its markup"
        )


def poor_pages(read: Sequence[Item], last: Snapshot | None) -> list[str]:
    """Return the ids of the items in `read` that fill far fewer fields than those of the last snapshot do."""
    usual = median(map(_fields, last.items)) if last and last.items else 0
    return [item.item_id for item in read if _fields(item) < POOR_SHARE * usual]


def check_pages(
    read: int, failures: Sequence[Failure], troubles: int, poor: int, failed_before: Collection[str]
) -> None:
    """Raise `BadCrawl` if too many pages failed or say little, or if nothing was read and the first tries all failed.

    `read` is how many new pages were read, `poor` how many of them say little; `troubles` is how many of the failures
    count towards `BadCrawl`.
    """
    allowed = max(TOLERATED_TROUBLES, TOLERATED_SHARE * (read + len(failures)))
    first_failures = sum(failure.item_id not in failed_before for failure in failures)
    if troubles + poor <= allowed and (read > 0 or first_failures < TROUBLES_IN_A_ROW):
        return
    raise (
        bad_crawl(read, failures)
        if not poor
        else BadCrawl(
            f"{poor} of {read} new pages say far less than the last snapshot's, and {troubles} could not be read:"
            " the site has changed its markup, or shows other pages than usual"
        )
    )


def bad_crawl(read: int, failures: Sequence[Failure]) -> BadCrawl:
    """Return the error for a crawl in which too many pages failed."""
    return BadCrawl(
        f"{len(failures)} of {read + len(failures)} new pages could not be read; the last: {failures[-1].error}"
    )


def _fields(item: Item) -> int:
    filled = (item.published_on, item.image_url, item.age_rating, item.sections, item.price is not None)
    return len(item.attributes) + sum(map(bool, filled))
