"""What a package leans on: the field values and n-grams that move its scores most, both ways."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.package import ModelPackage
from model.reasons import tried_values, without
from osusume.items import Item

MOST_ITEMS = 100
"""Each item measured costs up to `model.reasons.MOST_VALUES` runs of the encoder."""

MOST_LEANINGS = 12
_LEAST_ITEMS = 2
_LEAST_EFFECT = 0.001


@dataclass(frozen=True, slots=True)
class Leaning:
    """A value of a field, and how much it speaks for an item that has it (against, where negative).

    `effect` is the mean change of the score over the `items` measured with and without the value.
    """

    field: str
    value: str
    effect: float
    items: int


def measured_leanings(
    package: ModelPackage, items: Sequence[Item], *, advance: Callable[[float], None] = lambda _share: None
) -> list[Leaning]:
    """Return the field values of the greatest effect, measured by leaving each out of the first `MOST_ITEMS` items.

    Only values that at least two of these have count; the strongest for come first, the strongest against last.
    """
    effects: dict[tuple[str, str], list[float]] = defaultdict(list)
    measured = items[:MOST_ITEMS]
    for number, item in enumerate(measured, 1):
        tried = tried_values(item, package.card.order)
        score, *lesser = package.probabilities([item, *(without(item, field, value) for field, value in tried)])
        for pair, other in zip(tried, lesser, strict=True):
            effects[pair].append(score - other)
        advance(number / len(measured))
    found = [
        Leaning(field, value, sum(each) / len(each), len(each))
        for (field, value), each in effects.items()
        if len(each) >= _LEAST_ITEMS
    ]
    strongest = sorted(found, key=lambda leaning: (-abs(leaning.effect), leaning.field, leaning.value))
    kept = [leaning for leaning in strongest if abs(leaning.effect) >= _LEAST_EFFECT]
    return sorted(both_ways(kept), key=lambda leaning: -leaning.effect)


def both_ways(leanings: Sequence[Leaning]) -> list[Leaning]:
    """Return the first `MOST_LEANINGS` of those that speak for an item, and of those against."""
    return [
        *[leaning for leaning in leanings if leaning.effect > 0][:MOST_LEANINGS],
        *[leaning for leaning in leanings if leaning.effect < 0][:MOST_LEANINGS],
    ]
