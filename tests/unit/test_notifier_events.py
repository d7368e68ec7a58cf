import json
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from notifier.events import InvalidEvent, written_snapshots

EVENT = json.loads((Path(__file__).parents[2] / "events" / "notifier.json").read_text(encoding="utf-8"))


def record(bucket: object, key: object) -> dict[str, object]:
    return {"s3": {"bucket": {"name": bucket}, "object": {"key": key}}}


def test_a_real_event_names_its_snapshot() -> None:
    assert written_snapshots(EVENT) == [
        ("osusume-123456789012-ap-northeast-1", "snapshots/dlsite/2026/04/01/220000Z.json")
    ]


def test_a_key_is_read_as_it_was_before_s3_spelt_it() -> None:
    key = "snapshots/dlsite/手で 置いた+もの.json"
    assert written_snapshots({"Records": [record("a", quote_plus(key)), record("b", "c")]}) == [("a", key), ("b", "c")]


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"Service": "Amazon S3", "Event": "s3:TestEvent"},
        {"Records": {}},
        {"Records": []},
        {"Records": [None]},
        {"Records": [{"s3": []}]},
        {"Records": [record(None, "key")]},
        {"Records": [record("bucket", 1)]},
        {"Records": [record("bucket", "")]},
    ],
    ids=str,
)
def test_an_event_that_names_no_object_is_refused(event: object) -> None:
    with pytest.raises(InvalidEvent):
        written_snapshots(event)
