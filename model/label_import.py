"""Labels that were given elsewhere, brought into a stack's tables together with their items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from model.dataset import Example, given_at, numbered_examples
from osusume.errors import UserError
from osusume.labels import IMPORT_USER, Label, Labels, Origin, local_time
from osusume.ledger import Ledger, check_fits, labelled_elsewhere

_DATELESS = 0.0


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label to bring in; `given_at` is in seconds since the epoch, 0 where nobody knows: older than any other."""

    example: Example
    given_at: float
    origin: Origin


@dataclass(frozen=True, slots=True)
class Imported:
    """How many labels were stored, how many gave way to one as late or later, how many items the ledger did not know.

    A label that stands already, since the same file was imported before, is among those that gave way.
    """

    stored: int
    kept: int
    new_items: int


def read_labels(path: Path, time_zone: tzinfo) -> list[GivenLabel]:
    """Return the labels of a training file or an annotation file.

    `created_at` is a time in `time_zone`, unless it names its own. A row may say its `origin` (slack or annotation);
    one that does not is an annotation. Raises `UserError` for an origin that makes no
    sense or an item that does not fit the ledger; either names the line. Nothing is stored by then.
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
    """Store the labels where no later one stands, each after its item: doing it again changes nothing.

    `created_at` is written in `time_zone`, the owner's. `now`, in seconds since the epoch, is when the items come into
    the ledger, and the time of a label that says it is from later. `advance` is called after each label.
    """
    stored = new_items = 0
    for each in given:
        item = each.example.item
        # the item first: a label without one is of no use to anybody
        new_items += ledger.record(labelled_elsewhere(item, now))
        at = min(each.given_at, now)
        action_ts = f"{at:.6f}"
        created_at = local_time(action_ts, time_zone)
        before = labels.get(item.item_id)
        # a label from the future has no time that can be trusted: it gives way to any that stands
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
