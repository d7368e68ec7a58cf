from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from conftest import REGION, Stores

from model.__main__ import main
from model.dataset import merge, read_examples, write_csv, write_examples
from model.learning.examples import Example, check_trainable
from model.stored_labels import read_tables
from ops.__main__ import main as ops
from osusume.errors import UserError
from osusume.items import Item, Section
from osusume.labels import Label, Labels
from osusume.ledger import Ledger, Record


def work(number: int, **more: Any) -> Item:
    return Item(f"RJ{number:08}", "dlsite", f"https://example.com/{number}", f"雨の図書館 {number}", **more)


def example(number: int, liked: bool = True, created_at: str | None = "2026-11-22 08:00:00") -> Example:
    return Example(work(number), liked, created_at)


def row(**changes: Any) -> str:
    return json.dumps({**example(1).to_json(), **changes})


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_examples_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "labels.jsonl"
    examples = [
        Example(work(1, price=880, sections=[Section(None, "静かな\n夜")]), True, "2026-11-22 08:00:00", 3),
        Example(work(2), False),
    ]
    assert write_examples(path, examples) == 2
    assert read_examples(path) == examples


def test_half_a_surrogate_pair_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    examples = [Example(Item("RJ1", "dlsite", "https://example.com", "\ud83d 雨"), True)]
    write_examples(path, examples)
    assert read_examples(path) == examples


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("{", "Expecting"),
        ("[]", "must be a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        (json.dumps({"is_interested": 1}), "it has no item"),
        (row(item={**work(1).to_json(), "title": ""}), "title must be a string that is not empty"),
        (row(is_interested=2), "is_interested must be 0 or 1, not 2"),
        (row(item=work(2).to_json()), "is already on line 1"),
        (row(fold="a"), "fold must be a whole number or null"),
        (row(created_at=5), "created_at must be a string or null"),
        (row(created_at="yesterday"), "created_at must be a time"),
    ],
)
def test_a_broken_row_is_an_error_that_names_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str, problem: str
) -> None:
    path = written(tmp_path, json.dumps(example(2).to_json()), "", broken)
    with pytest.raises(UserError, match="line 3"):
        read_examples(path)
    assert main(["dataset", "--annotations", str(path), "--output", str(tmp_path / "out.jsonl")]) == 1
    told = capsys.readouterr().err
    assert f"{path}, line 3: " in told
    assert problem in told
    assert not (tmp_path / "out.jsonl").exists()


def test_bytes_that_are_not_utf_8_are_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(b'{"item": "\xff"}\n')
    with pytest.raises(UserError, match="line 1: 'utf-8' codec"):
        read_examples(path)


def test_too_few_labels_or_one_kind_alone_cannot_be_trained_on() -> None:
    with pytest.raises(UserError, match="19 labels are too few"):
        check_trainable([example(number, number % 2 == 0) for number in range(19)])
    with pytest.raises(UserError, match="all 20 items are liked"):
        check_trainable([example(number) for number in range(20)])


def test_the_latest_label_of_an_item_counts_and_the_last_file_wins_ties() -> None:
    first = [example(1, True, "2026-11-20 08:00:00"), example(2, True, "2026-11-22 08:00:00"), example(3, True, None)]
    second = [example(1, False, "2026-11-21 08:00:00"), example(2, False, "2026-11-22 08:00:00")]
    merged = merge({"a": first, "b": [*second, example(3, False, None)]})
    assert [(e.item.item_id, e.is_interested) for e in merged.examples] == [
        ("RJ00000003", False),
        ("RJ00000001", False),
        ("RJ00000002", False),
    ]
    assert merged.kept == {"a": 0, "b": 3}


def test_an_older_label_does_not_replace_a_later_one_in_either_order() -> None:
    late, early = example(1, True, "2026-11-22 08:00:00"), example(1, False, "2026-11-20 08:00:00")
    assert merge({"a": [late], "b": [early]}).examples == merge({"a": [early], "b": [late]}).examples == [late]


def test_the_csv_holds_texts_and_targets(tmp_path: Path) -> None:
    path = tmp_path / "autotrain.csv"
    item = work(1, attributes={"circle": ['狐"雨"舎']}, sections=[Section("あらすじ", "雨が、\n降る")])
    write_csv(path, [Example(item, True), example(2, False)])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["text", "target"],
            ['雨の図書館 1\n狐"雨"舎\nあらすじ\n雨が、\n降る', "1"],
            ["雨の図書館 2", "0"],
        ]


