"""Training files: the owner's labels of items, one JSON object on each line."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from math import inf
from pathlib import Path
from zoneinfo import ZoneInfo

from model.learning.examples import Example
from model.serving.text import KEYWORDS, ORDER, compose
from model.training_rows import Row, read_rows
from osusume.errors import UserError
from osusume.items import InvalidItem, Item
from osusume.times import read_time

TOKYO = ZoneInfo("Asia/Tokyo")
"""The default time zone of a time without an offset, as in template.yaml."""


def read_examples(path: Path, time_zone: tzinfo = TOKYO) -> list[Example]:
    """Return the examples of a training file in order; see `training_rows` for its possible forms.

    Times without an offset are in `time_zone`. Raises `UserError` for a file that cannot be read or is empty, and, with
    the line number, for a line that is not JSON, has no item, a label other than 0 and 1, an invalid time, or the item
    id of an earlier line.
    """
    return [example for _, example in numbered_examples(path, time_zone)]


def numbered_examples(path: Path, time_zone: tzinfo = TOKYO) -> list[tuple[Row, Example]]:
    """Return the examples as `read_examples` does, each with its row."""
    examples: list[tuple[Row, Example]] = []
    line_of: dict[str, int] = {}
    for row in read_rows(path):
        try:
            example = _example(row.value, time_zone)
        except ValueError as error:  # InvalidItem among them
            raise UserError(f"{path}, line {row.line}: {error}") from error
        item_id = example.item.item_id
        if item_id in line_of:
            raise UserError(
                f"{path}, line {row.line}: item {item_id!r:.80} is already on line {line_of[item_id]}: remove one"
            )
        line_of[item_id] = row.line
        examples.append((row, example))
    if not examples:
        raise UserError(f"{path} has no examples: write some with 'python -m model dataset'")
    return examples


def given_at(example: Example, time_zone: tzinfo) -> float:
    """Return when a label was given, in seconds since the epoch; a label without a date is the earliest."""
    return -inf if example.created_at is None else read_time(example.created_at, time_zone).timestamp()


@dataclass(frozen=True, slots=True)
class Merged:
    """Examples of several sources, one for each item, oldest label first, and how many of each source were kept."""

    examples: list[Example]
    kept: dict[str, int]


def merge(sources: Mapping[str, Sequence[Example]], time_zone: tzinfo = TOKYO) -> Merged:
    """Return the examples of all `sources` (by name) with the latest label of each item; the last source wins ties.

    A label without a date is older than any other; times without an offset are in `time_zone`.
    """
    latest: dict[str, tuple[str, Example]] = {}
    for name, examples in sources.items():
        for example in examples:
            earlier = latest.get(example.item.item_id)
            if earlier is None or given_at(example, time_zone) >= given_at(earlier[1], time_zone):
                latest[example.item.item_id] = name, example
    kept = Counter(name for name, _ in latest.values())
    examples = [example for _, example in latest.values()]
    examples.sort(key=lambda example: (given_at(example, time_zone), example.item.item_id))
    return Merged(examples, {name: kept[name] for name in sources})


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write a training file atomically and return how many examples it holds.

    Raises `UserError` if it cannot be written.
    """
    lines = [_line(example) for example in examples]
    _write(path, b"".join(lines))
    return len(lines)


def write_csv(path: Path, examples: Iterable[Example]) -> None:
    """Write the columns `text` and `target` (0 or 1) for AutoTrain; `compose` makes the texts.

    Raises `UserError` if it cannot be written.
    """
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(["text", "target"])
    rows.writerows([compose(each.item, ORDER, KEYWORDS), int(each.is_interested)] for each in examples)
    _write(path, table.getvalue().encode("utf-8", "replace"))


def _example(row: object, time_zone: tzinfo) -> Example:
    if not isinstance(row, dict):
        raise ValueError("it must be a JSON object with item and is_interested")  # noqa: TRY004  # the caller catches one kind of error
    if "item" not in row:
        raise ValueError("it has no item")
    try:
        item = Item.from_json(row["item"])
    except InvalidItem as error:
        raise ValueError(f"item: {error}") from error
    label = row.get("is_interested")
    if isinstance(label, bool) or label not in (0, 1):
        raise ValueError(f"is_interested must be 0 or 1, not {label!r:.40}: write 1 for interested, 0 for not")
    created_at, fold = row.get("created_at"), row.get("fold")
    if created_at is not None and not isinstance(created_at, str):
        raise ValueError("created_at must be a string or null")
    if created_at is not None:
        try:
            read_time(created_at, time_zone)
        except ValueError as error:
            raise ValueError(f"created_at {error}") from error
    if fold is not None and (isinstance(fold, bool) or not isinstance(fold, int)):
        raise ValueError("fold must be a whole number or null")
    return Example(item, bool(label), created_at, fold)


def _line(example: Example) -> bytes:
    try:
        return (json.dumps(example.to_json(), ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON must escape
        return (json.dumps(example.to_json()) + "\n").encode()


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
