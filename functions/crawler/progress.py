"""A crawl under way: what it has listed and who is at it, and every page ever read. Lies in S3, under `crawls/`.

This module alone knows these keys. `crawls/{source}/crawl.json` is the crawl under way (or the last one); it also says
which invocation works on it, so that a second one, started by an event delivered twice, leaves it alone.
`crawls/{source}/pages/{item_id}.json` is a page and what the parser made of it, written as soon as it is read: it is
never fetched again, and a better parser reads it again from there.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from botocore.exceptions import ClientError

from crawler.sources import ListedItem, SourceError
from osusume.items import Item
from osusume.observability import logger
from osusume.snapshots import Failure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

Parse = Callable[[str, str], Item]
"""Returns the item that a page's HTML, fetched from an address, describes. Raises `SourceError`."""


class CrawlUnderWay(RuntimeError):
    """Raised when another invocation works on the crawl; it carries on by itself, and so do its retries."""


@dataclass(slots=True)
class Progress:
    """How far a crawl has come.

    `due_at` names the crawl: the time it was due, in ISO format. `listed` is what the crawl is to read; it is empty
    until the listing is read. `failures` are the pages that failed in this crawl, `troubles` how many count towards
    `BadCrawl`. `last_request_at` and `not_before` (seconds since the epoch) keep its pace from one invocation
    to the next. `holder` is the request id of the invocation at work until `held_until`, `nonce` tells it from another
    one with that request id.

    `listing` is the address of the listing's first page. `found` and `pages_listed` are how far the listing was read,
    `uses_fallback` in which of its forms, `gap` whether it ended before it reached what is known. `owed` are works that
    earlier crawls listed, which may be in no snapshot yet. `given_up` are the ids of works that are listed and not
    asked for any more, `doubtful` of those whose kept pages are not trusted. `in_flight` is the id of the page that is
    being read, and `deaths` counts the turns that died at a page, by its id.
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
    nonce: str = field(default="", compare=False)
    listing: str = ""
    found: list[ListedItem] = field(default_factory=list)
    pages_listed: int = 0
    uses_fallback: bool = False
    gap: bool = False
    owed: list[ListedItem] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    in_flight: str = ""
    deaths: dict[str, int] = field(default_factory=dict)

    def following(self, due_at: str) -> Progress:
        """Return the progress with which the crawl due at `due_at` begins after this one.

        It keeps the pace and owes what this one listed, until it finds it in a snapshot.
        """
        return Progress(
            due_at,
            last_request_at=self.last_request_at,
            not_before=self.not_before,
            listing=self.listing,
            owed=list({item.item_id: item for item in [*self.listed, *self.owed]}.values()),
            given_up=self.given_up,
            doubtful=self.doubtful,
            # a page that killed turns is asked for once more by each crawl, until it is given up
            deaths=dict.fromkeys(self.deaths, 1),
        )


class Crawls:
    """The objects under `crawls/{source}/` of a bucket."""

    def __init__(self, s3: S3Client, bucket: str, source: str) -> None:
        self._s3, self._bucket = s3, bucket
        self._crawl_key = f"crawls/{source}/crawl.json"
        self._pages_prefix = _pages_prefix(source)
        self._etag: str | None = None

    def begin(self, due_at: str, holder: str, now: float, held_until: float) -> Progress:
        """Take up the crawl that was due at `due_at`, or begin it, as `holder` until `held_until`; return its progress.

        A retry has the request id of the invocation that died, and resumes at once. So does a second delivery of one
        event while the first is at work: it takes the crawl over, and the first one's next `save` raises. Raises
        `CrawlUnderWay` where an invocation with another request id holds this crawl or another one.
        """
        progress = Progress(due_at)
        found = self._read(self._crawl_key)
        if found is not None:
            self._etag = found["ETag"]
            last = _stored_progress(found["Body"].read())
            if last.held_until > now and last.holder not in {"", holder}:
                raise CrawlUnderWay(f"the crawl due at {last.due_at} is under way in invocation {last.holder}")
            if last.holder:
                last.last_request_at = now  # it died and did not tell when it sent its last request
                if last.in_flight:
                    last.deaths[last.in_flight] = last.deaths.get(last.in_flight, 0) + 1
            progress = last if last.due_at == due_at else last.following(due_at)
        progress.holder, progress.held_until, progress.nonce = holder, held_until, uuid4().hex
        progress.in_flight = ""
        self.save(progress)
        return progress

    def release(self, holder: str, now: float) -> None:
        """Release a crawl that is done, where `holder` died before it did so."""
        found = self._read(self._crawl_key)
        if found is None:
            return
        last = _stored_progress(found["Body"].read())
        if last.holder == holder:
            self._etag = found["ETag"]
            last.holder, last.in_flight, last.last_request_at = "", "", now
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

    def page(self, item_id: str, parse: Parse | None = None, parser_version: int = 0) -> Item | None:
        """Return the item of a page that was read before; None where none is kept that this code can read.

        A page that an older parser than `parser_version` read is given to `parse` again.
        """
        key = self._pages_prefix + item_id + ".json"
        found = self._read(key)
        if found is None:
            return None
        try:
            value = json.loads(found["Body"].read())
            if parse is not None and "page" in value and value["parser_version"] < parser_version:
                return parse(gzip.decompress(base64.b64decode(value["page"], validate=True)).decode(), value["url"])
            # until pages were kept whole, what lay here was the item alone
            return Item.from_json(value.get("item", value))
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OSError,
            EOFError,
            RecursionError,
            SourceError,
        ) as error:
            # of JSON, UTF-8, base64 and gzip, InvalidItem, and whatever a value of another type brings
            logger.warning("a kept page cannot be read and is fetched again", key=key, reason=str(error))
            return None

    def keep_page(self, item_id: str, item: Item, html: str = "", url: str = "", parser_version: int = 0) -> None:
        """Store the page `html`, fetched from `url` for the work listed as `item_id`, and what it says, for good."""
        packed = base64.b64encode(gzip.compress(html.encode("utf-8", "replace"), mtime=0)).decode()
        value = {"item": item.to_json(), "parser_version": parser_version, "url": url, "page": packed}
        body = json.dumps(value, ensure_ascii=False).encode()
        self._s3.put_object(Bucket=self._bucket, Key=self._pages_prefix + item_id + ".json", Body=body)

    def kept(self) -> dict[str, datetime]:
        """Return when each kept page was stored, by the id of its item."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._pages_prefix)
        entries = [entry for page in pages for entry in page.get("Contents", [])]
        return {
            entry["Key"].removeprefix(self._pages_prefix).removesuffix(".json"): entry["LastModified"]
            for entry in entries
        }

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
        lists = {
            name: [ListedItem.from_json(listed) for listed in value.get(name, [])]
            for name in ("listed", "found", "owed")
        }
        failures = [Failure.from_json(failure) for failure in value["failures"]]
        return _checked(Progress(**{**value, **lists, "failures": failures}))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        logger.warning("the stored progress cannot be read, the crawl begins anew", reason=repr(error))
        return Progress(due_at="", holder="unknown")


def _checked(progress: Progress) -> Progress:
    """Return `progress`; raises `TypeError` or `ValueError` where a stored value is unusable."""
    texts = [progress.due_at, progress.holder, progress.nonce, progress.listing, progress.in_flight]
    texts += [*progress.given_up, *progress.doubtful, *progress.deaths]
    texts += [] if progress.robots_txt is None else [progress.robots_txt]
    numbers = [progress.troubles, progress.not_before, progress.held_until, progress.pages_listed]
    numbers += [*progress.deaths.values(), *([] if progress.last_request_at is None else [progress.last_request_at])]
    if not all(isinstance(text, str) for text in texts) or not all(map(math.isfinite, numbers)):
        raise ValueError("a text is no string, or a number not finite")
    return progress
