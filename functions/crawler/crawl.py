"""The crawl: the newest items of the source -> one snapshot, in as many turns as the time limit asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from crawler.fetcher import Challenged, Fetcher, NotFound, OutOfTime, SlowDown
from crawler.listing import Past, list_works
from crawler.progress import Crawls, Progress
from crawler.quality import TROUBLES_IN_A_ROW, BadCrawl, bad_crawl, check_pages, poor_pages
from crawler.sources import ListedItem, RegionBlocked, Source, SourceError
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

__all__ = ["TROUBLES_IN_A_ROW", "BadCrawl", "DeadlyPage", "Outcome", "Turn", "WrongPage", "call_again", "crawl"]

Status = Literal["written", "already_written", "continues"]

MOST_DEATHS = 2
"""A page at which so many turns died is a failure: the next turn would die of it too."""

MOST_UNREADABLE = 7
"""Snapshots that are looked at for one that can be read."""


class WrongPage(SourceError):
    """Raised when a work's address is answered with another work's page."""


class DeadlyPage(SourceError):
    """Raised in place of reading a page at which `MOST_DEATHS` turns died."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One invocation of the crawler: its request id, its clock (seconds since the epoch), the seconds it has left."""

    request_id: str
    now: Callable[[], float]
    remaining: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a turn came to; `requests` is how many it sent to the site. A crawl that `continues` wants another turn.

    `gap` tells that the listing did not reach what earlier crawls know.
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
    fetcher_from: Callable[[Progress], Fetcher],
) -> Outcome:
    """Take one turn at the crawl that was due at `due_at`.

    Called twice for one time, it writes one snapshot; called again after a crash, it resumes. `source` is the shop.
    `item_limit` is how many works the first crawl reads; later ones read all that are new. `fetcher_from` makes a
    fetcher that keeps the pace of the progress it is given. Raises `CrawlUnderWay`, `BadCrawl`, or the `SourceError`
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
    fetcher = fetcher_from(progress)

    def save() -> None:
        progress.robots_txt, progress.not_before = fetcher.robots_txt, fetcher.not_before
        crawls.save(progress)

    # saved before each request, so that an invocation that another one has replaced finds out before it asks again
    fetcher.before_request, fetcher.readdress = save, source.page_address
    past = _past(s3, bucket, stored)
    try:
        if not progress.listed:
            list_works(progress, crawls, past, source, fetcher, item_limit=item_limit, save=save)
        items = _read_pages(progress, crawls, past.last, fetcher, save, source=source)
        now = datetime.fromtimestamp(turn.now(), UTC)
        write_snapshot(s3, bucket, key, _snapshot(now, due_at, items, progress, past.last, source=source))
    except OutOfTime:
        _hand_over(progress, crawls, fetcher)
        if fetcher.requests == 0:
            raise  # a turn that has no time for even one request would be followed by another for ever
        return _outcome("continues", key, progress, fetcher)
    except (SourceError, BadCrawl, BotoCoreError, ClientError):
        # the next try fetches again what failed in this one, and need not wait for the end of this one's time
        progress.failures, progress.troubles = [], 0
        _hand_over(progress, crawls, fetcher)
        raise
    _hand_over(progress, crawls, fetcher)
    return _outcome("written", key, progress, fetcher)


def call_again(lambda_client: LambdaClient, function_name: str, due_at: datetime) -> None:
    """Call this function once more, for the next turn of the crawl that was due at `due_at`."""
    payload = json.dumps({"scheduled_at": due_at.isoformat()}).encode()
    lambda_client.invoke(FunctionName=function_name, InvocationType="Event", Payload=payload)


def _hand_over(progress: Progress, crawls: Crawls, fetcher: Fetcher) -> None:
    """Store the progress as the next turn wants it: free to take up, and at the pace that the host was promised."""
    progress.robots_txt = fetcher.robots_txt
    progress.last_request_at, progress.not_before = fetcher.last_request_at, fetcher.not_before
    progress.holder = progress.in_flight = ""
    crawls.save(progress)


def _outcome(status: Status, key: str, progress: Progress, fetcher: Fetcher) -> Outcome:
    return Outcome(status, key, len(progress.listed), len(progress.failures), fetcher.requests, progress.gap)


def _past(s3: S3Client, bucket: str, stored: dict[str, datetime]) -> Past:
    """Return the newest snapshot that can be read; the pages of the others are kept, and none is fetched again."""
    stored_at = None
    for key in list(reversed(stored))[:MOST_UNREADABLE]:
        stored_at = stored[key]
        try:
            return Past(read_snapshot(s3, bucket, key), stored_at)
        except (InvalidSnapshot, SnapshotMissing) as error:
            logger.warning("a snapshot cannot be read", reason=str(error))
    return Past(None, stored_at)


def _read_pages(
    progress: Progress,
    crawls: Crawls,
    last: Snapshot | None,
    fetcher: Fetcher,
    save: Callable[[], None],
    *,
    source: Source,
) -> list[Item]:
    """Return the listed items, from the last snapshot, the pages kept or the site, in the order of the listing.

    A page is kept as soon as it is read; a failure goes into `progress`. Raises `OutOfTime`, `Challenged`, `SlowDown`,
    and `BadCrawl` where too many pages fail or say little.
    """
    published = {item.item_id: item for item in last.items} if last else {}
    is_current = last is not None and last.parser_version >= source.parser_version
    current, older = (published, {}) if is_current else ({}, published)
    failed_before = {failure.item_id for failure in last.failures} if last else set()
    failed = {failure.item_id for failure in progress.failures}
    items: list[Item] = []
    read: list[Item] = []
    troubles_in_a_row = 0
    for listed in progress.listed:
        if listed.item_id in progress.given_up:
            continue
        item = (
            current.get(listed.item_id)
            or _kept_item(listed, progress, crawls, source, save)
            or older.get(listed.item_id)
        )
        if item is None and listed.item_id not in failed:
            try:
                item = _fetch_item(listed, progress, crawls, source, fetcher)
            except (OutOfTime, Challenged, SlowDown):
                raise
            except SourceError as error:
                troubles_in_a_row += _note_failure(listed, error, progress, failed_before)
            else:
                troubles_in_a_row = 0
        if item is not None:
            items.append(item)
            read += [] if listed.item_id in published else [item]
        if troubles_in_a_row == TROUBLES_IN_A_ROW:
            raise bad_crawl(len(read), progress.failures)
    progress.doubtful = poor_pages(read, last)
    check_pages(len(read), progress.failures, progress.troubles, len(progress.doubtful), failed_before)
    progress.doubtful = []
    return items


def _kept_item(
    listed: ListedItem, progress: Progress, crawls: Crawls, source: Source, save: Callable[[], None]
) -> Item | None:
    """Return what the work's kept page says to the present parser; None where none is kept that can be trusted."""

    def parse(html: str, url: str) -> Item:
        _mark_in_flight(listed, progress)
        save()
        return source.parse_work_page(html, url)

    if listed.item_id in progress.doubtful:
        return None
    item = crawls.page(listed.item_id, parse, source.parser_version)
    return item if item and item.item_id == listed.item_id else None


