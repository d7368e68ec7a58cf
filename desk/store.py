"""Labels in a training file: on the disk before a key is answered, and a valid training file at every moment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from desk.journal import Mark
from model.dataset import read_examples
from model.training_rows import is_plain
from osusume.errors import UserError
from osusume.items import Item


class NotStored(Exception):
    """Raised when a label could not be stored and the earlier one stands; the message is for the owner, in Japanese."""


class LabelStore(Protocol):
    """Where the desk's labels are: a training file, or a deployed stack's table.

    `items` are the items that have a label, and `marks` their labels, by item id in the order in which they were given.
    """

    items: dict[str, Item]
    marks: dict[str, Mark]

    def new_mark(self, *, is_interested: bool) -> Mark:
        """Return a label given now."""

    def look(self, item: Item) -> Mark | None:
        """Return the item's label as it stands now, None where it has none. Raises `NotStored` where nobody knows."""

    def replace(self, item: Item, mark: Mark | None) -> None:
        """Store `mark` as the item's label, or, with None, that it has none. Raises `NotStored`."""


class LabelFile:
    """A training file that one desk writes to; see `LabelStore`.

    A new label is appended; one that is changed or taken back makes the file anew beside itself, which then takes its
    place, since a training file has one row an item. Rows of others, and what they hold besides, stay as they are.
    """

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        """Open `path`, which need not be there yet; `now` gives the time in the owner's time zone.

        `notice` describes a last row that was cut off; empty without one. Raises `UserError`.
        """
        self.path = path.resolve()
        self.items: dict[str, Item] = {}
        self.marks: dict[str, Mark] = {}
        self._rows: dict[str, bytes] = {}
        self._now = now
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.notice = _heal(self.path)
            content = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise UserError(f"{path} cannot be used: {error.strerror}") from error
        if content and not is_plain(self.path):
            raise UserError(
                f"{path} is not JSON Lines in UTF-8, to which the desk can add: write it as such with"
                f" 'python -m model dataset --annotations {path.name} --output NEW.jsonl'"
            )
        rows = [line + b"\n" for line in content.split(b"\n") if line.strip()]
        for row, example in zip(rows, read_examples(self.path) if rows else [], strict=True):
            item_id = example.item.item_id
            self.items[item_id], self._rows[item_id] = example.item, row
            self.marks[item_id] = {name: value for name, value in json.loads(row).items() if name != "item"}

    def new_mark(self, *, is_interested: bool) -> Mark:
        """Return a label given now."""
        return {"is_interested": int(is_interested), "created_at": self._now().isoformat(" ", "seconds")}

    def look(self, item: Item) -> Mark | None:
        """Return the item's label, None where it has none."""
        return self.marks.get(item.item_id)

    def replace(self, item: Item, mark: Mark | None) -> None:
        """Store `mark` as the item's label, or, with None, that it has none. Raises `NotStored`."""
        item_id = item.item_id
        rows = {other: row for other, row in self._rows.items() if other != item_id}
        if mark is not None:
            rows[item_id] = _row(item, mark)
        try:
            if mark is not None and item_id not in self._rows:
                _append(self.path, rows[item_id])
            else:
                _write_whole(self.path, b"".join(rows.values()))
        except OSError as error:
            raise NotStored(f"{self.path.name} に書き込めません（{error.strerror}）。") from error
        self._rows = rows
        self.marks, self.items = (
            changed(self.marks, item_id, mark),
            changed(self.items, item_id, None if mark is None else item),
        )


def _row(item: Item, mark: Mark) -> bytes:
    row = {"item": item.to_json(), **mark}
    try:
        return (json.dumps(row, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only spell out
        return (json.dumps(row) + "\n").encode()


def _heal(path: Path) -> str:
    """Make the file end in a whole row, and return what was done to it, nothing where it did."""
    if not path.exists():
        return ""
    content = path.read_bytes()
    _, _, last = content.rpartition(b"\n")
    if not last.strip():
        return ""
    try:
        json.loads(last)
    except (ValueError, RecursionError):
        torn = path.with_name(path.name + ".torn")
        with torn.open("ab") as file:
            file.write(last + b"\n")
        with path.open("r+b") as file:
            file.truncate(len(content) - len(last))
            os.fsync(file.fileno())
        return f"the last row of {path.name} was cut off, as by a crash: it is in {torn.name} now, the others are whole"
    _append(path, b"\n")
    return ""


def _append(path: Path, row: bytes) -> None:
    """Append a row, on the disk when this returns; a row that does not fit is taken away again."""
    is_new = not path.exists()
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            left = row
            while left:  # unbuffered, so that nothing is written later than this
                left = left[file.write(left) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)
            raise
    if is_new:
        _sync_folder(path)


def _write_whole(path: Path, content: bytes) -> None:
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        unfinished.chmod(path.stat().st_mode)
    unfinished.replace(path)
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    """Sync the folder, so that a new name in it survives a crash; the caller syncs the file."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


Value = TypeVar("Value")


def changed(values: Mapping[str, Value], item_id: str, value: Value | None) -> dict[str, Value]:
    """Return a copy with the item's value last, or without it; whoever reads the old one meanwhile is not disturbed."""
    rest = {other: kept for other, kept in values.items() if other != item_id}
    return rest if value is None else {**rest, item_id: value}
