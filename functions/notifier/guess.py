"""Guesses which works the owner likes from their own words alone, as long as nothing is learnt.

A name counts where it is a value of a work's fields or stands in its title or description, and more if few of the
morning's works have it. Bought works count by what they have more often than the morning's works: each value and each
pair of letters of a title has the logarithm of the ratio of its two frequencies as its weight, as in naive Bayes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from osusume.items import Item
from osusume.sanitize import normal
from osusume.wishes import Wishes

BEST_SHARE = 0.12
"""At most so many of the morning's works are guessed to be liked: common words are in most, and bought works give each
a score."""

_OF_A_VALUE = 3.0
"""A common value says as much as so many common pairs of letters."""

_OF_BOUGHT = 2.0
"""The work that resembles the bought ones most counts as much as a name with this logarithm of its rarity."""


def guess(items: Sequence[Item], wishes: Wishes) -> dict[str, float]:
    """Return by item id how well the works fit the wishes, of those alone that are worth a post."""
    named, resembling = _named(items, wishes.names), _resembling(items, wishes)
    scores = {item_id: score + resembling[item_id] for item_id, score in named.items()}
    best = sorted((id_ for id_ in scores if scores[id_] > 0), key=lambda id_: (-scores[id_], id_))
    return {item_id: scores[item_id] for item_id in best[: math.ceil(BEST_SHARE * len(items))]}


def _named(items: Sequence[Item], names: Sequence[str]) -> dict[str, float]:
    wanted = sorted({normal(name) for name in names})
    found = {item.item_id: [name for name in wanted if any(name in text for text in _texts(item))] for item in items}
    weights = _rarities(found.values(), len(items))
    return {item_id: sum(weights[name] for name in has) for item_id, has in found.items()}


def _texts(item: Item) -> Iterator[str]:
    yield from (normal(value) for name in item.attributes for value in item.values(name))
    yield normal(item.title)
    yield from (normal(section.text) for section in item.sections)


def _rarities(found: Iterable[Iterable[str]], items: int) -> dict[str, float]:
    usual = Counter(name for names in found for name in names)
    return {name: math.log((items + 1) / (count + 0.5)) for name, count in usual.items()}


def _resembling(items: Sequence[Item], wishes: Wishes) -> dict[str, float]:
    features = {item.item_id: sorted(set(_features(item.title, item.attributes))) for item in items}
    bought = Counter(feature for each in wishes.bought for feature in set(_features(each.title, each.values)))
    rarities = _rarities(features.values(), len(items))
    weights = {
        feature: (_OF_A_VALUE if feature.startswith("value:") else 1.0)
        * max(rarities[feature] - math.log((len(wishes.bought) + 1) / (count + 0.5)), 0.0)
        for feature, count in bought.items()
        if feature in rarities
    }
    scores = {
        item_id: sum(weights.get(feature, 0.0) for feature in has) / math.sqrt(len(has) or 1)
        for item_id, has in features.items()
    }
    most = max(scores.values(), default=0.0)
    return {item_id: _OF_BOUGHT * score / most if most else 0.0 for item_id, score in scores.items()}


def _features(title: str, fields: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from (f"value:{normal(value)}" for values in fields.values() for value in values)
    letters = normal(title)
    yield from (letters[start : start + 2] for start in range(len(letters) - 1))