def _fetch_item(listed: ListedItem, progress: Progress, crawls: Crawls, source: Source, fetcher: Fetcher) -> Item:
    """Return what the work's page says, and keep the page. Raises the `SourceError` that keeps it from being read."""
    _mark_in_flight(listed, progress)
    page = fetcher.fetch(source.page_address(listed.url))
    item = source.parse_work_page(page.text, page.url)
    if item.item_id != listed.item_id:
        raise WrongPage(f"{page.url}, asked for as {listed.item_id}, is the page of {item.item_id}: leave it out")
    crawls.keep_page(listed.item_id, item, page.text, page.url, source.parser_version)
    return item


def _mark_in_flight(listed: ListedItem, progress: Progress) -> None:
    """Note which page is about to be read. Raises `DeadlyPage` for one that the turn would die of."""
    if progress.deaths.get(listed.item_id, 0) >= MOST_DEATHS:
        raise DeadlyPage(f"{MOST_DEATHS} turns died while {listed.url} was read: see the crawler's log for why")
    progress.in_flight = listed.item_id


def _note_failure(listed: ListedItem, error: SourceError, progress: Progress, failed_before: set[str]) -> bool:
    """Note the failure of a page, and return whether it counts towards `BadCrawl`."""
    logger.warning("a page cannot be read", item_id=listed.item_id, url=listed.url, error=str(error))
    progress.failures.append(Failure(listed.item_id, listed.url, f"{type(error).__name__}: {error}"))
    # a work that is not for this region, is gone again, or failed the last time too, says nothing new
    trouble = not isinstance(error, NotFound | RegionBlocked) and listed.item_id not in failed_before
    progress.troubles += trouble
    return trouble


def _snapshot(
    now: datetime,
    due_at: datetime,
    items: list[Item],
    progress: Progress,
    last: Snapshot | None,
    *,
    source: Source,
) -> Snapshot:
    due = due_at.astimezone(UTC)
    first_failures = {failure.item_id: failure.first_failed_at for failure in (last.failures if last else [])}
    failures: list[Failure] = []
    given_up: list[Failure] = []
    for failure in progress.failures:
        first = first_failures.get(failure.item_id) or due.isoformat()
        is_over = due - datetime.fromisoformat(first) >= timedelta(days=GIVE_UP_DAYS)
        (given_up if is_over else failures).append(replace(failure, first_failed_at=first))
    return Snapshot(
        source.name,
        now,
        items,
        failures,
        given_up=given_up,
        gap=progress.gap,
        parser_version=source.parser_version,
    )
