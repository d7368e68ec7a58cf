"""Snapshots: the result of one crawl, a JSON object in S3. Only this module knows their keys and format."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from osusume.items import InvalidItem, Item

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEMA_VERSION = 1

GIVE_UP_DAYS = 7
"""Days after its first failure on which a page gets its last try; then it is given up."""


_KEY = re.compile(r"snapshots/[a-z0-9][a-z0-9_.-]{0,63}/[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{6}Z\.json")


class InvalidSnapshot(ValueError):
    """Raised when this code cannot read an object as a snapshot; the message names the key and the problem."""


class SnapshotMissing(LookupError):
    """Raised when a snapshot's key has no object."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A listed item whose page could not be read, the error, and when it failed first (UTC, ISO format)."""

    item_id: str
    url: str
    error: str
    first_failed_at: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the failure as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Failure:
        """Return the failure that `value` describes. Raises `KeyError` or `ValueError` where a part is unusable."""
        first_failed_at = str(value.get("first_failed_at", ""))
        if first_failed_at and datetime.fromisoformat(first_failed_at).tzinfo is None:
            raise ValueError("first_failed_at must have an offset")
        return cls(str(value["item_id"]), str(value["url"]), str(value["error"]), first_failed_at)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest items of a source, newest first, as one crawl saw them at `crawled_at` (UTC).

    The next crawl requests `failures` again, but not `given_up`. `gap` is true if the listing did not reach known
    works: some may have been missed. `long_wait` is how many seconds the site asked to wait before it, if that was over
    a day, else 0. `parser_version` is the version of the parser that read the items.
    """

    source: str
    crawled_at: datetime
    items: list[Item]
    failures: list[Failure] = field(default_factory=list)
    given_up: list[Failure] = field(default_factory=list)
    gap: bool = False
    parser_version: int = 1
    long_wait: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the snapshot as plain JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "source": self.source,
            "crawled_at": self.crawled_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "gap": self.gap,
            "long_wait": self.long_wait,
            "parser_version": self.parser_version,
            "items": [item.to_json() for item in self.items],
            "failures": [failure.to_json() for failure in self.failures],
            "given_up": [failure.to_json() for failure in self.given_up],
        }

    @classmethod
    def from_json(cls, value: object) -> Snapshot:
        """Return the snapshot that `value` describes. Raises `InvalidSnapshot`."""
        if not isinstance(value, Mapping):
            raise InvalidSnapshot("a snapshot must be a JSON object")
        version = value.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InvalidSnapshot(
                f"schema_version is {version!r}, this code reads {SCHEMA_VERSION}: deploy the same version everywhere"
            )
        items, failures, given_up = value.get("items"), value.get("failures", []), value.get("given_up", [])
        if not all(isinstance(listed, list) for listed in (items, failures, given_up)):
            raise InvalidSnapshot("items, failures and given_up must be lists")
        try:
            return cls(
                source=str(value["source"]),
                crawled_at=datetime.fromisoformat(value["crawled_at"]),
                items=_items(items),
                failures=[Failure.from_json(failure) for failure in failures],
                given_up=[Failure.from_json(failure) for failure in given_up],
                gap=bool(value.get("gap", False)),
                long_wait=int(value.get("long_wait", 0)),
                parser_version=int(value.get("parser_version", 1)),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            if isinstance(error, InvalidSnapshot):
                raise
            raise InvalidSnapshot(f"source, crawled_at or a failure is missing or malformed: {error}") from error


def snapshot_key(source: str, when: datetime) -> str:
    """Return the key of the snapshot of the crawl that was due at `when`; keys sort by time.

    >>> snapshot_key("dlsite", datetime(2026, 11, 22, 22, 0, tzinfo=UTC))
    'snapshots/dlsite/2026/11/22/220000Z.json'
    """
    return when.astimezone(UTC).strftime(f"snapshots/{source}/%Y/%m/%d/%H%M%SZ.json")


def is_snapshot_key(text: str) -> bool:
    """Return whether a text from elsewhere has the form of a snapshot's key.

    >>> is_snapshot_key("snapshots/dlsite/2026/11/22/220000Z.json"), is_snapshot_key("snapshots/ level=ERROR")
    (True, False)
    """
    return _KEY.fullmatch(text) is not None


def snapshot_time(key: str) -> datetime:
    """Return when the crawl was due whose snapshot lies under `key`. Raises `ValueError` for a key of another form.

    >>> snapshot_time("snapshots/dlsite/2026/11/22/220000Z.json")
    datetime.datetime(2026, 11, 22, 22, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.strptime("/".join(key.split("/")[2:]), "%Y/%m/%d/%H%M%SZ.json").replace(tzinfo=UTC)


def snapshot_source(key: str) -> str:
    """Return the name of the source whose snapshot lies under `key`, empty for a key of another form.

    >>> snapshot_source("snapshots/feed/2026/11/22/220000Z.json")
    'feed'
    """
    return key.split("/")[1] if is_snapshot_key(key) else ""


def snapshot_day(key: str, time_zone: tzinfo) -> date | None:
    """Return the day, in `time_zone`, on which the crawl of a snapshot was due; None for a key of another form."""
    try:
        return snapshot_time(key).astimezone(time_zone).date()
    except ValueError:
        return None


def list_snapshots(s3: S3Client, bucket: str, source: str | None = None) -> dict[str, datetime]:
    """Return by key when each snapshot of a source, or of all, was stored, in the order in which they were due."""
    prefix = "snapshots/" if source is None else f"snapshots/{source}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    entries = [entry for page in pages for entry in page.get("Contents", []) if entry["Key"].endswith(".json")]
    return {
        entry["Key"]: entry["LastModified"] for entry in sorted(entries, key=lambda each: each["Key"].split("/")[2:])
    }


def list_snapshot_keys(s3: S3Client, bucket: str, source: str | None = None) -> list[str]:
    """Return the keys of the snapshots of a source, or of all, in the order in which they were due."""
    return list(list_snapshots(s3, bucket, source))


def write_snapshot(s3: S3Client, bucket: str, key: str, snapshot: Snapshot) -> bool:
    """Write a snapshot whole, unless the key is taken; return whether it was written."""
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=json.dumps(snapshot.to_json(), ensure_ascii=False).encode(),
            ContentType="application/json",
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "PreconditionFailed":
            return False
        raise
    return True


def read_snapshot(s3: S3Client, bucket: str, key: str) -> Snapshot:
    """Return the snapshot under `key`.

    Raises `SnapshotMissing` if there is no such object, `InvalidSnapshot` if it is not a snapshot.
    """
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        raise SnapshotMissing(f"there is no snapshot {key} in {bucket}: it was deleted after it was written") from None
    try:
        return Snapshot.from_json(json.loads(body))
    except (ValueError, RecursionError) as error:  # JSON's and UTF-8's errors and InvalidSnapshot alike
        raise InvalidSnapshot(f"{key} is not a snapshot: {error}") from error


def _items(values: Any) -> list[Item]:
    items = []
    for index, value in enumerate(values):
        try:
            items.append(Item.from_json(value))
        except InvalidItem as error:
            raise InvalidSnapshot(f"items[{index}]: {error}") from error
    return items
