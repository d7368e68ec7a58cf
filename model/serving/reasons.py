"""Reasons: the effect of each value of an item on its score.

If the head weighs fields, the effect of a value is the score less the score without the value's weight, with the same
embedding. That is exact for the head, and ignores the effect of the value on the embedding. For a head over the
embedding alone, the item is scored again without the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from model.serving.features import plain
from model.serving.head import Head, Label, squash
from osusume.items import Item
from osusume.records import Reason, Witness

MOST_VALUES = 12
"""How many values of an item are tried; each needs one run of the encoder."""

MOST_REASONS = 5
MOST_PHRASES = 3
PHRASE = "phrase"
"""The field of a reason that is a word of the item's text."""

LEAST_EFFECT = 0.005
"""Smaller effects would not show in a score in percent."""


def tried_values(item: Item, order: Sequence[str]) -> list[tuple[str, str]]:
    """Return up to `MOST_VALUES` (field, value) pairs of the fields in `order`.

    The first value of every field comes before any second value, so that many genres leave room for other fields.
    """
    columns = [[(name, value) for value in dict.fromkeys(item.values(name)) if value.strip()] for name in order]
    rows = zip_longest(*columns)
    return [pair for row in rows for pair in row if pair is not None][:MOST_VALUES]


def read_from_head(item: Item, logit: float, head: Head, order: Sequence[str]) -> list[Reason]:
    """Return the effect of each value of the fields in `order` that the head weighs; `logit` is the item's."""
    known = {(name, plain(value)): value for name in order for value in reversed(item.values(name))}
    weights = np.array([head.fields.get(pair, 0.0) for pair in known], dtype=np.float64)
    effects = squash(np.full(len(weights), logit)) - squash(logit - weights)
    return [
        Reason(name, value, float(effect))
        for ((name, _), value), effect in zip(known.items(), effects, strict=True)
        if effect
    ]


def phrases(traits: Mapping[str, float], logit: float) -> list[Reason]:
    """Return the words of title and description with the strongest effects; `traits` are the item's."""
    parts = {trait[1:]: part for trait, part in traits.items() if trait.startswith("\t")}
    effects = squash(np.full(len(parts), logit)) - squash(logit - np.array(list(parts.values())))
    return strongest([Reason(PHRASE, word, float(each)) for word, each in zip(parts, effects, strict=True)])[
        :MOST_PHRASES
    ]


def witnesses(traits: Mapping[str, float], labels: Sequence[Label]) -> list[Witness]:
    """Return the label that speaks most for the item and the one that speaks most against it, if any is like it.

    Two items are alike by the traits that they share, each as much as it adds to the item's logit, in either direction.
    """
    likeness = {label: sum(abs(traits[trait]) for trait in label.traits if trait in traits) for label in labels}
    found = []
    for side in (True, False):
        alike = [label for label in labels if label.is_interested is side and likeness[label] > 0]
        if alike:
            best = max(alike, key=lambda label: (likeness[label], label.item_id))
            found.append(Witness(best.item_id, best.title, side))
    return found


def without(item: Item, field: str, value: str) -> Item:
    """Return the item without `value` in `field`."""
    rest = [other for other in item.values(field) if other != value]
    return replace(item, attributes={**item.attributes, field: rest})


def strongest(reasons: Sequence[Reason]) -> list[Reason]:
    """Return the reasons to show, the strongest effect first, positive or negative."""
    told = [reason for reason in reasons if abs(reason.effect) >= LEAST_EFFECT]
    return sorted(told, key=lambda reason: -abs(reason.effect))[:MOST_REASONS]