def test_annotations_of_several_files_are_merged_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new, output = (tmp_path / name for name in ("old.jsonl", "new.jsonl", "all.jsonl"))
    write_examples(old, [example(1, True, "2026-11-20 08:00:00"), example(2, False, "2026-11-19 08:00:00")])
    write_examples(new, [example(1, False, "2026-11-21 08:00:00")])
    assert main(["dataset", "--annotations", str(old), str(new), "--output", str(output)]) == 0
    assert [e.item.item_id for e in read_examples(output)] == ["RJ00000002", "RJ00000001"]
    told = capsys.readouterr().out
    assert "2 labels, 0 interested, 2 not" in told
    assert "old.jsonl: 2 read, 1 kept" in told
    assert "new.jsonl: 1 read, 1 kept" in told


def test_no_input_and_an_unwritable_output_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "--output", str(tmp_path / "out.jsonl")]) == 1
    assert "python -m ops dataset" in capsys.readouterr().err
    path = written(tmp_path, row())
    assert main(["dataset", "--annotations", str(path), "--output", str(path / "below" / "out.jsonl")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def press(number: int, liked: bool = True) -> Label:
    return Label(work(number).item_id, liked, "U1", f"{1000 + number}.5", "2026-11-22 08:00:00")


def test_labels_find_their_items_in_the_ledger_or_the_annotations_and_the_rest_is_listed(stores: Stores) -> None:
    ledger, labels = Ledger(stores.dynamodb, stores.items_table), Labels(stores.dynamodb, stores.labels_table)
    for number in range(1, 121):
        ledger.record(Record(work(number), "recommended", "snapshots/a.json", 1000.0))
        labels.store(press(number, number % 2 == 0))
    labels.store(press(500))
    labels.store(press(600))
    shares: list[float] = []
    learnt = read_tables(labels.all(), ledger, {work(500).item_id: work(500, price=110)}, shares.append)
    assert len(learnt.examples) == 121
    assert learnt.examples[-1].item.price == 110
    assert sum(each.is_interested for each in learnt.examples) == 61
    assert learnt.unknown == [work(600).item_id]
    assert shares[-1] == 1.0


def test_a_stacks_labels_become_a_training_file(tmp_path: Path, stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    dynamodb = boto3.Session().resource("dynamodb")
    ledger, labels = Ledger(dynamodb, f"{stack}-ItemsTable"), Labels(dynamodb, f"{stack}-LabelsTable")
    for number in (1, 2):
        ledger.record(Record(work(number, price=880), "recommended", "snapshots/a.json", 1000.0))
        labels.store(press(number, number == 1))
    labels.store(press(3))
    output, table = tmp_path / "labels.jsonl", tmp_path / "autotrain.csv"
    assert ops(["dataset", "--stack", stack, "--output", str(output), "--csv", str(table)]) == 0
    assert read_examples(output) == [
        Example(work(1, price=880), True, "1970-01-01 09:16:41+09:00"),
        Example(work(2, price=880), False, "1970-01-01 09:16:42+09:00"),
    ]
    assert len(table.read_text(encoding="utf-8").splitlines()) == 3
    told = capsys.readouterr()
    assert "2 labels, 1 interested, 1 not" in told.out
    assert "1 labels are left out, because their items are not in the ledger: RJ00000003" in told.err


@pytest.mark.parametrize(
    ("suffix", "told"),
    [
        ("", "there are no labels yet: press a button"),
        ("-no", f"-no' in {REGION}"),
    ],
)
def test_a_stack_without_labels_and_a_missing_stack_are_errors(
    tmp_path: Path, stack: str, capsys: pytest.CaptureFixture[str], suffix: str, told: str
) -> None:
    assert ops(["dataset", "--stack", f"{stack}{suffix}", "--output", str(tmp_path / "labels.jsonl")]) == 1
    assert told in capsys.readouterr().err


def test_missing_credentials_are_an_error_with_the_remedy(
    tmp_path: Path, stack: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert ops(["dataset", "--stack", stack, "--output", str(tmp_path / "labels.jsonl")]) == 1
    assert "Unable to locate credentials; see --region, --profile" in capsys.readouterr().err
