"""What S3 tells of: the snapshots that were written."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_plus


class InvalidEvent(ValueError):
    """Raised when an event is not one of S3's about objects."""


def written_snapshots(event: object) -> list[tuple[str, str]]:
    """Return the bucket and the key of each object that `event` tells of. Raises `InvalidEvent`."""
    records = event.get("Records") if isinstance(event, Mapping) else None
    if not isinstance(records, list):
        raise InvalidEvent("the event has no list of Records: it is no notification of S3's")
    # S3 spells keys as a form spells its values
    return [
        (_text(record, "s3", "bucket", "name"), unquote_plus(_text(record, "s3", "object", "key")))
        for record in records
    ]


def _text(record: object, *path: str) -> str:
    value = record
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or not value:
        raise InvalidEvent(f"a record of the event has no {'.'.join(path)}: it is no notification of S3's")
    return value
