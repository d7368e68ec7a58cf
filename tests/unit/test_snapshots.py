import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import Stores

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
from samples.works import demo_works

KEY = "snapshots/dlsite/2026/11/22/220000Z.json"
SNAPSHOT = Snapshot(
    source="dlsite",
    crawled_at=datetime(2026, 11, 22, 22, 3, 4, tzinfo=UTC),
    items=demo_works()[:3],
    failures=[Failure("RJ01999999", "https://www.dlsite.com/RJ01999999", "503 三回")],
    gap=True,
    long_wait=864_000,
)


def stored(stores: Stores, body: bytes, key: str = KEY) -> str:
    stores.s3.put_object(Bucket=stores.bucket, Key=key, Body=body)
    return key


def changed(**changes: Any) -> dict[str, Any]:
    return {**SNAPSHOT.to_json(), **changes}


def test_a_snapshot_comes_back_as_it_was_written(stores: Stores) -> None:
    assert write_snapshot(stores.s3, stores.bucket, KEY, SNAPSHOT)
    assert read_snapshot(stores.s3, stores.bucket, KEY) == SNAPSHOT


def test_a_snapshot_is_readable_json(stores: Stores) -> None:
    write_snapshot(stores.s3, stores.bucket, KEY, SNAPSHOT)
    found = stores.s3.get_object(Bucket=stores.bucket, Key=KEY)
    assert found["ContentType"] == "application/json"
    assert SNAPSHOT.items[0].title in found["Body"].read().decode()


def test_a_snapshot_under_a_key_that_is_taken_is_not_replaced(stores: Stores) -> None:
    write_snapshot(stores.s3, stores.bucket, KEY, SNAPSHOT)
    assert not write_snapshot(stores.s3, stores.bucket, KEY, Snapshot("dlsite", SNAPSHOT.crawled_at, []))
    assert read_snapshot(stores.s3, stores.bucket, KEY) == SNAPSHOT


@pytest.mark.parametrize("key", ["snapshots/a b+c/雨.json", "snapshots/100%25/a&b=c.json"])
def test_a_key_with_any_characters_is_read(stores: Stores, key: str) -> None:
    write_snapshot(stores.s3, stores.bucket, key, SNAPSHOT)
    assert read_snapshot(stores.s3, stores.bucket, key) == SNAPSHOT


def test_a_snapshot_that_was_deleted_is_missing_and_named(stores: Stores) -> None:
    with pytest.raises(SnapshotMissing, match=f"{KEY} in {stores.bucket}"):
        read_snapshot(stores.s3, stores.bucket, KEY)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"schema_version": 1, "items": [',
        json.dumps(SNAPSHOT.to_json(), ensure_ascii=False).encode("cp932"),
        json.dumps(SNAPSHOT.to_json())[:-1].encode(),
        b"[]",
        b"null",
    ],
    ids=["empty", "HTML", "cut off", "Shift_JIS", "without its end", "a list", "null"],
)
def test_an_object_that_is_not_a_snapshot_is_refused_by_its_key(stores: Stores, body: bytes) -> None:
    with pytest.raises(InvalidSnapshot, match=f"^{KEY} is not a snapshot: "):
        read_snapshot(stores.s3, stores.bucket, stored(stores, body))


@pytest.mark.parametrize("version", [0, 2, "1", None], ids=repr)
def test_a_snapshot_of_another_schema_version_is_refused_with_the_remedy(stores: Stores, version: object) -> None:
    body = json.dumps(changed(schema_version=version)).encode()
    with pytest.raises(InvalidSnapshot, match=f"{KEY} .*schema_version is {version!r}.*deploy the same version"):
        read_snapshot(stores.s3, stores.bucket, stored(stores, body))


def test_a_malformed_item_is_named_by_its_place_and_field() -> None:
    items = [item.to_json() for item in SNAPSHOT.items]
    items[2]["price"] = "880円"
    with pytest.raises(InvalidSnapshot, match=r"^items\[2\]: price must be"):
        Snapshot.from_json(changed(items=items))


@pytest.mark.parametrize(
    "changes",
    [
        {"items": None},
        {"items": {}},
        {"failures": "none"},
        {"crawled_at": "yesterday"},
        {"crawled_at": None},
        {"crawled_at": 1764000000},
        {"failures": [{"item_id": "RJ01999999", "url": "https://www.dlsite.com/"}]},
        {"failures": ["RJ01999999"]},
    ],
    ids=repr,
)
def test_a_malformed_part_is_refused_by_its_name(changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(InvalidSnapshot, match=name.removesuffix("s")):
        Snapshot.from_json(changed(**changes))


@pytest.mark.parametrize("name", ["source", "crawled_at", "items"])
def test_a_missing_part_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(InvalidSnapshot, match=name):
        Snapshot.from_json({key: value for key, value in SNAPSHOT.to_json().items() if key != name})


def test_a_key_names_the_time_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert snapshot_key("dlsite", datetime(2026, 11, 23, 7, 0, tzinfo=tokyo)) == KEY


def test_keys_are_listed_by_time_with_the_newest_last(stores: Stores) -> None:
    days = [datetime(2026, 11, 22, 22, tzinfo=UTC) + timedelta(hours=hours) for hours in (0, 40, 24 * 45, -1, 24 * 9)]
    for day in days:
        write_snapshot(stores.s3, stores.bucket, snapshot_key("dlsite", day), SNAPSHOT)
    expected = [snapshot_key("dlsite", day) for day in sorted(days)]
    assert list_snapshot_keys(stores.s3, stores.bucket, "dlsite") == expected


def test_keys_of_another_source_and_other_objects_are_not_listed(stores: Stores) -> None:
    for key in ("snapshots/dlsite2/2026/11/22/220000Z.json", "snapshots/dlsite/notes.txt", "crawls/dlsite/a.json"):
        stored(stores, b"", key)
    assert list_snapshot_keys(stores.s3, stores.bucket, "dlsite") == []
