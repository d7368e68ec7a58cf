"""Counts what was lost, doubled or crossed between owners: what each owner has, compared with what was due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was due to one owner, and what the owner has.

    `recorded` gives by item id the threshold in the ledger's record, `posted` the owner and the item that each message
    in the channel names. `pressed` and `labelled` give the verdicts by user and item id.
    """

    owner: str
    threshold: float
    due: frozenset[str]
    recorded: Mapping[str, float | None]
    chosen: frozenset[str]
    posted: Sequence[tuple[str, str]]
    pressed: Mapping[tuple[str, str], bool]
    labelled: Mapping[tuple[str, str], bool | None]


@dataclass(frozen=True, slots=True)
class Counts:
    """What went wrong; all zero where nothing did."""

    lost: int = 0
    doubled: int = 0
    crossed: int = 0


def count(evidence: Iterable[Evidence]) -> Counts:
    """Return the counts over all owners.

    Lost is an item without a record, a choice without a message, or a press without its label. Doubled is a second
    message about an item. Crossed is a record, message or label that belongs to no item, choice or press of its owner.
    """
    lost = doubled = crossed = 0
    for each in evidence:
        own = [item for owner, item in each.posted if owner == each.owner]
        lost += len(each.due - each.recorded.keys()) + len(each.chosen - set(own))
        lost += sum(each.labelled.get(press) != verdict for press, verdict in each.pressed.items())
        doubled += sum(times - 1 for times in Counter(own).values())
        crossed += sum(item not in each.due or threshold != each.threshold for item, threshold in each.recorded.items())
        crossed += sum(owner != each.owner or item not in each.chosen for owner, item in set(each.posted))
        crossed += len(each.labelled.keys() - each.pressed.keys())
    return Counts(lost, doubled, crossed)
