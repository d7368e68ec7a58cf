"""A local cloud with a state keeps its contents after a restart."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local.cloud.cloud import Cloud
from local.cloud.errors import StillBusy
from local.cloud.state import State, open_state

TEMPLATE = Path(__file__).parents[1] / "fixtures" / "cloud" / "template.yaml"


def cloud_with(state: State | None) -> Cloud:
    return Cloud(
        TEMPLATE, {"Greeting": "hello"}, secrets={"/cloud/secret": "s3cret"}, retry_delays=(0.01,), state=state
    )


def contents(cloud: Cloud) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    s3, bucket = cloud.client("s3"), cloud.resources["Bucket"]
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    objects = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    records = cloud.dynamodb().Table(cloud.resources["Table"]).scan()["Items"]
    return objects, sorted(records, key=lambda record: str(record["id"]))


def test_objects_and_records_are_as_they_were_left(tmp_path: Path) -> None:
    with open_state(tmp_path) as state, cloud_with(state) as cloud:
        s3, bucket = cloud.client("s3"), cloud.resources["Bucket"]
        s3.put_object(Bucket=bucket, Key="out/a ü.json", Body=b"old")
        s3.put_object(Bucket=bucket, Key="out/a ü.json", Body=b"\x00new")
        for name in ("b", "c", "d"):
            s3.put_object(Bucket=bucket, Key=f"out/{name}", Body=b"gone")
        s3.delete_object(Bucket=bucket, Key="out/b")
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "out/c"}, {"Key": "out/d"}]})
        table = cloud.dynamodb().Table(cloud.resources["Table"])
        table.put_item(Item={"id": "put", "n": Decimal("1.50"), "l": [None, True, {"deep": {"a", "b"}}], "e": ""})
        table.put_item(Item={"id": "changed", "n": 1})
        table.update_item(
            Key={"id": "changed"}, UpdateExpression="SET n = n + :one", ExpressionAttributeValues={":one": 1}
        )
        table.update_item(
            Key={"id": "made by an update"},
            UpdateExpression="SET #d = :d",
            ExpressionAttributeNames={"#d": "day"},
            ExpressionAttributeValues={":d": "1"},
        )
        table.put_item(Item={"id": "deleted"})
        table.delete_item(Key={"id": "deleted"})
        with table.batch_writer() as batch:
            batch.put_item(Item={"id": "in a batch"})
            batch.delete_item(Key={"id": "never there"})
        with suppress(table.meta.client.exceptions.ConditionalCheckFailedException):
            table.put_item(Item={"id": "put"}, ConditionExpression="attribute_not_exists(id)")
        left = contents(cloud)
    assert list(left[0].values()) == [b"\x00new"]
    assert [record["id"] for record in left[1]] == ["changed", "in a batch", "made by an update", "put"]
    with open_state(tmp_path) as state, cloud_with(state) as cloud:
        assert contents(cloud) == left
        assert cloud.invocations == []  # no notifications of objects that existed before
        table = cloud.dynamodb().Table(cloud.resources["Table"])
        assert table.get_item(Key={"id": "changed"})["Item"]["n"] == 2


def test_an_interrupted_event_is_redelivered_under_its_request_id(tmp_path: Path) -> None:
    with open_state(tmp_path) as state, cloud_with(state) as cloud:
        cloud.invoke_async("WorkerFunction", {"do": "echo"})
        cloud.wait_until_idle(10)
        request_id = cloud.invoke_async("WorkerFunction", {"do": "sleep", "seconds": 4})
        with pytest.raises(StillBusy):
            cloud.wait_until_idle(0.3)
    with open_state(tmp_path) as state, cloud_with(state) as cloud:
        assert cloud.deliver_unfinished() == 1
        cloud.wait_until_idle(10)
        (again,) = cloud.invocations
        assert (again.request_id, again.event) == (request_id, {"do": "sleep", "seconds": 4})
    with open_state(tmp_path) as state, cloud_with(state) as cloud:
        assert cloud.deliver_unfinished() == 0


def test_an_interrupted_event_of_a_function_to_forget_is_dropped(tmp_path: Path) -> None:
    with open_state(tmp_path) as state, cloud_with(state) as cloud:
        cloud.invoke_async("WorkerFunction", {"do": "sleep", "seconds": 4})
        with pytest.raises(StillBusy):
            cloud.wait_until_idle(0.3)
    with open_state(tmp_path) as state, cloud_with(state) as cloud:
        assert cloud.deliver_unfinished(forget={"WorkerFunction"}) == 0
        assert state.all("events") == {}
        assert cloud.invocations == []


def test_an_event_that_failed_for_good_is_done_with(tmp_path: Path) -> None:
    with open_state(tmp_path) as state, cloud_with(state) as cloud:
        cloud.invoke_async("WorkerFunction", {"do": "fail"})
        cloud.wait_until_idle(10)
        assert state.all("events") == {}


def test_only_the_owner_can_read_what_a_run_writes_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    before = os.umask(0)
    try:
        with (
            open_state(folder) as state,
            Cloud(TEMPLATE, {"Greeting": "hello"}, state=state, state_dir=folder / "logs") as cloud,
        ):
            cloud.invoke("WorkerFunction", {"do": "say", "text": "a line of the log"})
            cloud.client("s3").put_object(Bucket="osusume-123456789012", Key="kept/a", Body=b"kept")
            during = list(folder.rglob("*"))
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (folder, *during)}
    finally:
        os.umask(before)

    assert {"kept", "logs", "state.sqlite3", "WorkerFunction.log"} <= modes.keys()
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_a_state_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").touch(mode=0o644)

    with open_state(tmp_path):
        assert stat.S_IMODE((tmp_path / "state.sqlite3").stat().st_mode) == 0o600
