"""A crawl under way: what it has listed and who is at it, and every page ever read. Lies in S3, under `crawls/`.

This module alone knows these keys. `crawls/{source}/crawl.json` is the crawl under way (or the last one); it also says
which invocation works on it, so that a second one, started by an event delivered twice, leaves it alone.
`crawls/{source}/pages/{item_id}.json` is what a page said, written as soon as it is read: it is never fetched again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from crawler.sources import ListedItem
from osusume.items import Item
from osusume.observability import logger
from osusume.snapshots import Failure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef


class CrawlUnderWay(RuntimeError):
    """Raised when another invocation works on the crawl; it goes on by itself, and so do its retries."""


@dataclass(slots=True)
class Progress:
    """How far a crawl has come.

    `due_at` names the crawl: the time it was due, in ISO format. `listed` is empty until the listing is read.
    `failures` are the pages that failed in this crawl, `troubles` how many speak against the site or the parser.
    `last_request_at` and `not_before` (seconds since the epoch) keep its pace from one invocation to the next. `holder`
    is the request id of the invocation at work until `held_until`.
    """

    due_at: str
    robots_txt: str | None = None
    listed: list[ListedItem] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    troubles: int = 0
    last_request_at: float | None = None
    not_before: float = 0.0
    holder: str = ""
    held_until: float = 0.0


class Crawls:
    """The objects under `crawls/{source}/` of a bucket."""

    def __init__(self, s3: S3Client, bucket: str, source: str) -> None:
        self._s3, self._bucket = s3, bucket
        self._crawl_key = f"crawls/{source}/crawl.json"
        self._pages_prefix = _pages_prefix(source)
        self._etag: str | None = None

    def begin(self, due_at: str, holder: str, now: float, held_until: float) -> Progress:
        """Take up the crawl that was due at `due_at`, or begin it, as `holder` until `held_until`; return its progress.

        An invocation that died is followed by its own retry, which has its request id and goes on at once. Raises
        `CrawlUnderWay` where another invocation holds this crawl or another one.
        """
        progress = Progress(due_at)
        found = self._read(self._crawl_key)
        if found is not None:
            self._etag = found["ETag"]
            last = _stored_progress(found["Body"].read())
            if last.held_until > now and last.holder not in {"", holder}:
                raise CrawlUnderWay(f"the crawl due at {last.due_at} is under way in invocation {last.holder}")
            if last.due_at == due_at:
                progress = last
            else:
                # a new crawl keeps the pace of the last one, not its findings
                progress.last_request_at, progress.not_before = last.last_request_at, last.not_before
            if last.holder:
                progress.last_request_at = now  # it died and did not tell when it sent its last request
        progress.holder, progress.held_until = holder, held_until
        self.save(progress)
        return progress

    def free(self, holder: str, now: float) -> None:
        """Let go of a crawl that is done, where `holder` died before it did so."""
        found = self._read(self._crawl_key)
        if found is None:
            return
        last = _stored_progress(found["Body"].read())
        if last.holder == holder:
            self._etag = found["ETag"]
            last.holder, last.last_request_at = "", now
            self.save(last)

    def current(self) -> Progress | None:
        """Return the progress of the crawl under way, or of the last one, for somebody who looks on; None before one.

        What was listed is in it as soon as the listing is read, what failed only when a turn ends.
        """
        found = self._read(self._crawl_key)
        return None if found is None else _stored_progress(found["Body"].read())

    def save(self, progress: Progress) -> None:
        """Store the progress. Raises `CrawlUnderWay` where another invocation stored its own meanwhile."""
        condition: Any = {"IfNoneMatch": "*"} if self._etag is None else {"IfMatch": self._etag}
        body = json.dumps(asdict(progress)).encode()
        try:
            answer = self._s3.put_object(Bucket=self._bucket, Key=self._crawl_key, Body=body, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"PreconditionFailed", "ConditionalRequestConflict"}:
                raise
            # where S3's answer was lost on the way, the client asked again and met its own object
            found = self._read(self._crawl_key)
            if found is None or found["Body"].read() != body:
                raise CrawlUnderWay("another invocation took up the crawl at the same moment") from error
            self._etag = found["ETag"]
        else:
            self._etag = answer["ETag"]

    def page(self, item_id: str) -> Item | None:
        """Return the item as its page gave it when it was read; None where none is kept that this code can read."""
        key = self._pages_prefix + item_id + ".json"
        found = self._read(key)
        if found is None:
            return None
        try:
            return Item.from_json(json.loads(found["Body"].read()))
        except (ValueError, RecursionError) as error:  # JSON's and UTF-8's errors and InvalidItem alike
            logger.warning("a kept page cannot be read and is fetched again", key=key, reason=str(error))
            return None

    def keep_page(self, item_id: str, item: Item) -> None:
        """Store what the page listed as `item_id` gave, for good."""
        body = json.dumps(item.to_json(), ensure_ascii=False).encode()
        self._s3.put_object(Bucket=self._bucket, Key=self._pages_prefix + item_id + ".json", Body=body)

    def _read(self, key: str) -> GetObjectOutputTypeDef | None:
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=key)
        except self._s3.exceptions.NoSuchKey:
            return None


def pages_among(keys: Iterable[str], source: str) -> set[str]:
    """Return the ids of the items of a source whose page is kept, by the keys of a bucket.

    >>> pages_among(["crawls/dlsite/crawl.json", "crawls/dlsite/pages/RJ01234567.json"], "dlsite")
    {'RJ01234567'}
    """
    prefix = _pages_prefix(source)
    return {key.removeprefix(prefix).removesuffix(".json") for key in keys if key.startswith(prefix)}


def _pages_prefix(source: str) -> str:
    return f"crawls/{source}/pages/"


def _stored_progress(body: bytes) -> Progress:
    """Return the progress that was stored as `body`; one of no crawl where another version's code stored it."""
    try:
        value = json.loads(body)
        listed = [ListedItem.from_json(listed) for listed in value["listed"]]
        failures = [Failure.from_json(failure) for failure in value["failures"]]
        return _checked(Progress(**{**value, "listed": listed, "failures": failures}))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        logger.warning("the stored progress cannot be read, the crawl begins anew", reason=repr(error))
        return Progress(due_at="", holder="unknown")


def _checked(progress: Progress) -> Progress:
    """Return `progress`; raises `TypeError` or `ValueError` where a value is none that the crawl can go on from."""
    texts = [progress.due_at, progress.holder, *([] if progress.robots_txt is None else [progress.robots_txt])]
    numbers = [progress.troubles, progress.not_before, progress.held_until]
    numbers += [] if progress.last_request_at is None else [progress.last_request_at]
    if not all(isinstance(text, str) for text in texts) or not all(map(math.isfinite, numbers)):
        raise ValueError("a text is no string, or a number not finite")
    return progress
