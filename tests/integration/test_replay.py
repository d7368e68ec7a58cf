"""Ten mornings with presses, nights and a rule: each can be replayed, and labels can be forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from scenario import operated, owners_environment, warm_up

from local.machine import STARTER, Machine, one_machine
from osusume.labels import Label
from osusume.ledger import labelled_elsewhere
from osusume.messages import INTERESTED, MENU, NOT_INTERESTED
from osusume.snapshots import Snapshot, snapshot_key
from samples.works import demo_works, made_up_taste

DAYS, WORKS_A_DAY = 10, 6
BEGIN = datetime(2026, 4, 1, 22, tzinfo=UTC)
Ops = Callable[..., str]


@pytest.fixture(scope="module", name="machine")
def _machine() -> Iterator[Machine]:
    with one_machine(parameters={"MadeUpTaste": "ignore", "MaxPosts": "4"}, retry_delays=(0.0, 0.0)) as machine:
        works = demo_works()
        warm_up(machine)
        for number, item in enumerate(works[-30:]):
            machine.ledger.record(labelled_elsewhere(item, 1.0))
            press_of_before = Label(item.item_id, number % 2 == 0, "import", f"{number + 1}.0", "", "annotation")
            machine.labels.store(press_of_before)
        for day in range(DAYS):
            due_at = BEGIN + timedelta(days=day)
            key = snapshot_key("demo", due_at)
            today = works[day * WORKS_A_DAY : (day + 1) * WORKS_A_DAY]
            body = json.dumps(Snapshot("demo", due_at, today).to_json())
            machine.cloud.client("s3").put_object(Bucket=machine.cloud.resources["Bucket"], Key=key, Body=body)
            machine.cloud.wait_until_idle(60)
            for message in machine.slack.messages:
                if message.item_id and machine.labels.get(message.item_id) is None:
                    item = next(work for work in works if work.item_id == message.item_id)
                    machine.press(message.ts, INTERESTED if made_up_taste(item) else NOT_INTERESTED)
            if day == 3:
                machine.press(message_of(machine), f"{MENU}:{message_of(machine)}", option="circle")
            if day in {2, 6}:
                machine.cloud.fire_schedule("TrainerFunctionEveryNight")
                machine.cloud.wait_until_idle(120)
                machine.cloud.kill("ClassifierFunction")
        yield machine


def message_of(machine: Machine) -> str:
    return next(message.item_id for message in reversed(machine.slack.messages) if message.item_id)


@pytest.fixture(scope="module", name="owner")
def _owner(machine: Machine) -> dict[str, str]:
    return owners_environment(machine)


@pytest.fixture(name="ops")
def _ops(owner: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ops:
    for name, value in owner.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, fail: bool = False) -> str:
        told = operated(monkeypatch, capsys, *arguments, fail=fail)
        return told.err if fail else told.out

    return run


def date_of(day: int) -> str:
    return f"{BEGIN + timedelta(days=day + 1):%Y-%m-%d}"  # 22:00 UTC is the next morning in Tokyo


def test_each_of_ten_days_is_replayed_as_it_was_posted(machine: Machine, ops: Ops) -> None:
    versions = {each.model_version for key in machine.snapshot_keys for each in machine.records_of(key)}
    assert len(versions) > 2
    for day in range(DAYS):
        assert "byte for byte" in ops("replay", "--package", str(STARTER), date_of(day))


def test_another_head_shows_what_it_would_have_posted_and_changes_nothing(machine: Machine, ops: Ops) -> None:
    posts = machine.slack.posts
    versions = {each.model_version for key in machine.snapshot_keys for each in machine.records_of(key)}
    night = next(version for version in versions if version.startswith("night"))
    assert "-> " in ops("replay", "--package", str(STARTER), date_of(0), "--head", night)
    assert "neither stored" in ops(
        "replay", "--package", str(STARTER), date_of(0), "--head", "night-000000000000", fail=True
    )
    assert "name another day" in ops("replay", "--package", str(STARTER), "2025-01-01", fail=True)
    assert machine.slack.posts == posts


def test_a_label_is_forgotten_on_request_and_the_press_that_made_it_stays_away(machine: Machine, ops: Ops) -> None:
    item_id = next(message.item_id for message in machine.slack.messages if message.item_id)
    assert item_id
    pressed = machine.labels.get(item_id)
    assert pressed
    assert "no label to forget: RJ1" in ops("forget", item_id, "RJ1", "--yes", fail=True)
    assert "would forget" in ops("forget", item_id)
    assert machine.labels.get(item_id) == pressed
    assert "forgot" in ops("forget", item_id, "--yes")
    assert "labels" in ops("train", "--yes")
    assert machine.press(item_id, INTERESTED, at=float(pressed.action_ts)) == 200
    assert machine.labels.get(item_id) is None


def test_rules_are_listed_set_and_undone_on_request(ops: Ops) -> None:
    assert "never this circle" in ops("rules")
    assert "would set" in ops("rules", "--set", "word", "オルゴール")
    assert "オルゴール" not in ops("rules")
    ops("rules", "--set", "word", "オルゴール", "--yes")
    assert "オルゴール" in ops("rules")
    ops("rules", "--undo", "word", "オルゴール", "--yes")
    assert "オルゴール" not in ops("rules")
    assert "there is no rule" in ops("rules", "--undo", "word", "オルゴール", "--yes", fail=True)
    assert "no kind of rule" in ops("rules", "--set", "taste", "オルゴール", fail=True)


def test_names_and_bought_works_that_the_owner_likes_are_stored_and_cleared_on_request(
    ops: Ops, tmp_path: Path
) -> None:
    bought = tmp_path / "bought.csv"
    bought.write_text("作品名\n雨の日の図書館\n", "utf-8")
    assert "would store 1 names (耳かき)" in ops("like", "耳かき")
    assert "stored 1 names (耳かき)" in ops("like", "耳かき", "--yes")
    assert "1 names (耳かき)" in ops("like", "--bought", str(bought), "--yes")
    ops("like", "--clear", "--yes")
    assert "no names" in ops("like")


def test_the_tables_are_protected_and_freed_on_request(machine: Machine, ops: Ops) -> None:
    assert ops("protect").count("would protect") == 3
    assert ops("protect", "--yes").count("is now protected") == 3
    table = machine.cloud.client("dynamodb").describe_table(TableName=machine.cloud.resources["LabelsTable"])["Table"]
    assert table["DeletionProtectionEnabled"]
    cloudformation = machine.cloud.client("cloudformation")
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        cloudformation.delete_stack(StackName="osusume")
    assert ops("protect", "--yes").count("is protected") == 3
    assert ops("protect", "--off", "--yes").count("is now not protected") == 3
