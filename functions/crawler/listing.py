"""What a crawl is to read: the listing, down to what earlier crawls know, and what those left undone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from crawler.fetcher import Disallowed, Fetcher, NotFound
from crawler.progress import Crawls, Progress
from crawler.quality import check_listing
from crawler.sources import ListedItem, NotAListingPage, Source
from osusume.observability import logger
from osusume.snapshots import Snapshot

LISTING_BOUND = 2_000
"""The most works that are listed in search of known ones: those of two months at thirty a day."""

KNOWN_ENOUGH = 3
"""So many known works show that the listing has reached what is known; a single one may have been listed anew."""


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier crawls left: the newest snapshot that can be read, and when the bucket stored it.

    Where none of the newest can be read, `stored_at` is when the oldest of them was stored; it is None before the
    first snapshot.
    """

    last: Snapshot | None
    stored_at: datetime | None


def list_works(
    progress: Progress,
    crawls: Crawls,
    past: Past,
    source: Source,
    fetcher: Fetcher,
    *,
    item_limit: int,
    save: Callable[[], None],
) -> None:
    """Put into `progress` what the crawl is to read: what is listed and new, and what is owed from earlier crawls.

    A crawl that knows of no earlier one reads the newest `item_limit` works of the listing, a later one at least those
    and every one that is newer than the known ones. Raises `BadCrawl` for a listing that is too short, and the
    `SourceError` that keeps it from being read; what was read of it by then is in `progress`, which `save` stores.
    """
    first_page = source.listing_urls(1)[0]
    kept = crawls.kept()
    owed = _owed(progress, kept, past, source)
    given_up = _given_up(progress, past.last, source)
    known = {*kept, *owed, *given_up, *(item.item_id for item in (past.last.items if past.last else ()))}
    if progress.listing not in {"", first_page}:
        known = set()  # the works of another floor: this one's first crawl is bounded as the very first one is
    read = partial(_read_listing, progress, source, fetcher, item_limit=item_limit, known=known, save=save)
    try:
        listed = read()
    except (NotAListingPage, Disallowed, NotFound) as error:
        if progress.uses_fallback or not source.fallback_listing_urls(1):
            raise
        logger.warning("the listing cannot be read, its other form is tried", reason=str(error))
        progress.uses_fallback, progress.found, progress.pages_listed = True, [], 0
        listed = read()
    check_listing(len(listed), item_limit, past.last)
    progress.given_up = [item.item_id for item in progress.found if item.item_id in given_up]
    for item in listed:
        owed.pop(item.item_id, None)
    progress.listed = [*listed, *owed.values()]
    progress.listing, progress.owed, progress.found, progress.pages_listed = first_page, [], [], 0
    save()


def _owed(progress: Progress, kept: dict[str, datetime], past: Past, source: Source) -> dict[str, ListedItem]:
    """Return by id the works that must be read whether the listing still has them or not.

    They are the failures of the last snapshot, and what is in no snapshot: works that were listed by crawls that wrote
    none, and pages that were kept since the last one.
    """
    published = {item.item_id for item in past.last.items} if past.last else set()
    done = published | _given_up(progress, past.last, source)
    failures = past.last.failures if past.last else []
    unpublished = [id_ for id_, stored_at in kept.items() if past.stored_at is None or stored_at > past.stored_at]
    owed = {
        **{item_id: ListedItem(item_id, source.work_url(item_id), "") for item_id in unpublished},
        **{failure.item_id: ListedItem(failure.item_id, failure.url, "") for failure in failures},
        **{item.item_id: item for item in progress.owed},
    }
    return {item_id: item for item_id, item in owed.items() if item_id not in done}


def _given_up(progress: Progress, last: Snapshot | None, source: Source) -> set[str]:
    """Return the ids of works that are not asked for any more; a better parser gives each of them another chance."""
    if last and last.parser_version < source.parser_version:
        return set()
    return {*progress.given_up, *(failure.item_id for failure in (last.given_up if last else ()))}


def _read_listing(
    progress: Progress,
    source: Source,
    fetcher: Fetcher,
    *,
    item_limit: int,
    known: Collection[str],
    save: Callable[[], None],
) -> list[ListedItem]:
    """Return the newest works of the listing, which is read on from the page that `progress` has come to.

    Sets `progress.gap` where it ends, or comes to its bound, before it has reached what is known.
    """
    address = source.fallback_listing_urls if progress.uses_fallback else source.listing_urls
    least_pages = len(address(item_limit))
    for url in address(max(item_limit, LISTING_BOUND))[progress.pages_listed :]:
        is_enough = progress.pages_listed >= least_pages or len(progress.found) >= item_limit
        if is_enough and _is_overlapping(progress.found, known):
            break
        seen = {item.item_id for item in progress.found}
        new = [item for item in source.parse_listing_page(fetcher.fetch(url).text, url) if item.item_id not in seen]
        if not new:
            break
        progress.found += new
        progress.pages_listed += 1
        save()
    progress.gap = not _is_overlapping(progress.found, known)
    return _newest(progress.found, item_limit, known)


def _is_overlapping(found: list[ListedItem], known: Collection[str]) -> bool:
    return sum(item.item_id in known for item in found) >= min(KNOWN_ENOUGH, (len(known) + 1) // 2)


def _newest(found: list[ListedItem], item_limit: int, known: Collection[str]) -> list[ListedItem]:
    """Return the works down to the last new one that stands above a known one, and no fewer than `item_limit`.

    What stands below all known works was on sale before the first crawl.
    """
    if not known:
        return found[:item_limit]
    reached = _is_overlapping(found, known)
    end = (
        max((place for place, item in enumerate(found) if item.item_id in known), default=0) if reached else len(found)
    )
    last_new = max((place for place, item in enumerate(found[:end]) if item.item_id not in known), default=-1)
    return found[: max(item_limit, last_new + 1)]
