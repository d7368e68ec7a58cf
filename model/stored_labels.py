"""Reads the owner's labels and their items from the two tables of a deployed stack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo

from model.dataset import TOKYO
from model.learning.examples import Example
from osusume.items import Item
from osusume.labels import Label
from osusume.ledger import KEYS_A_BATCH, Ledger
from osusume.times import written_time


@dataclass(frozen=True, slots=True)
class Learnt:
    """The examples of a stack, and the ids of the labels whose item is unknown."""

    examples: list[Example]
    unknown: list[str]


def read_tables(
    labels: Iterable[Label],
    ledger: Ledger,
    known: Mapping[str, Item],
    advance: Callable[[float], None],
    time_zone: tzinfo = TOKYO,
) -> Learnt:
    """Return the labels with their items from the ledger, or from `known`, and their times in `time_zone`.

    Labels that say neither yes nor no are left out.
    """
    standing = sorted((each for each in labels if each.is_interested is not None), key=lambda label: label.item_id)
    examples: list[Example] = []
    unknown: list[str] = []
    for start in range(0, len(standing), KEYS_A_BATCH):
        batch = standing[start : start + KEYS_A_BATCH]
        records = ledger.get(label.item_id for label in batch)
        for label in batch:
            record = records.get(label.item_id)
            item = record.item if record else known.get(label.item_id)
            if item is None:
                unknown.append(label.item_id)
            else:
                examples.append(Example(item, bool(label.is_interested), _written(label, time_zone)))
        advance((start + len(batch)) / len(standing))
    return Learnt(examples, unknown)


def _written(label: Label, time_zone: tzinfo) -> str | None:
    seconds = float(label.action_ts)
    return written_time(seconds, time_zone) if seconds > 0 else None  # 0 is an unknown time
