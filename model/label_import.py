"""Imports labels from files into a stack's tables, together with their items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from model.dataset import given_at, numbered_examples
from model.learning.examples import Example
from osusume.errors import UserError
from osusume.labels import IMPORT_USER, Label, Labels, Origin, local_time
from osusume.ledger import Ledger, check_fits, labelled_elsewhere

_DATELESS = 0.0


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label to import; `given_at` is in seconds since the epoch, 0 (older than any other) if it is unknown."""

    example: Example
    given_at: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Imported:
    """How many labels were stored, how many stored labels were kept instead, and how many items are new to the ledger.

    A label that a previous import of the file already stored counts as kept.
    """

    stored: int
    kept: int
    new_items: int


def read_labels(path: Path, time_zone: tzinfo) -> list[GivenLabel]:
    """Return the labels of a training file or an annotation file.

    `created_at` is in `time_zone` unless it has an offset. A row may have an `origin` (slack or annotation); the
    default is annotation. Raises `UserError`, with the line number, for an invalid origin or an item that does not fit
    into the ledger.
    """
    labels = []
    for row, example in numbered_examples(path, time_zone):
        try:
            check_fits(labelled_elsewhere(example.item, 0.0))
            seconds = max(_DATELESS, given_at(example, time_zone))
            labels.append(GivenLabel(example, seconds, _origin(row.value.get("origin"))))  # type: ignore[attr-defined]  # an example's row is an object
        except ValueError as error:
            raise UserError(f"{path}, line {row.line}: {error}") from error
    return labels


def import_labels(
    given: Sequence[GivenLabel],
    labels: Labels,
    ledger: Ledger,
    *,
    time_zone: tzinfo,
    now: float,
    advance: Callable[[], None] = lambda: None,
) -> Imported:
    """Store each item, then its label unless a later one is stored; repeating an import changes nothing.

    `created_at` is written in `time_zone`, the owner's. `now`, in seconds since the epoch, becomes the time of the
    items in the ledger, and of labels with a time in the future. `advance` is called after each label.
    """
    stored = new_items = 0
    for each in given:
        item = each.example.item
        # The item comes first: a label without an item is useless.
        new_items += ledger.record(labelled_elsewhere(item, now))
        at = min(each.given_at, now)
        action_ts = f"{at:.6f}"
        created_at = local_time(action_ts, time_zone)
        before = labels.get(item.item_id)
        # A time in the future is wrong, so such a label never replaces a stored one.
        if before is None or (float(before.action_ts) < at and each.given_at <= now):
            label = Label(item.item_id, each.example.is_interested, IMPORT_USER, action_ts, created_at, each.origin)
            stored += labels.store(label) == label
        advance()
    return Imported(stored, len(given) - stored, new_items)


def _origin(value: object) -> Origin:
    if value is None or value == "annotation":
        return "annotation"
    if value == "slack":
        return "slack"
    raise ValueError(f"origin must be slack or annotation, not {value!r:.40}")
