"""Labelled items, which a head learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from osusume.errors import UserError
from osusume.items import Item

LEAST_LABELS = 20
"""The fewest labels of `python -m model train`."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled item; `created_at` is when the label was given, in any form that `osusume.times` reads.

    `fold` is the example's fold in cross-validation, None if the file does not say.
    """

    item: Item
    is_interested: bool
    created_at: str | None = None
    fold: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the example as in a line of a training file."""
        row: dict[str, Any] = {
            "item": self.item.to_json(),
            "is_interested": int(self.is_interested),
            "created_at": self.created_at,
        }
        return row if self.fold is None else {**row, "fold": self.fold}


def check_trainable(examples: Sequence[Example], least: int = LEAST_LABELS) -> None:
    """Raise `UserError` if the examples are too few to train on, or all of one kind."""
    if len(examples) < least:
        raise UserError(f"{len(examples)} labels are too few to train on: press or annotate at least {least}")
    check_both_kinds(examples)


def check_both_kinds(examples: Sequence[Example]) -> None:
    """Raise `UserError` if the examples are all of one kind."""
    liked = sum(example.is_interested for example in examples)
    if liked in {0, len(examples)}:
        kind = "liked" if liked else "not liked"
        raise UserError(f"all {len(examples)} items are {kind}: label some of the other kind too")
