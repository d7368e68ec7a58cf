from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from unittest.mock import Mock

import pytest
from desks import NOW, opened

from desk.desk import UnknownItem
from desk.items import read_items
from desk.journal import Journal
from desk.order import Selection
from desk.store import LabelFile, NotStored
from model.dataset import read_examples, write_examples
from model.learning.examples import Example
from osusume.errors import UserError
from osusume.items import Item

GIVEN = Selection("given")


def work(number: int, genre: str = "雨") -> Item:
    return Item(
        f"RJ{number}", "dlsite", f"https://example.com/{number}", f"雨の図書館 {number}", attributes={"genres": [genre]}
    )


WORKS = [work(number) for number in range(1, 6)]


class Sitting:
    """A desk on a file, which `again` restarts."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "labels.jsonl"
        self.opened = ExitStack()
        self.again()

    def again(self) -> None:
        self.opened.close()
        self.desk, self.journal = self.opened.enter_context(opened(self.path.parent, WORKS))

    def press(self, key: str) -> None:
        """Do `ACTION ITEM 1`, `ACTION ITEM 0`, `ACTION ITEM skip` or `undo ACTION`."""
        match key.split():
            case ["undo", action]:
                self.desk.undo(action)
            case [action, item_id, "skip"]:
                self.desk.skip(action, item_id)
            case [action, item_id, kind]:
                self.desk.label(action, item_id, is_interested=kind == "1")

    @property
    def next_id(self) -> str | None:
        item = self.desk.place(GIVEN).item
        return item.item_id if item else None

    def in_file(self) -> list[tuple[str, int]]:
        if not self.path.exists() or not self.path.stat().st_size:
            return []
        return [(example.item.item_id, int(example.is_interested)) for example in read_examples(self.path)]


@pytest.fixture
def sitting(tmp_path: Path) -> Iterator[Sitting]:
    sitting = Sitting(tmp_path)
    with sitting.opened:
        yield sitting


def test_a_label_is_a_row_of_a_training_file(sitting: Sitting) -> None:
    sitting.press("a RJ1 1")

    assert read_examples(sitting.path) == [Example(WORKS[0], True, "2026-11-22 08:00:00+09:00")]


@pytest.mark.parametrize(
    ("keys", "labels", "next_id"),
    [
        pytest.param([], [], "RJ1", id="the given order begins with the first work"),
        pytest.param(["a RJ1 1"], [("RJ1", 1)], "RJ2", id="a label brings the next work"),
        pytest.param(["a RJ1 1", "b RJ1 0", "a RJ1 1"], [("RJ1", 0)], "RJ2", id="a repeated request counts once"),
        pytest.param(["a RJ1 1", "undo a", "a RJ1 1"], [], "RJ1", id="a repeated request after its undo does nothing"),
        pytest.param(["a RJ1 1", "b RJ2 1", "undo b", "undo b"], [("RJ1", 1)], "RJ2", id="a repeated undo counts once"),
        pytest.param(["a RJ1 1", "b RJ2 1", "undo a"], [("RJ1", 1), ("RJ2", 1)], "RJ3", id="only the last is undone"),
        pytest.param(["a RJ1 skip", "b RJ3 1", "undo b"], [], "RJ3", id="the undone work comes next"),
    ],
)
@pytest.mark.parametrize("is_restarted", [False, True])
def test_keys_label_skip_and_undo(
    sitting: Sitting, keys: list[str], labels: list[tuple[str, int]], next_id: str, is_restarted: bool
) -> None:
    for key in keys:
        sitting.press(key)
        if is_restarted:
            sitting.again()

    assert (sitting.in_file(), sitting.next_id) == (labels, next_id)


def test_undo_puts_the_changed_label_back(sitting: Sitting) -> None:
    write_examples(sitting.path, [Example(WORKS[0], True, "2020-01-01 00:00:00", fold=3)])
    sitting.again()
    sitting.press("a RJ1 0")
    assert sitting.in_file() == [("RJ1", 0)]
    sitting.again()
    sitting.press("undo a")

    assert read_examples(sitting.path) == [Example(WORKS[0], True, "2020-01-01 00:00:00", fold=3)]


def test_all_labels_can_be_undone_after_a_restart(sitting: Sitting) -> None:
    sitting.press("a RJ1 1")
    sitting.press("b RJ2 skip")
    sitting.press("c RJ1 0")
    sitting.again()
    while sitting.desk.last_action:
        sitting.desk.undo(sitting.desk.last_action.action_id)

    assert sitting.in_file() == []
    assert sitting.next_id == "RJ1"


def test_a_skipped_work_comes_last_even_after_a_restart(sitting: Sitting) -> None:
    sitting.press("a RJ1 skip")
    sitting.again()
    seen = []
    while (item_id := sitting.next_id) is not None:
        seen.append(item_id)
        sitting.desk.label(item_id, item_id, is_interested=True)

    assert seen == ["RJ2", "RJ3", "RJ4", "RJ5", "RJ1"]


def test_a_filter_hides_works(sitting: Sitting) -> None:
    sitting.desk.items["RJ4"] = work(4, "ＡＳＭＲ・耳かき")

    place = sitting.desk.place(Selection("given", {"genres": "asmr"}))

    assert (place.item and place.item.item_id, place.left) == ("RJ4", 1)


def test_an_unknown_work_is_refused(sitting: Sitting) -> None:
    with pytest.raises(UnknownItem):
        sitting.press("a RJ9 1")
    assert sitting.in_file() == []


def test_a_write_that_fails_leaves_the_file_as_it_was(sitting: Sitting, monkeypatch: pytest.MonkeyPatch) -> None:
    sitting.press("a RJ1 1")
    before = sitting.path.read_bytes()
    with monkeypatch.context() as disk:
        disk.setattr("os.fsync", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(NotStored, match="No space left"):
            sitting.press("b RJ2 1")
    assert sitting.path.read_bytes() == before
    sitting.again()
    sitting.press("b RJ2 1")

    assert sitting.in_file() == [("RJ1", 1), ("RJ2", 1)]


def test_a_last_row_without_a_line_break_is_kept(sitting: Sitting) -> None:
    sitting.press("a RJ1 1")
    sitting.path.write_bytes(sitting.path.read_bytes().rstrip(b"\n"))
    sitting.again()
    sitting.press("b RJ2 1")

    assert sitting.in_file() == [("RJ1", 1), ("RJ2", 1)]


def test_a_lost_journal_loses_no_label(sitting: Sitting) -> None:
    sitting.press("a RJ1 1")
    sitting.journal.path.unlink()
    sitting.again()
    sitting.press("b RJ2 1")

    assert sitting.in_file() == [("RJ1", 1), ("RJ2", 1)]


@pytest.mark.parametrize("key", ["b RJ2 1", "b RJ2 skip", "undo a"])
def test_a_key_that_the_journal_cannot_store_changes_nothing(sitting: Sitting, key: str) -> None:
    sitting.press("a RJ1 skip")
    before = sitting.desk.last_action
    with closing(sqlite3.connect(sitting.journal.path)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        sitting.journal._database.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sitting.press(key)

    assert (sitting.desk.last_action, sitting.in_file()) == (before, [])


def test_a_file_that_is_not_a_journal_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not a database " * 100)
    with pytest.raises(UserError, match="notes cannot be used: file is not a database"):
        Journal(tmp_path / "notes", lambda: "token")
    assert (tmp_path / "notes").read_text() == "not a database " * 100


def test_a_label_in_the_journal_but_not_in_the_file_is_stored_when_the_page_retries(sitting: Sitting) -> None:
    sitting.press("a RJ1 1")
    sitting.path.unlink()
    sitting.again()
    sitting.press("a RJ1 1")

    assert sitting.in_file() == [("RJ1", 1)]


def test_unknown_fields_of_a_row_are_kept(sitting: Sitting) -> None:
    row = json.dumps(
        {"item": {**WORKS[0].to_json(), "shelf": 3}, "is_interested": 1, "note": "静か"}, ensure_ascii=False
    )
    sitting.path.write_text(row + "\n", encoding="utf-8")
    sitting.again()
    sitting.press("a RJ2 1")
    sitting.press("undo a")

    assert sitting.path.read_text(encoding="utf-8") == row + "\n"


def test_half_a_surrogate_pair_can_be_labelled(sitting: Sitting) -> None:
    sitting.desk.items["\ud83d"] = Item("\ud83d", "dlsite", "https://example.com", "\ud83d")
    sitting.desk.label("a", "\ud83d", is_interested=True)
    sitting.again()

    assert sitting.in_file() == [("\ud83d", 1)]


def test_a_second_desk_on_the_same_labels_is_refused(sitting: Sitting) -> None:
    sitting.journal.serve_at(8123)
    with pytest.raises(UserError, match=r"another desk, http://127\.0\.0\.1:8123/token/"):
        Journal(sitting.journal.path, lambda: "other")


def test_token_and_port_survive_a_restart_and_only_the_owner_can_read_them(sitting: Sitting) -> None:
    sitting.journal.serve_at(8123)
    sitting.again()

    assert sitting.journal.address == "http://127.0.0.1:8123/token/"
    assert sitting.journal.path.stat().st_mode & 0o077 == 0


def test_a_label_that_cannot_be_stored_is_reported_and_a_retry_stores_it(sitting: Sitting) -> None:
    sitting.press("a RJ1 1")
    aside = sitting.path.rename(sitting.path.with_name("aside"))
    sitting.path.mkdir()
    with pytest.raises(NotStored, match=r"labels\.jsonl に書き込めません"):
        sitting.press("b RJ2 1")
    sitting.path.rmdir()
    aside.rename(sitting.path)
    sitting.press("b RJ2 1")

    assert sitting.in_file() == [("RJ1", 1), ("RJ2", 1)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"item": 1}\n', 1),
        ('{"item": {"item_id": "RJ1", "sou', 1),
        (f"{json.dumps(Example(WORKS[0], True).to_json())}\n{{", 2),
    ],
)
def test_a_file_that_is_not_a_training_file_is_left_alone(tmp_path: Path, content: str, line: int) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=rf"labels\.jsonl, line {line}"):
        LabelFile(path, lambda: NOW)
    assert path.read_text() == content


def snapshot(*items: object) -> str:
    return json.dumps({"schema_version": 1, "source": "dlsite", "crawled_at": "2026-11-22T00:00:00Z", "items": items})


def test_a_work_in_several_files_is_shown_once_with_its_last_description(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(snapshot(WORKS[0].to_json(), WORKS[1].to_json()))
    (tmp_path / "b.json").write_text(snapshot({**WORKS[0].to_json(), "title": "別の題"}))
    write_examples(tmp_path / "c.jsonl", [Example(WORKS[2], True)])

    items = read_items([tmp_path / name for name in ("a.json", "b.json", "c.jsonl")])

    assert [(item.item_id, item.title) for item in items] == [
        ("RJ1", "別の題"),
        ("RJ2", "雨の図書館 2"),
        ("RJ3", "雨の図書館 3"),
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", r"a\.json is not JSON \(.*line 1 column 2"),
        ("[" * 100_000, r"a\.json is not JSON"),
        ("[]", r"a\.json is not a snapshot: a snapshot must be a JSON object"),
        (snapshot({"item_id": "RJ1"}), r"a\.json is not a snapshot: items\[0\]: source must be"),
        (snapshot(), r"no work to label in .*a\.json"),
        (None, r"a\.json cannot be read: No such file"),
    ],
)
def test_a_bad_file_is_named_with_the_place(tmp_path: Path, content: str | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match=problem):
        read_items([tmp_path / "a.json"])
