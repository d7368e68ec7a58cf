"""S3's events about snapshots, and the other snapshots that matter to a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools.utilities.data_classes import S3Event

from osusume.ledger import Ledger
from osusume.snapshots import snapshot_day

LOOK_BACK = 14
"""How many snapshots to look back: as many days as an event can wait in the dead-letter queue."""


class InvalidEvent(ValueError):
    """Raised when an event is not one of S3's about objects."""


def written_snapshots(event: Any) -> list[tuple[str, str]]:
    """Return the bucket and the key of each object in `event`. Raises `InvalidEvent`."""
    try:
        found = [(record.s3.bucket.name, record.s3.get_object.key) for record in S3Event(event).records]
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidEvent(f"the event is no notification of S3's: {type(error).__name__} {error}") from error
    if not found or not all(isinstance(text, str) and text for names in found for text in names):
        raise InvalidEvent("the event is no notification of S3's: it names no object")
    return [(bucket, unquote_plus(key)) for bucket, key in found]  # S3 encodes a key as a form encodes its values


def source_of(key: str) -> str:
    """Return the source of the snapshot under `key`, empty for a key of another form."""
    return key.split("/")[1] if key.count("/") > 1 else ""


def missed_snapshots(key: str, stored: Sequence[str], ledger: Ledger) -> list[str]:
    """Return the `stored` keys before `key` that no run has processed, oldest first.

    Their events failed for good, for example while the classifier was down, and the next crawl treats their items as
    known. Only the last `LOOK_BACK` snapshots before `key` count.
    """
    before = sorted(name for name in stored if name < key)[-LOOK_BACK:]
    runs = ledger.runs(before)
    return [name for name in before if name not in runs]


def snapshots_of_the_same_day(key: str, stored: Sequence[str], time_zone: tzinfo) -> list[str]:
    """Return the other `stored` keys whose crawls were due on the day of `key` in the owner's time zone."""
    day = snapshot_day(key, time_zone)
    return [name for name in stored if name != key and day is not None and snapshot_day(name, time_zone) == day]
