"""The field values and n-grams with the largest effect on a package's scores, in both directions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.serving.features import rarity
from model.serving.head import Head, TextTerm
from model.serving.package import ModelPackage
from model.serving.reasons import tried_values, without
from osusume.items import Item

MEASURED = "field values, by the mean change of the score without them"
FIELDS = "field values, by weight in the logit"
NGRAMS = "n-grams of the text, by weight"

MOST_ITEMS = 100
"""Each measured item needs up to `model.serving.reasons.MOST_VALUES` runs of the encoder."""

MOST_LEANINGS = 12
_LEAST_ITEMS = 2
_LEAST_SHARE = 0.005
"""An n-gram in a smaller share of items, or in fewer than three, says more about those items than about taste."""

_PARTS = {"item": "text", "title": "title", "sections": "sections"}
"""The source of a view, as the report names it."""

Leanings = dict[str, list["Leaning"]]
"""By kind of effect: `MEASURED`, `FIELDS` or `NGRAMS`."""


@dataclass(frozen=True, slots=True)
class Leaning:
    """A value of a field or an n-gram of the text, and its effect on the score of an item that has it."""

    field: str
    value: str
    effect: float


def leanings(
    package: ModelPackage, items: Sequence[Item], *, advance: Callable[[float], None] = lambda _share: None
) -> Leanings:
    """Return what the package leans on, from the most positive to the most negative effect.

    The effects are the head's own weights if it weighs fields or n-grams. For a head over an embedding alone they are
    measured by leaving each field value out of the first `MOST_ITEMS` items. `advance` gets the share that is done.
    """
    if package.head.reads_items:
        found = {FIELDS: _fields(package.head), NGRAMS: _ngrams(package.head)}
    else:
        found = {MEASURED: _measured(package, items[:MOST_ITEMS], advance)}
    return {name: chosen for name, each in found.items() if (chosen := _both_ways(each))}


def _fields(head: Head) -> list[Leaning]:
    return [Leaning(field, value, float(weight)) for (field, value), weight in head.fields.items()]


def _ngrams(head: Head) -> list[Leaning]:
    """Return n-grams of words if the head has any, because those of characters are fragments."""
    terms = [term for term in head.text if term.view.unit == "words"] or head.text
    return [leaning for term in terms for leaning in _of_term(term)]


def _of_term(term: TextTerm) -> list[Leaning]:
    least = max(3, _LEAST_SHARE * term.total)
    pulls = term.view.strength * term.weights * rarity(term.items, term.total)
    return [
        Leaning(_PARTS[term.view.source], ngram, float(pull))
        for ngram, items, pull in zip(term.ngrams, term.items, pulls, strict=True)
        if items >= least
    ]


def _measured(package: ModelPackage, items: Sequence[Item], advance: Callable[[float], None]) -> list[Leaning]:
    effects: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number, item in enumerate(items, 1):
        tried = tried_values(item, package.card.order)
        score, *lesser = package.probabilities([item, *(without(item, field, value) for field, value in tried)])
        for pair, other in zip(tried, lesser, strict=True):
            effects[pair].append(score - other)
        advance(number / len(items))
    return [
        Leaning(field, value, sum(each) / len(each))
        for (field, value), each in effects.items()
        if len(each) >= _LEAST_ITEMS
    ]


def _both_ways(found: Sequence[Leaning]) -> list[Leaning]:
    """Return up to `MOST_LEANINGS` in each direction, without those that only repeat part of a stronger one."""
    chosen: list[Leaning] = []
    strongest = sorted(found, key=lambda leaning: (-abs(leaning.effect), leaning.field, leaning.value))
    for positive in (True, False):
        way: list[Leaning] = []
        for leaning in strongest:
            if len(way) == MOST_LEANINGS:
                break
            if leaning.effect and (leaning.effect > 0) == positive and not any(_repeats(leaning, c) for c in way):
                way.append(leaning)
        chosen += way if positive else way[::-1]
    return chosen


def _repeats(ngram: Leaning, other: Leaning) -> bool:
    """Return whether an n-gram is part of another or the reverse; values of fields never repeat each other."""
    in_text = ngram.field == other.field and ngram.field in _PARTS.values()
    return in_text and (ngram.value in other.value or other.value in ngram.value)
