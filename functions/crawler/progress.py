"""The stored state of a crawl, and every page ever read, in S3 under `crawls/`.

This module alone knows these keys. `crawls/{source}/crawl.json` is the current crawl (or the last one). It also
names the invocation that works on it, so that a second one, started by an event delivered twice, leaves it alone.
`crawls/{source}/pages/{item_id}.json` holds a page and its item, written as soon as the page is read: it is never
fetched again, and a better parser reads it from there.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
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
    """Raised when another invocation works on the crawl. That one, or its retry, will finish it."""


@dataclass(slots=True)
class Pace:
    """What a fetcher must know to keep the pace of a host: its robots.txt, and two times in seconds since the epoch."""

    robots_txt: str | None = None
    last_request_at: float | None = None
    not_before: float = 0.0


@dataclass(slots=True)
class KnownDocument:
    """What the last reading of a document leaves: its validators (RFC 9110, section 8.8) and the ids it listed."""

    etag: str = ""
    last_modified: str = ""
    item_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Progress:
    """How far a crawl has come.

    `due_at` identifies the crawl: the time it was due, in ISO format. `listed` are the works to read, empty until the
    listing is read. `failures` are the pages that failed in this crawl, and `troubles` is how many of them count
    towards `BadCrawl`. `paces` keeps the pace of each host from one invocation to the next, `long_wait` is how many
    seconds one of them asked to wait, if that was over a day and no snapshot says so. `holder` is the request id of the
    invocation that has the crawl until `held_until`; `nonce` tells it from another one with that request id.

    `listing` is the address of the listing's first page. `found` and `pages_listed` say how far the listing was read,
    `uses_fallback` in which of its forms, `gap` whether it ended before it reached known works. `owed` are works that
    earlier crawls listed and that may be in no snapshot yet. `given_up` are the ids of listed works that are no longer
    requested, `doubtful` those of works whose kept pages are not trusted. `in_flight` is the id of the page being read,
    and `deaths` counts by id the turns that died while reading a page.

    `documents` holds by address what was last read of each document, and `documents_read` the addresses that this crawl
    is done with.
    """

    due_at: str
    paces: dict[str, Pace] = field(default_factory=dict)
    listed: list[ListedItem] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    troubles: int = 0
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
    documents: dict[str, KnownDocument] = field(default_factory=dict)
    documents_read: list[str] = field(default_factory=list)
    long_wait: int = 0

    def following(self, due_at: str) -> Progress:
        """Return the initial progress of the crawl due at `due_at`, the next one after this.

        It keeps the pace, and owes the works that this one listed until it finds them in a snapshot.
        """
        return Progress(
            due_at,
            paces={host: replace(pace, robots_txt=None) for host, pace in self.paces.items()},
            long_wait=self.long_wait,
            listing=self.listing,
            owed=list({item.item_id: item for item in [*self.listed, *self.owed]}.values()),
            given_up=self.given_up,
            doubtful=self.doubtful,
            # each crawl tries a page that killed turns once more, until it is given up
            deaths=dict.fromkeys(self.deaths, 1),
            documents=self.documents,
        )

    def died(self, now: float) -> None:
        """Assume that the last invocation sent a request to each host just before `now`: it died without saying."""
        for pace in self.paces.values():
            pace.last_request_at = now


class Crawls:
    """The objects under `crawls/{source}/` of a bucket."""

    def __init__(self, s3: S3Client, bucket: str, source: str) -> None:
        self._s3, self._bucket = s3, bucket
        self._crawl_key = f"crawls/{source}/crawl.json"
        self._pages_prefix = _pages_prefix(source)
        self._etag: str | None = None

    def begin(self, due_at: str, holder: str, now: float, held_until: float) -> Progress:
        """Take the crawl due at `due_at` as `holder` until `held_until`, and return its progress.

        A retry has the request id of the invocation that died, and resumes at once. So does a second delivery of one
        event while the first is running: it takes the crawl over, and the first one's next `save` raises. Raises
        `CrawlUnderWay` if an invocation with another request id holds this crawl or another one.
        """
        progress = Progress(due_at)
        found = self._read(self._crawl_key)
        if found is not None:
            self._etag = found["ETag"]
            last = _stored_progress(found["Body"].read())
            if last.held_until > now and last.holder not in {"", holder}:
                raise CrawlUnderWay(f"the crawl due at {last.due_at} is under way in invocation {last.holder}")
            if last.holder:
                last.died(now)
                if last.in_flight:
                    last.deaths[last.in_flight] = last.deaths.get(last.in_flight, 0) + 1
            progress = last if last.due_at == due_at else last.following(due_at)
        progress.holder, progress.held_until, progress.nonce = holder, held_until, uuid4().hex
        progress.in_flight = ""
        self.save(progress)
        return progress

    def release(self, holder: str, now: float) -> None:
        """Release a finished crawl if `holder` died before it could."""
        found = self._read(self._crawl_key)
        if found is None:
            return
        last = _stored_progress(found["Body"].read())
        if last.holder == holder:
            self._etag = found["ETag"]
            last.holder = last.in_flight = ""
            last.died(now)
            self.save(last)

    def current(self) -> Progress | None:
        """Return the progress of the current crawl or the last one, None before the first; for display only.

        Listed works are in it as soon as the listing is read, failures only when a turn ends.
        """
        found = self._read(self._crawl_key)
        return None if found is None else _stored_progress(found["Body"].read())

    def save(self, progress: Progress) -> None:
        """Store the progress. Raises `CrawlUnderWay` if another invocation has stored its own since."""
        condition: Any = {"IfNoneMatch": "*"} if self._etag is None else {"IfMatch": self._etag}
        body = json.dumps(asdict(progress)).encode()
        try:
            answer = self._s3.put_object(Bucket=self._bucket, Key=self._crawl_key, Body=body, **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"PreconditionFailed", "ConditionalRequestConflict"}:
                raise
            # if S3's answer was lost, the client sent the request again and met its own object
            found = self._read(self._crawl_key)
            if found is None or found["Body"].read() != body:
                raise CrawlUnderWay("another invocation took the crawl at the same moment") from error
            self._etag = found["ETag"]
        else:
            self._etag = answer["ETag"]

    def page(self, item_id: str, parse: Parse | None = None, parser_version: int = 0) -> Item | None:
        """Return the item of a kept page; None without a page that this code can read.

        A page read by a parser older than `parser_version` is parsed again by `parse`.
        """
        key = self._pages_prefix + item_id + ".json"
        found = self._read(key)
        if found is None:
            return None
        try:
            value = json.loads(found["Body"].read())
            if parse is not None and "page" in value and value["parser_version"] < parser_version:
                return parse(gzip.decompress(base64.b64decode(value["page"], validate=True)).decode(), value["url"])
            # the first versions kept the item only
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
            # from JSON, UTF-8, base64, gzip and InvalidItem, and from values of another type
            logger.warning("a kept page cannot be read and is fetched again", key=key, reason=str(error))
            return None

    def keep_page(self, item_id: str, item: Item, html: str = "", url: str = "", parser_version: int = 0) -> None:
        """Store for good the page `html`, fetched from `url` for the work listed as `item_id`, and its item."""
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
    """Return the ids of a source's items whose pages are kept, given the keys of a bucket.

    >>> pages_among(["crawls/dlsite/crawl.json", "crawls/dlsite/pages/RJ01234567.json"], "dlsite")
    {'RJ01234567'}
    """
    prefix = _pages_prefix(source)
    return {key.removeprefix(prefix).removesuffix(".json") for key in keys if key.startswith(prefix)}


def _pages_prefix(source: str) -> str:
    return f"crawls/{source}/pages/"


def _stored_progress(body: bytes) -> Progress:
    """Return the progress stored as `body`; that of no crawl if this code cannot read it."""
    try:
        value = json.loads(body)
        lists = {
            name: [ListedItem.from_json(listed) for listed in value.get(name, [])]
            for name in ("listed", "found", "owed")
        }
        failures = [Failure.from_json(failure) for failure in value["failures"]]
        # a progress stored before sources had several hosts has the pace of one, which it does not name
        one_pace = {each: value.pop(each) for each in ("robots_txt", "last_request_at", "not_before") if each in value}
        named = {
            "paces": {host: Pace(**pace) for host, pace in value.get("paces", {"": one_pace}).items()},
            "documents": {url: KnownDocument(**known) for url, known in value.get("documents", {}).items()},
        }
        return _checked(Progress(**{**value, **lists, **named, "failures": failures}))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        logger.warning("the stored progress cannot be read, the crawl starts again", reason=repr(error))
        return Progress(due_at="", holder="unknown")


def _checked(progress: Progress) -> Progress:
    """Return `progress`; raises `TypeError` or `ValueError` where a stored value is unusable."""
    texts = [progress.due_at, progress.holder, progress.nonce, progress.listing, progress.in_flight]
    texts += [*progress.given_up, *progress.doubtful, *progress.deaths, *progress.documents_read]
    numbers = [progress.troubles, progress.held_until, progress.pages_listed, progress.long_wait]
    numbers += progress.deaths.values()
    for pace in progress.paces.values():
        texts += [] if pace.robots_txt is None else [pace.robots_txt]
        numbers += [pace.not_before, *([] if pace.last_request_at is None else [pace.last_request_at])]
    for known in progress.documents.values():
        texts += [known.etag, known.last_modified, *known.item_ids]
    if not all(isinstance(text, str) for text in texts) or not all(map(math.isfinite, numbers)):
        raise ValueError("a text is not a string, or a number is not finite")
    return progress
