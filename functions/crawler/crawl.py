"""The crawl: reads the newest items of a source into one snapshot, in as many turns as the time limit requires."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast

from botocore.exceptions import BotoCoreError, ClientError

from crawler.documents import read_documents, read_one_document
from crawler.fetcher import Challenged, NotFound, OutOfTime, SlowDown
from crawler.listing import list_works
from crawler.progress import Crawls
from crawler.quality import TROUBLES_IN_A_ROW, BadCrawl, bad_crawl, check_pages, poor_pages
from crawler.session import FetcherFrom, Session, fetcher_of
from crawler.sources import (
    DocumentSource,
    ListedItem,
    NotAListingPage,
    PagedSource,
    RegionBlocked,
    Source,
    SourceError,
)
from osusume.items import Item
from osusume.observability import logger
from osusume.snapshots import (
    GIVE_UP_DAYS,
    Failure,
    InvalidSnapshot,
    Snapshot,
    SnapshotMissing,
    list_snapshots,
    read_snapshot,
    snapshot_key,
    write_snapshot,
)

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

__all__ = [
    "TROUBLES_IN_A_ROW",
    "BadCrawl",
    "Outcome",
    "Turn",
    "WrongPage",
    "call_again",
    "crawl",
    "read_one",
]

Status = Literal["written", "already_written", "continues"]

MOST_UNREADABLE = 7
"""How many of the newest snapshots are tried until one can be read."""


class WrongPage(SourceError):
    """Raised when the page at a work's address describes another work."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One invocation of the crawler: its request id, its clock (seconds since the epoch), the seconds it has left."""

    request_id: str
    now: Callable[[], float]
    remaining: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a turn; `requests` is how many it sent to the site. A crawl that `continues` needs another turn.

    `gap` is true if the listing ended before it reached known works.
    """

    status: Status
    snapshot_key: str
    listed: int = 0
    failed: int = 0
    requests: int = 0
    gap: bool = False


def crawl(
    due_at: datetime,
    s3: S3Client,
    bucket: str,
    *,
    source: Source,
    item_limit: int,
    turn: Turn,
    fetcher_from: FetcherFrom,
) -> Outcome:
    """Take one turn at the crawl that was due at `due_at`.

    Called twice for one time, it writes one snapshot; called again after a crash, it resumes. `item_limit` is how many
    works the first crawl reads; later ones read all new works. Raises `CrawlUnderWay`, `BadCrawl`, or the `SourceError`
    that stopped the crawl.
    """
    key = snapshot_key(source.name, due_at)
    stored = list_snapshots(s3, bucket, source.name)
    crawls = Crawls(s3, bucket, source.name)
    if key in stored:
        crawls.release(turn.request_id, turn.now())
        return Outcome("already_written", key)
    ends = turn.now() + turn.remaining()
    progress = crawls.begin(due_at.astimezone(UTC).isoformat(), turn.request_id, turn.now(), ends)
    session: Session[Source] = Session(source, item_limit, progress, crawls, fetcher_from, *_newest(s3, bucket, stored))
    try:
        items = _read(session)
        crawled_at = datetime.fromtimestamp(turn.now(), UTC)
        write_snapshot(s3, bucket, key, _snapshot(session, items, crawled_at, due_at))
        session.forget_long_wait()
    except OutOfTime:
        session.hand_over()
        if session.requests == 0:
            raise  # turns without time for a single request would follow each other for ever
        return _outcome("continues", key, session)
    except (SourceError, BadCrawl, BotoCoreError, ClientError):
        # the next try fetches the failed pages again, and may start at once
        progress.failures, progress.troubles, progress.documents_read = [], 0, []
        session.hand_over()
        raise
    session.hand_over()
    return _outcome("written", key, session)


def read_one(s3: S3Client, bucket: str, source: Source, turn: Turn, fetcher_from: FetcherFrom) -> Item:
    """Return the newest work, read as a crawl reads it; the next crawl finds its page. It writes no snapshot.

    Raises as `crawl` does.
    """
    crawls = Crawls(s3, bucket, source.name)
    last = crawls.current()
    # it holds the last crawl, so that no other one sends requests at the same time, and keeps its pace
    progress = crawls.begin(last.due_at if last else "", turn.request_id, turn.now(), turn.now() + turn.remaining())
    session: Session[Source] = Session(source, 1, progress, crawls, fetcher_from, None, None)
    try:
        if isinstance(source, DocumentSource):
            return read_one_document(cast("Session[DocumentSource]", session))
        return _read_one_page(cast("Session[PagedSource]", session))
    finally:
        session.hand_over()


def call_again(lambda_client: LambdaClient, function_name: str, due_at: datetime, source: str) -> None:
    """Invoke this function again, for the next turn of the crawl of `source` that was due at `due_at`."""
    payload = json.dumps({"scheduled_at": due_at.isoformat(), "source": source}).encode()
    lambda_client.invoke(FunctionName=function_name, InvocationType="Event", Payload=payload)


def _outcome(status: Status, key: str, session: Session[Source]) -> Outcome:
    progress = session.progress
    return Outcome(status, key, len(progress.listed), len(progress.failures), session.requests, progress.gap)


def _newest(s3: S3Client, bucket: str, stored: dict[str, datetime]) -> tuple[Snapshot | None, datetime | None]:
    """Return the newest readable snapshot and when it was stored, as `Session` has them.

    The pages of unreadable snapshots are kept, so none is fetched again.
    """
    stored_at = None
    for key in list(reversed(stored))[:MOST_UNREADABLE]:
        stored_at = stored[key]
        try:
            return read_snapshot(s3, bucket, key), stored_at
        except (InvalidSnapshot, SnapshotMissing) as error:
            logger.warning("a snapshot cannot be read", reason=str(error))
    return None, stored_at


def _read(session: Session[Source]) -> list[Item]:
    """Return the items that the crawl has to tell of, read as the source's kind asks for."""
    if isinstance(session.source, DocumentSource):
        return read_documents(cast("Session[DocumentSource]", session))
    pages = cast("Session[PagedSource]", session)
    if not session.progress.listed:
        list_works(pages)
    return _read_pages(pages)


