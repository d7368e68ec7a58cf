"""S3's events about snapshots, and the other snapshots that matter to a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from urllib.parse import unquote_plus

from osusume.ledger import Ledger
from osusume.snapshots import snapshot_day

LOOK_BACK = 14
"""Snapshots; as many days as an event can wait in the dead-letter queue."""


class InvalidEvent(ValueError):
    """Raised when an event is not one of S3's about objects."""


def written_snapshots(event: object) -> list[tuple[str, str]]:
    """Return the bucket and the key of each object in `event`. Raises `InvalidEvent`."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        raise InvalidEvent("the event has no list of Records: it is no notification of S3's")
    # S3 spells keys as a form spells its values
    return [
        (_text(record, "s3", "bucket", "name"), unquote_plus(_text(record, "s3", "object", "key")))
        for record in records
    ]


def source_of(key: str) -> str:
    """Return the source of the snapshot under `key`, empty for a key of another form."""
    return key.split("/")[1] if key.count("/") > 1 else ""


def missed_snapshots(key: str, stored: Sequence[str], ledger: Ledger) -> list[str]:
    """Return those of the `stored` keys before `key` of which no run has come, oldest first.

    Their events failed for good, as they do while the classifier is down, and the next crawl takes their items for
    known. Only the `LOOK_BACK` snapshots before `key` are looked at.
    """
    before = sorted(name for name in stored if name < key)[-LOOK_BACK:]
    runs = ledger.runs(before)
    return [name for name in before if name not in runs]


def snapshots_of_the_same_day(key: str, stored: Sequence[str], time_zone: tzinfo) -> list[str]:
    """Return the other `stored` keys whose crawls were due on the day of `key` in the owner's time zone."""
    day = snapshot_day(key, time_zone)
    return [name for name in stored if name != key and day is not None and snapshot_day(name, time_zone) == day]


def _text(record: object, *path: str) -> str:
    value = record
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or not value:
        raise InvalidEvent(f"a record of the event has no {'.'.join(path)}: it is no notification of S3's")
    return value
