"""Labels of a file are imported into a stack once, the latest label wins, and their items are never new again."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import boto3
import pytest
from conftest import Stores

from model.label_import import GivenLabel, Imported, import_labels, read_labels
from model.learning.examples import Example
from ops.__main__ import main
from osusume.errors import UserError
from osusume.items import Item
from osusume.labels import Label, Labels
from osusume.ledger import Ledger, Record

TOKYO = ZoneInfo("Asia/Tokyo")
NOW = 1_764_000_000.0


def work(number: int) -> Item:
    item_id = f"RJ{number:08}"
    return Item(item_id, "dlsite", f"https://www.dlsite.com/home/work/=/product_id/{item_id}.html", f"雨音 {number}")


def row(number: int, is_interested: int, created_at: str | None, **more: str) -> str:
    values = {"item": work(number).to_json(), "is_interested": is_interested, "created_at": created_at}
    return json.dumps({**values, **more}, ensure_ascii=False)


def given(number: int, is_interested: bool, at: float = NOW) -> GivenLabel:
    return GivenLabel(Example(work(number), is_interested), at, "annotation")


def bring(labels: list[GivenLabel], stores: Stores) -> Imported:
    tables = Labels(stores.dynamodb, stores.labels_table), Ledger(stores.dynamodb, stores.items_table)
    return import_labels(labels, *tables, time_zone=TOKYO, now=NOW)


def test_importing_a_file_twice_changes_nothing(stores: Stores) -> None:
    labels = [given(1, True), given(2, False), given(3, True, at=0.0)]
    assert bring(labels, stores) == Imported(stored=3, kept=0, new_items=3)
    before = sorted(Labels(stores.dynamodb, stores.labels_table).all(), key=lambda label: label.item_id)
    assert bring(labels, stores) == Imported(stored=0, kept=3, new_items=0)
    assert sorted(Labels(stores.dynamodb, stores.labels_table).all(), key=lambda label: label.item_id) == before


def test_a_label_replaces_an_older_one_and_not_a_later_one(stores: Stores) -> None:
    labels = Labels(stores.dynamodb, stores.labels_table)
    for number, action_ts in ((1, NOW + 0.5), (2, NOW - 0.5)):
        labels.store(Label(work(number).item_id, False, "U0OWNER", f"{action_ts:.6f}", "2025-11-25 01:00:00"))
    assert bring([given(1, True), given(2, True)], stores) == Imported(stored=1, kept=1, new_items=2)
    first, second = (labels.get(work(number).item_id) for number in (1, 2))
    assert first
    assert (first.is_interested, first.origin) == (False, "slack")
    assert second
    assert (second.is_interested, second.origin) == (True, "annotation")
    assert second.created_at == "2025-11-25 01:00:00"


def test_an_imported_item_is_known_and_never_posted(stores: Stores) -> None:
    ledger = Ledger(stores.dynamodb, stores.items_table)
    ledger.record(Record(work(1), "recommended", "snapshots/a.json", NOW, score=0.9))
    assert bring([given(1, True), given(2, True)], stores).new_items == 1
    first, second = (ledger.get([work(number).item_id])[work(number).item_id] for number in (1, 2))
    assert isinstance(first, Record)
    assert first.choice == "recommended"
    assert isinstance(second, Record)
    assert (second.item, second.choice) == (work(2), "passed")
    assert list(ledger.unfinished().records) == [work(1).item_id]


def test_times_without_an_offset_are_in_the_owners_time_zone(tmp_path: Path) -> None:
    rows = [
        row(1, 1, "2025-11-25 01:00:00"),
        "",
        row(2, 0, "2025-11-24T16:00:00+00:00", origin="slack"),
        row(3, 0, None),
        row(4, 0, "1900-01-01 00:00:00"),
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    labels = read_labels(path, TOKYO)
    assert [(label.given_at, label.origin) for label in labels] == [
        (NOW, "annotation"),
        (NOW, "slack"),
        (0.0, "annotation"),
        (0.0, "annotation"),
    ]


@pytest.mark.parametrize(
    ("bad_row", "told"),
    [
        (row(2, 1, "yesterday"), "created_at must be a time"),
        (row(2, 1, None, origin="rumour"), "origin must be slack or annotation, not 'rumour'"),
        (
            row(2, 1, None).replace(work(2).item_id, "run:snapshots/a.json"),
            "item_id begins with run: or report: or scores:",
        ),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, bad_row: str, told: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(f"{row(1, 1, None)}\n\n{bad_row}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"labels\.jsonl, line 3: .*{told}"):
        read_labels(path, TOKYO)


def test_the_command_finds_the_stack_and_prints_what_it_stored(
    tmp_path: Path, stack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(row(1, 1, "2025-11-25 01:00:00"), encoding="utf-8")

    assert main(["import-labels", str(path), "--stack", stack]) == 0
    assert "1 labels stored, 0 unchanged, 1 items new to the ledger" in capsys.readouterr().out
    label = Labels(boto3.Session().resource("dynamodb"), f"{stack}-LabelsTable").get(work(1).item_id)
    assert label
    assert (label.is_interested, label.created_at) == (True, "2025-11-25 01:00:00")

    path.write_text("{}", encoding="utf-8")
    assert main(["import-labels", str(path), "--stack", stack]) == 1
    assert "labels.jsonl, line 1: it has no item" in capsys.readouterr().err


def test_a_label_from_the_future_gets_the_current_time(stores: Stores) -> None:
    bring([given(1, True, at=NOW + 17 * 3600)], stores)
    label = Labels(stores.dynamodb, stores.labels_table).get(work(1).item_id)
    assert label is not None
    assert float(label.action_ts) == NOW


def huge(number: int) -> str:
    item = {**work(number).to_json(), "sections": [{"heading": None, "text": "雨" * 140_000}]}
    return json.dumps({"item": item, "is_interested": 1, "created_at": None}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("bad_row", "told"),
    [
        (huge(2), "400|a record of the ledger"),
        (row(2, 1, None).replace(work(2).item_id, "あ" * 199), None),
        (row(2, 1, None).replace(work(2).title, "\\ud83d"), "half of a character"),
    ],
)
def test_an_item_that_does_not_fit_a_table_is_refused_before_anything_is_stored(
    tmp_path: Path, bad_row: str, told: str | None
) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(f"{row(1, 1, None)}\n{bad_row}\n", encoding="utf-8")
    if told is None:
        assert len(read_labels(path, TOKYO)) == 2
        return
    with pytest.raises(UserError, match=rf"labels\.jsonl, line 2: .*({told})"):
        read_labels(path, TOKYO)


def test_the_largest_accepted_item_fits_the_table(stores: Stores, tmp_path: Path) -> None:
    item = {**work(1).to_json(), "sections": [{"heading": None, "text": "雨" * 133_000}]}
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps({"item": item, "is_interested": 1}, ensure_ascii=False), encoding="utf-8")
    assert bring(read_labels(path, TOKYO), stores).stored == 1


def test_a_label_from_the_future_never_replaces_a_press(stores: Stores) -> None:
    labels = Labels(stores.dynamodb, stores.labels_table)
    future = [given(1, True, at=NOW + 17 * 3600)]
    bring(future, stores)
    press = Label(work(1).item_id, False, "U0OWNER", f"{NOW - 60:.6f}", "2025-11-25 00:59:00")
    assert labels.store(press) == press
    assert bring(future, stores) == Imported(stored=0, kept=1, new_items=0)
    standing = labels.get(work(1).item_id)
    assert standing is not None
    assert (standing.user_id, standing.is_interested) == ("U0OWNER", False)
