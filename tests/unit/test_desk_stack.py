from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import boto3
import pytest
from conftest import REGION, Stores
from desks import DeskProcess

from desk.desk import Desk
from desk.journal import Journal
from desk.learning_thread import Learner
from desk.order import Selection
from desk.stack import StackLabels, known_items
from ops.__main__ import main
from osusume.items import Item
from osusume.labels import Label, Labels, local_time
from osusume.ledger import Ledger, Record, labelled_elsewhere
from osusume.snapshots import Snapshot, snapshot_key, write_snapshot

TOKYO = ZoneInfo("Asia/Tokyo")
NOW = 1_795_000_000.5


def work(number: int) -> Item:
    return Item(f"RJ{number}", "dlsite", f"https://example.com/{number}", f"雨の図書館 {number}", price=880)


class Sitting:
    """A desk on the test's tables, which `again` restarts: work 1 is in the ledger, 2 only in a snapshot."""

    def __init__(self, stores: Stores, folder: Path) -> None:
        self.labels = Labels(stores.dynamodb, stores.labels_table)
        self.ledger = Ledger(stores.dynamodb, stores.items_table)
        self.ledger.record(Record(work(1), "recommended", "snapshots/a.json", 1.0))
        when = datetime(2026, 11, 22, tzinfo=UTC)
        snapshot = Snapshot("dlsite", when, [work(1), work(2)])
        write_snapshot(stores.s3, stores.bucket, snapshot_key("dlsite", when), snapshot)
        self.stores = stores
        self.folder = folder
        self.clock = NOW
        self.opened = ExitStack()
        self.again()

    def again(self) -> None:
        self.opened.close()
        journal = self.opened.enter_context(Journal(self.folder / "desk", lambda: "token"))
        in_ledger, in_snapshots = known_items(self.ledger, self.stores.s3, self.stores.bucket)
        self.items = [*in_snapshots, *in_ledger]
        self.store = StackLabels(self.labels, self.ledger, in_ledger, TOKYO, lambda: self.clock)
        self.desk = Desk(self.items, self.store, journal, Learner())

    def press_in_slack(self, item_id: str, action_ts: float, *, is_interested: bool) -> Label:
        ts = f"{action_ts:.6f}"
        pressed = Label(item_id, is_interested, "U0OWNER", ts, local_time(ts, TOKYO))
        assert self.labels.store(pressed)
        return pressed


@pytest.fixture
def sitting(stores: Stores, tmp_path: Path) -> Iterator[Sitting]:
    sitting = Sitting(stores, tmp_path)
    with sitting.opened:
        yield sitting


def test_works_of_ledger_and_snapshot_can_be_labelled(sitting: Sitting) -> None:
    assert {item.item_id for item in sitting.items} == {"RJ1", "RJ2"}


def test_a_label_goes_to_the_table_as_an_annotation(sitting: Sitting) -> None:
    sitting.desk.label("a", "RJ1", is_interested=True)

    label = sitting.labels.get("RJ1")
    assert label == Label("RJ1", True, "desk", "1795000000.5", local_time(str(NOW), TOKYO), "annotation")
    assert sitting.desk.place(Selection("given")).left == 1


def test_a_label_adds_its_work_to_the_ledger_as_never_to_be_posted(sitting: Sitting) -> None:
    sitting.desk.label("a", "RJ2", is_interested=True)

    assert sitting.ledger.get(["RJ2"]) == {"RJ2": labelled_elsewhere(work(2), NOW)}
    assert "RJ2" not in sitting.ledger.unfinished().records


@pytest.mark.parametrize("is_restarted", [False, True])
def test_undo_removes_label_and_record(sitting: Sitting, is_restarted: bool) -> None:
    sitting.desk.label("a", "RJ2", is_interested=True)
    if is_restarted:
        sitting.again()
    sitting.desk.undo("a")

    assert sitting.labels.get("RJ2") is None
    assert sitting.ledger.get(["RJ2"]) == {}


