"""Training files: what the owner said of which item, one JSON object a line."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.text import KEYWORDS, ORDER, compose
from osusume.items import InvalidItem, Item

LEAST_LABELS = 20


class DatasetError(Exception):
    """Raised when a training file cannot be used; the message names the file, the line and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled item; `created_at` is when the label was given, `YYYY-MM-DD HH:MM:SS` in the owner's time zone.

    `fold` is the fold that the file puts the example into for cross-validation, None where it leaves that open.
    """

    item: Item
    is_interested: bool
    created_at: str | None = None
    fold: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the example as a training file's line holds it."""
        row: dict[str, Any] = {
            "item": self.item.to_json(),
            "is_interested": int(self.is_interested),
            "created_at": self.created_at,
        }
        return row if self.fold is None else {**row, "fold": self.fold}


def read_examples(path: Path) -> list[Example]:
    """Return the examples of a training file in its order; blank lines are passed over.

    Raises `DatasetError` for a file that cannot be read or is empty, and, with the number of the line, for a line that
    is not JSON in UTF-8, has no item, a label other than 0 and 1, or an item id that an earlier line has.
    """
    examples: list[Example] = []
    line_of: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    example = _example(line)
                except ValueError as error:  # InvalidItem, JSON's and UTF-8's errors among them
                    raise DatasetError(f"{path}, line {number}: {error}") from error
                item_id = example.item.item_id
                if item_id in line_of:
                    earlier = line_of[item_id]
                    raise DatasetError(f"{path}, line {number}: item {item_id!r:.80} stands on line {earlier} already")
                line_of[item_id] = number
                examples.append(example)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    if not examples:
        raise DatasetError(f"{path} has no examples: write some with 'python -m model dataset'")
    return examples


@dataclass(frozen=True, slots=True)
class Merged:
    """Examples of several sources, one an item, oldest label first, and how many of each source were kept."""

    examples: list[Example]
    kept: dict[str, int]


def merge(sources: Mapping[str, Sequence[Example]]) -> Merged:
    """Return the examples of all `sources`, by name; of an item's labels the latest, of equals the later source's.

    A label without a date is older than any that has one.
    """
    latest: dict[str, tuple[str, Example]] = {}
    for name, examples in sources.items():
        for example in examples:
            earlier = latest.get(example.item.item_id)
            if earlier is None or (example.created_at or "") >= (earlier[1].created_at or ""):
                latest[example.item.item_id] = name, example
    kept = Counter(name for name, _ in latest.values())
    examples = [example for _, example in latest.values()]
    examples.sort(key=lambda example: (example.created_at or "", example.item.item_id))
    return Merged(examples, {name: kept[name] for name in sources})


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write a training file and return how many examples it holds; it is whole or not there.

    Raises `DatasetError` where it cannot be written.
    """
    lines = [_line(example) for example in examples]
    _write(path, b"".join(lines))
    return len(lines)


def write_csv(path: Path, examples: Iterable[Example]) -> None:
    """Write the columns `text` and `target` (0 or 1), as AutoTrain reads them, the texts as `model.text.compose` makes.

    Raises `DatasetError` where it cannot be written.
    """
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(["text", "target"])
    rows.writerows([compose(each.item, ORDER, KEYWORDS), int(each.is_interested)] for each in examples)
    _write(path, table.getvalue().encode("utf-8", "replace"))


def check_trainable(examples: Sequence[Example]) -> None:
    """Raise `DatasetError` where the examples are too few to train on, or all of one kind."""
    if len(examples) < LEAST_LABELS:
        raise DatasetError(f"{len(examples)} labels are too few to train on: press or annotate at least {LEAST_LABELS}")
    check_both_kinds(examples)


def check_both_kinds(examples: Sequence[Example]) -> None:
    """Raise `DatasetError` where the examples are all of one kind."""
    liked = sum(example.is_interested for example in examples)
    if liked in {0, len(examples)}:
        kind = "liked" if liked else "not liked"
        raise DatasetError(f"all {len(examples)} items are {kind}: label some of the other kind too")


def _example(line: bytes) -> Example:
    try:
        row = json.loads(line)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(row, dict):
        raise ValueError("it must be a JSON object with item and is_interested")  # noqa: TRY004  # one kind of error
    if "item" not in row:
        raise ValueError("it has no item")
    try:
        item = Item.from_json(row["item"])
    except InvalidItem as error:
        raise ValueError(f"item: {error}") from error
    label = row.get("is_interested")
    if isinstance(label, bool) or label not in (0, 1):
        raise ValueError(f"is_interested must be 0 or 1, not {label!r:.40}")
    created_at, fold = row.get("created_at"), row.get("fold")
    if created_at is not None and not isinstance(created_at, str):
        raise ValueError("created_at must be a string or null")
    if fold is not None and (isinstance(fold, bool) or not isinstance(fold, int)):
        raise ValueError("fold must be a whole number or null")
    return Example(item, bool(label), created_at, fold)


def _line(example: Example) -> bytes:
    try:
        return (json.dumps(example.to_json(), ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only spell out
        return (json.dumps(example.to_json()) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise DatasetError(f"{path} cannot be written: {error.strerror}") from error
