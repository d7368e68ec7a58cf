"""How good the first morning is, of an owner who named words or brought works they bought, before any press."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from model.learning.examples import Example
from notifier.guess import guess
from notifier.selection import select
from osusume.errors import UserError
from osusume.items import Item
from osusume.wishes import Bought, Wishes

MORNING = 100
"""The works of the first morning, as many as the first crawl reads by default."""

_MOST_POSTS, _EXPLORED = 30, 3
_WORDS = re.compile(r"[ァ-ヴー]{3,}|[一-龠々]{2,}|[A-Za-z]{3,}")


@dataclass(frozen=True, slots=True)
class FirstMorning:
    """The guessed works of one morning: how many, the share that is liked, and the share of all that is."""

    seed: int
    posts: int
    precision: float
    base_rate: float

    @property
    def times(self) -> float:
        """The precision as a multiple of the base rate."""
        return self.precision / self.base_rate if self.base_rate else 0.0


def first_morning(examples: Sequence[Example], words: int, bought: int, seed: int) -> FirstMorning:
    """Return what came of one first morning.

    Half of the works, drawn by the seed, are the owner's past: the words are those that their liked works have most
    often compared with the others, the bought works are drawn from the liked ones. The morning is drawn from the other
    half. Raises `UserError` if there are too few works.
    """
    random = Random(seed)  # noqa: S311  # draws works, no secrets
    drawn = random.sample(list(examples), len(examples))
    past, rest = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :][:MORNING]
    liked = [each.item for each in past if each.is_interested]
    if len(liked) < max(bought, 1) or len(rest) < MORNING:
        raise UserError(f"a first morning needs {MORNING} works, and {max(bought, 1)} liked ones among as many others")
    owned = [Bought(item.title, item.attributes) for item in random.sample(liked, bought)]
    names = _telling(liked, [each.item for each in past if not each.is_interested], words)
    items = [each.item for each in rest]
    guesses = guess(items, Wishes(names, owned))
    nothing = dict.fromkeys([item.item_id for item in items])
    selected = select(items, nothing, None, _MOST_POSTS, _EXPLORED, str(seed), guesses=guesses)
    likes = {each.item.item_id: each.is_interested for each in rest}
    shown = [likes[item_id] for item_id, each in selected.items() if each.why == "wished"]
    return FirstMorning(seed, len(shown), sum(shown) / max(len(shown), 1), sum(likes.values()) / len(likes))


def _telling(liked: Sequence[Item], others: Sequence[Item], count: int) -> list[str]:
    """Return the terms whose share among the liked works exceeds that among the others most."""
    having = [Counter(term for item in items for term in set(_terms(item))) for items in (liked, others)]
    gain = {term: times / len(liked) - having[1][term] / max(len(others), 1) for term, times in having[0].items()}
    return sorted(gain, key=lambda term: (-gain[term], term))[:count]


def _terms(item: Item) -> Iterator[str]:
    yield from (value for name in item.attributes for value in item.values(name))
    for text in (item.title, *(section.text for section in item.sections)):
        yield from _WORDS.findall(text)
