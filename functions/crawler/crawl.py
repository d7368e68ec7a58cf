"""The crawl: the newest items of the source -> one snapshot, in as many turns as the time limit asks for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from crawler.fetcher import Challenged, Disallowed, Fetcher, NotFound, OutOfTime
from crawler.progress import Crawls, Progress
from crawler.sources import ListedItem, SourceError, dlsite
from osusume.items import Item
from osusume.observability import logger
from osusume.snapshots import (
    Failure,
    InvalidSnapshot,
    Snapshot,
    SnapshotMissing,
    list_snapshot_keys,
    read_snapshot,
    snapshot_key,
    write_snapshot,
)

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

Status = Literal["written", "already_written", "continues"]

TROUBLES_IN_A_ROW = 5
"""A site that fails so often in a row is left alone; the next try goes on."""

TOLERATED_TROUBLES = 2
TOLERATED_SHARE = 0.25
"""A crawl in which more pages failed than both of these allow is a bad one."""


class BadCrawl(RuntimeError):
    """Raised when a crawl would make a poor snapshot: none is written, and what was read is kept for the next try."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One invocation of the crawler: its request id, its clock (seconds since the epoch), the seconds it has left."""

    request_id: str
    now: Callable[[], float]
    remaining: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a turn came to; `requests` is how many it sent to the site. A crawl that `continues` wants another turn."""

    status: Status
    snapshot_key: str
    listed: int = 0
    failed: int = 0
    requests: int = 0


def crawl(
    due_at: datetime,
    s3: S3Client,
    bucket: str,
    *,
    floor: str,
    item_limit: int,
    turn: Turn,
    fetcher_from: Callable[[Progress], Fetcher],
) -> Outcome:
    """Take one turn at the crawl that was due at `due_at`.

    Called twice for one time, it writes one snapshot; called again after a crash, it goes on where the crash was.
    `fetcher_from` makes a fetcher that goes on at the pace of the progress it is given. Raises `CrawlUnderWay`,
    `BadCrawl`, or the `SourceError` that stopped the crawl.
    """
    key = snapshot_key(dlsite.SOURCE, due_at)
    keys = list_snapshot_keys(s3, bucket, dlsite.SOURCE)
    crawls = Crawls(s3, bucket, dlsite.SOURCE)
    if key in keys:
        crawls.free(turn.request_id, turn.now())
        return Outcome("already_written", key)
    ends = turn.now() + turn.remaining()
    progress = crawls.begin(due_at.astimezone(UTC).isoformat(), turn.request_id, turn.now(), ends)
    fetcher = fetcher_from(progress)
    last = _newest_readable(s3, bucket, keys)
    try:
        if not progress.listed:
            listed = _list(fetcher, floor, item_limit)
            _check_listing(listed, item_limit, last)
            progress.listed, progress.robots_txt = listed, fetcher.robots_txt
            crawls.save(progress)
        items = _read_pages(progress, crawls, last, fetcher, floor)
        now = datetime.fromtimestamp(turn.now(), UTC)
        write_snapshot(s3, bucket, key, Snapshot(dlsite.SOURCE, now, items, progress.failures))
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
    progress.holder = ""
    crawls.save(progress)


def _outcome(status: Status, key: str, progress: Progress, fetcher: Fetcher) -> Outcome:
    return Outcome(status, key, len(progress.listed), len(progress.failures), fetcher.requests)


def _newest_readable(s3: S3Client, bucket: str, keys: list[str]) -> Snapshot | None:
    if not keys:
        return None
    try:
        return read_snapshot(s3, bucket, keys[-1])
    except (InvalidSnapshot, SnapshotMissing) as error:
        # the pages it came from are kept, so nothing is fetched again
        logger.warning("the newest snapshot cannot be read", reason=str(error))
        return None


def _list(fetcher: Fetcher, floor: str, item_limit: int) -> list[ListedItem]:
    try:
        return _list_pages(fetcher, dlsite.listing_urls(floor, item_limit), item_limit)
    except (dlsite.NotAListingPage, Disallowed, NotFound) as error:
        logger.warning("the listing cannot be read, the other form of it is tried", reason=str(error))
        return _list_pages(fetcher, dlsite.fallback_listing_urls(floor, item_limit), item_limit)


def _list_pages(fetcher: Fetcher, urls: Iterable[str], item_limit: int) -> list[ListedItem]:
    listed: dict[str, ListedItem] = {}
    for url in urls:
        found = dlsite.parse_listing_page(fetcher.fetch(url).text, url)
        listed |= {item.item_id: item for item in found if item.item_id not in listed}
        if not found or len(listed) >= item_limit:
            break
    return list(listed.values())[:item_limit]


def _check_listing(listed: list[ListedItem], item_limit: int, last: Snapshot | None) -> None:
    usual = len(last.items) + len(last.failures) if last else item_limit / 5  # some of the newest works are music
    least = math.ceil(min(item_limit, usual) / 2)
    if len(listed) < least:
        raise BadCrawl(
            f"the listing has {len(listed)} works, at least {least} were expected: the site is in trouble,"
            " has nothing on this floor, or has changed its markup"
        )


def _read_pages(progress: Progress, crawls: Crawls, last: Snapshot | None, fetcher: Fetcher, floor: str) -> list[Item]:
    """Return the listed items, from the last snapshot, the pages kept or the site, in the order of the listing.

    A page is kept as soon as it is read; a failure goes into `progress`. Raises `OutOfTime`, `Challenged`, and
    `BadCrawl` where too many pages fail.
    """
    known = {item.item_id: item for item in last.items} if last else {}
    failed_before = {failure.item_id for failure in last.failures} if last else set()
    failed = {failure.item_id for failure in progress.failures}
    items: list[Item] = []
    read = troubles_in_a_row = 0
    for listed in progress.listed:
        item = known.get(listed.item_id) or crawls.page(listed.item_id)
        if item is None and listed.item_id not in failed:
            try:
                page = fetcher.fetch(dlsite.work_url(floor, listed.item_id))
                item = dlsite.parse_work_page(page.text, page.url)
            except (OutOfTime, Challenged):
                raise
            except SourceError as error:
                troubles_in_a_row += _note_failure(listed, error, progress, failed_before)
            else:
                crawls.keep_page(listed.item_id, item)
                troubles_in_a_row = 0
        if item is not None:
            items.append(item)
            read += listed.item_id not in known
        if troubles_in_a_row == TROUBLES_IN_A_ROW:
            raise _bad_crawl(progress, read)
    allowed = max(TOLERATED_TROUBLES, TOLERATED_SHARE * (read + len(progress.failures)))
    first_failures = sum(failure.item_id not in failed_before for failure in progress.failures)
    if progress.troubles > allowed or (read == 0 and first_failures >= TROUBLES_IN_A_ROW):
        raise _bad_crawl(progress, read)
    return items


def _note_failure(listed: ListedItem, error: SourceError, progress: Progress, failed_before: set[str]) -> bool:
    """Note the failure of a page, and tell whether it speaks against the site or the parser: against the crawl."""
    logger.warning("a page cannot be read", item_id=listed.item_id, url=listed.url, error=str(error))
    progress.failures.append(Failure(listed.item_id, listed.url, f"{type(error).__name__}: {error}"))
    # a work that is not for this region, is gone again, or failed the last time too, says nothing new
    trouble = not isinstance(error, NotFound | dlsite.RegionBlocked) and listed.item_id not in failed_before
    progress.troubles += trouble
    return trouble


def _bad_crawl(progress: Progress, read: int) -> BadCrawl:
    failures = progress.failures
    return BadCrawl(
        f"{len(failures)} of {read + len(failures)} new pages could not be read; the last: {failures[-1].error}"
    )