def _read_one_page(session: Session[PagedSource]) -> Item:
    url = session.source.listing_urls(1)[0]
    listed = session.source.parse_listing_page(fetcher_of(session).fetch(url).text, url)
    if not listed:
        raise NotAListingPage(f"{url} lists no works")
    return _kept_item(session, listed[0]) or _fetch_item(session, listed[0])


def _read_pages(session: Session[PagedSource]) -> list[Item]:
    """Return the listed items in the order of the listing: from the last snapshot, the kept pages or the site.

    A page is kept as soon as it is read. Failures go into the progress. Raises `OutOfTime`, `Challenged`,
    `SlowDown`, and `BadCrawl` if too many pages fail or say little.
    """
    progress = session.progress
    published = session.published
    current, older = ({}, published) if session.has_better_parser else (published, {})
    failed = {failure.item_id for failure in progress.failures}
    items: list[Item] = []
    read: list[Item] = []
    troubles_in_a_row = 0
    for listed in progress.listed:
        item_id = listed.item_id
        if item_id in progress.given_up:
            continue
        item = current.get(item_id) or _kept_item(session, listed) or older.get(item_id)
        if item is None and item_id not in failed:
            try:
                item = _fetch_item(session, listed)
            except (OutOfTime, Challenged, SlowDown):
                raise
            except SourceError as error:
                troubles_in_a_row += _note_failure(session, listed, error)
            else:
                troubles_in_a_row = 0
        if item is not None:
            items.append(item)
            read += [] if item_id in published else [item]
        if troubles_in_a_row == TROUBLES_IN_A_ROW:
            raise bad_crawl(len(read), progress.failures)
    progress.doubtful = poor_pages(read, session.last)
    check_pages(len(read), progress.failures, progress.troubles, len(progress.doubtful), session.failed_before)
    progress.doubtful = []
    return items


def _kept_item(session: Session[PagedSource], listed: ListedItem) -> Item | None:
    """Return the item that the current parser reads from the work's kept page; None without a page to trust."""

    def parse(html: str, url: str) -> Item:
        session.mark_in_flight(listed.item_id, listed.url)
        session.save()
        return session.source.parse_work_page(html, url)

    if listed.item_id in session.progress.doubtful:
        return None
    item = session.crawls.page(listed.item_id, parse, session.source.parser_version)
    return item if item and item.item_id == listed.item_id else None


def _fetch_item(session: Session[PagedSource], listed: ListedItem) -> Item:
    """Return the item that the work's page describes, and keep the page. Raises `SourceError`."""
    source = session.source
    session.mark_in_flight(listed.item_id, listed.url)
    page = fetcher_of(session).fetch(source.page_address(listed.url))
    item = source.parse_work_page(page.text, page.url)
    if item.item_id != listed.item_id:
        raise WrongPage(f"{page.url}, requested as {listed.item_id}, is the page of {item.item_id}: skip it")
    session.crawls.keep_page(listed.item_id, item, page.text, page.url, source.parser_version)
    return item


def _note_failure(session: Session[PagedSource], listed: ListedItem, error: SourceError) -> bool:
    """Note the failure of a page, and return whether it counts towards `BadCrawl`."""
    logger.warning("a page cannot be read", item_id=listed.item_id, url=listed.url, error=str(error))
    session.progress.failures.append(Failure(listed.item_id, listed.url, f"{type(error).__name__}: {error}"))
    # a work that is blocked here, was removed, or failed before says nothing about the site's health
    trouble = not isinstance(error, NotFound | RegionBlocked) and listed.item_id not in session.failed_before
    session.progress.troubles += trouble
    return trouble


def _snapshot(session: Session[Source], items: list[Item], crawled_at: datetime, due_at: datetime) -> Snapshot:
    due = due_at.astimezone(UTC)
    is_paged = not isinstance(session.source, DocumentSource)  # a document is asked for again on every morning
    snapshot = Snapshot(
        session.source.name,
        crawled_at,
        items,
        gap=session.progress.gap,
        long_wait=session.long_wait,
        parser_version=session.source.parser_version,
    )
    for failure in session.progress.failures:
        before = session.failed_before.get(failure.item_id)
        first = (before and before.first_failed_at) or due.isoformat()
        is_over = is_paged and due - datetime.fromisoformat(first) >= timedelta(days=GIVE_UP_DAYS)
        (snapshot.given_up if is_over else snapshot.failures).append(replace(failure, first_failed_at=first))
    return snapshot
