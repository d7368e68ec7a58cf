"""Labels in a training file: each is on the disk before its key is answered, and the file is valid at every moment."""

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
    """Raised if a label could not be stored and nothing changed; the message is for the owner, in Japanese."""


class LabelStore(Protocol):
    """Where the desk's labels are: a training file, or the table of a deployed stack.

    `items` are the labelled items and `marks` their labels, both by item id, oldest label first.
    """

    items: dict[str, Item]
    marks: dict[str, Mark]

    def new_mark(self, *, is_interested: bool) -> Mark:
        """Return a label with the current time."""

    def look(self, item: Item) -> Mark | None:
        """Return the item's current label, None if it has none. Raises `NotStored` if it cannot be read."""

    def replace(self, item: Item, mark: Mark | None) -> None:
        """Store the item's label, or remove it if `mark` is None. Raises `NotStored`."""


class LabelFile:
    """A training file that one desk writes to; see `LabelStore`.

    Each change replaces the file atomically. Rows of other items stay as they are, byte for byte.
    """

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        """Open `path`, which need not exist yet; `now` returns the time in the owner's time zone.

        Raises `UserError` for a file that is not a training file, or that cannot be read.
        """
        self.path = path.resolve()
        self.items: dict[str, Item] = {}
        self.marks: dict[str, Mark] = {}
        self._rows: dict[str, bytes] = {}
        self._now = now
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            content = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise UserError(f"{path} cannot be used: {error.strerror}") from error
        if content and not is_plain(self.path):
            raise UserError(
                f"{path} is not JSON Lines in UTF-8, the only form that the desk writes: convert it with"
                f" 'python -m model dataset --annotations {path.name} --output NEW.jsonl'"
            )
        rows = [line + b"\n" for line in content.split(b"\n") if line.strip()]
        for row, example in zip(rows, read_examples(self.path) if rows else [], strict=True):
            item_id = example.item.item_id
            self.items[item_id], self._rows[item_id] = example.item, row
            self.marks[item_id] = {name: value for name, value in json.loads(row).items() if name != "item"}

    def new_mark(self, *, is_interested: bool) -> Mark:
        """Return a label with the current time."""
        return {"is_interested": int(is_interested), "created_at": self._now().isoformat(" ", "seconds")}

    def look(self, item: Item) -> Mark | None:
        """Return the item's label, None if it has none."""
        return self.marks.get(item.item_id)

    def replace(self, item: Item, mark: Mark | None) -> None:
        """Store the item's label, or remove it if `mark` is None. Raises `NotStored`."""
        item_id = item.item_id
        rows = {other: row for other, row in self._rows.items() if other != item_id}
        if mark is not None:
            rows[item_id] = _row(item, mark)
        try:
            _write(self.path, b"".join(rows.values()))
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
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can hold
        return (json.dumps(row) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    """Replace the file in one step: whatever happens, it holds the old rows or the new ones."""
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        unfinished.chmod(path.stat().st_mode)
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)  # the new name survives a power cut only once its folder is synced
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


Value = TypeVar("Value")


def changed(values: Mapping[str, Value], item_id: str, value: Value | None) -> dict[str, Value]:
    """Return a copy with the item's value last, or without it; other threads may still read the original."""
    rest = {other: kept for other, kept in values.items() if other != item_id}
    return rest if value is None else {**rest, item_id: value}