def test_undo_keeps_a_record_that_existed_before(sitting: Sitting) -> None:
    sitting.desk.label("a", "RJ1", is_interested=True)
    sitting.desk.undo("a")

    assert sitting.labels.get("RJ1") is None
    assert sitting.ledger.get(["RJ1"]) != {}


def test_undo_keeps_a_later_press_in_slack(sitting: Sitting) -> None:
    sitting.desk.label("a", "RJ1", is_interested=True)
    pressed = sitting.press_in_slack("RJ1", NOW + 60, is_interested=False)
    sitting.desk.undo("a")

    assert sitting.labels.get("RJ1") == pressed


def test_a_work_pressed_in_slack_meanwhile_is_not_shown_again(sitting: Sitting) -> None:
    sitting.press_in_slack("RJ1", NOW - 5, is_interested=True)
    sitting.desk.label("a", "RJ1", is_interested=True)

    assert sitting.desk.unlabelled == 1
    assert sitting.desk.place(Selection("given")).item == work(2)


def test_undo_restores_the_press_that_the_label_changed(sitting: Sitting) -> None:
    pressed = sitting.press_in_slack("RJ1", NOW - 60.25, is_interested=False)
    sitting.desk.label("a", "RJ1", is_interested=True)
    assert sitting.labels.get("RJ1") != pressed
    sitting.desk.undo("a")

    found = sitting.labels.get("RJ1")
    assert found is not None
    assert replace(found, action_ts="") == replace(pressed, action_ts="")
    assert float(found.action_ts) == NOW - 60.25


def test_a_label_older_than_the_press_does_not_replace_it(sitting: Sitting) -> None:
    sitting.clock = NOW - 120
    pressed = sitting.press_in_slack("RJ1", NOW, is_interested=False)
    sitting.desk.label("a", "RJ1", is_interested=True)

    found = sitting.labels.get("RJ1")
    assert found is not None
    assert (found.is_interested, found.user_id) == (False, pressed.user_id)


def test_labels_of_unknown_works_are_ignored(sitting: Sitting) -> None:
    sitting.press_in_slack("RJ9", NOW, is_interested=True)
    sitting.again()

    assert sitting.desk.labels() == {}


def test_the_command_labels_works_of_a_stack(stack: str, tmp_path: Path) -> None:
    dynamodb = boto3.Session().resource("dynamodb")
    Ledger(dynamodb, f"{stack}-ItemsTable").record(Record(work(1), "passed", "snapshots/a.json", 1.0))
    desk = DeskProcess("ops", "annotate", "--stack", stack, XDG_STATE_HOME=str(tmp_path))
    desk.post("label", action="a", item_id="RJ1", is_interested=1)
    ended = desk.end()

    label = Labels(dynamodb, f"{stack}-LabelsTable").get("RJ1")
    assert desk.started.startswith("1 works, 0 labels: http://127.0.0.1:")
    assert label is not None
    assert (label.is_interested, label.origin) == (True, "annotation")
    assert f"stack {stack}: 1 labels, 1 interested, 0 not" in ended
    assert desk.process.returncode == 0
    assert [path.name for path in (tmp_path / "osusume").iterdir()] == [f"{stack}-{REGION}.desk.sqlite"]


def test_an_unknown_stack_is_named(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["annotate", "--stack", f"{stack}-no"]) == 1
    assert f"there is no stack '{stack}-no' in {REGION}" in capsys.readouterr().err


def test_a_record_that_was_posted_meanwhile_is_not_forgotten(stores: Stores) -> None:
    ledger = Ledger(stores.dynamodb, stores.items_table)
    record = Record(work(1), "recommended", "snapshots/a.json", 1.0)
    ledger.record(record)
    claim = ledger.claim("RJ1", 60)
    assert not isinstance(claim, str)
    ledger.posted(claim, "C1", "1.1")

    assert not ledger.forget(record)
    assert ledger.get(["RJ1"])
