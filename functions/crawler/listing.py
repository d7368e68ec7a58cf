"""Which works a crawl reads: the new ones of the listing, and those that earlier crawls left undone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from crawler.fetcher import Disallowed, NotFound
from crawler.quality import check_listing
from crawler.session import Session, fetcher_of
from crawler.sources import ListedItem, NotAListingPage, PagedSource
from osusume.observability import logger

LISTING_BOUND = 2_000
"""The most works to list while looking for known ones: two months at thirty a day."""

KNOWN_ENOUGH = 3
"""So many known works show that the listing has reached old ones; a single one may have been listed again."""


def list_works(session: Session[PagedSource]) -> None:
    """Set which works the crawl reads: the new ones that are listed, and those owed from earlier crawls.

    The first crawl reads the newest `item_limit` works of the listing. A later one reads at least those, and every work
    newer than the known ones. Raises `BadCrawl` for a listing that is too short, and the `SourceError` that stopped the
    reading; the part read by then is stored.
    """
    progress, source = session.progress, session.source
    first_page = source.listing_urls(1)[0]
    kept = session.crawls.kept()
    given_up = _given_up(session)
    owed = _owed(session, kept, given_up)
    known = {*kept, *owed, *given_up, *session.published}
    if progress.listing not in {"", first_page}:
        known = set()  # the known works are of another floor: limit this floor's first crawl as the very first one
    try:
        listed = _read_listing(session, known)
    except (NotAListingPage, Disallowed, NotFound) as error:
        if progress.uses_fallback or not source.fallback_listing_urls(1):
            raise
        logger.warning("the listing cannot be read, its other form is tried", reason=str(error))
        progress.uses_fallback, progress.found, progress.pages_listed = True, [], 0
        listed = _read_listing(session, known)
    check_listing(len(listed), session.item_limit, session.last)
    progress.given_up = [item.item_id for item in progress.found if item.item_id in given_up]
    for item in listed:
        owed.pop(item.item_id, None)
    progress.listed = [*listed, *owed.values()]
    progress.listing, progress.owed, progress.found, progress.pages_listed = first_page, [], [], 0
    session.save()


def _owed(session: Session[PagedSource], kept: dict[str, datetime], given_up: Collection[str]) -> dict[str, ListedItem]:
    """Return by id the works that must be read even if they are no longer listed.

    They are the failures of the last snapshot and the works in no snapshot: those listed by crawls that wrote none, and
    those whose pages were kept since the last one.
    """
    owed = {
        **{item_id: ListedItem(item_id, session.source.work_url(item_id), "") for item_id in session.unpublished(kept)},
        **{item_id: ListedItem(item_id, failure.url, "") for item_id, failure in session.failed_before.items()},
        **{item.item_id: item for item in session.progress.owed},
    }
    done = {*session.published, *given_up}
    return {item_id: item for item_id, item in owed.items() if item_id not in done}


def _given_up(session: Session[PagedSource]) -> set[str]:
    """Return the ids of works that are no longer requested; a better parser gives each another chance."""
    if session.has_better_parser:
        return set()
    failures = session.last.given_up if session.last else []
    return {*session.progress.given_up, *(failure.item_id for failure in failures)}


def _read_listing(session: Session[PagedSource], known: Collection[str]) -> list[ListedItem]:
    """Return the newest works of the listing, starting at the first page not read yet.

    Sets `progress.gap` if the listing ends, or reaches its bound, before it reaches known works.
    """
    progress, source, item_limit = session.progress, session.source, session.item_limit
    address = source.fallback_listing_urls if progress.uses_fallback else source.listing_urls
    least_pages = len(address(item_limit))
    for url in address(max(item_limit, LISTING_BOUND))[progress.pages_listed :]:
        is_enough = progress.pages_listed >= least_pages or len(progress.found) >= item_limit
        if is_enough and _is_overlapping(progress.found, known):
            break
        seen = {item.item_id for item in progress.found}
        listed = source.parse_listing_page(fetcher_of(session).fetch(url).text, url)
        new = [item for item in listed if item.item_id not in seen]
        if not new:
            break
        progress.found += new
        progress.pages_listed += 1
        session.save()
    progress.gap = not _is_overlapping(progress.found, known)
    return _newest(progress.found, item_limit, known)


def _is_overlapping(found: list[ListedItem], known: Collection[str]) -> bool:
    return sum(item.item_id in known for item in found) >= min(KNOWN_ENOUGH, (len(known) + 1) // 2)


def _newest(found: list[ListedItem], item_limit: int, known: Collection[str]) -> list[ListedItem]:
    """Return the works down to the last new one above a known one, and at least `item_limit`.

    Works below all known ones were on sale before the first crawl.
    """
    if not known:
        return found[:item_limit]
    end = len(found)
    if _is_overlapping(found, known):
        end = max((place for place, item in enumerate(found) if item.item_id in known), default=0)
    last_new = max((place for place, item in enumerate(found[:end]) if item.item_id not in known), default=-1)
    return found[: max(item_limit, last_new + 1)]
