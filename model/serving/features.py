"""The features of an item besides its embedding, the same in training and in serving.

Text becomes n-grams of characters, because Japanese has no spaces, and of words, which are split where the script
changes. Fields become their whole values.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from osusume.items import Item

Source = Literal["item", "title", "sections"]
Unit = Literal["characters", "words"]
Numbers = npt.NDArray[np.float64]
FieldValue = tuple[str, str]
"""A field and one of its values, as `plain` writes it."""

MOST_CHARACTERS = 2_000
"""At most so much of an item's text is read, which bounds the time for one item."""

_NUMERAL = re.compile(r"\d")
_SPACE = re.compile(r"[\s\0]+")
_WORD = re.compile(r"[a-z0-9][a-z0-9_.+#'-]*|[ァ-ヺー]+|[㐀-䶿一-鿿々]+|[ぁ-ゖ]+|[^\W\d_ぁ-ヺー一-鿿㐀-䶿々a-z]+")


@dataclass(frozen=True, slots=True)
class View:
    """One view of an item's text: all n-grams of `unit`s, `shortest` to `longest`, in one part of the item.

    The vector of an item's n-grams is scaled to the length `strength`, however long the text is.
    """

    source: Source
    unit: Unit
    shortest: int
    longest: int
    strength: float

    def ngrams(self, item: Item) -> Counter[str]:
        """Return how often the item has each n-gram."""
        text = _text(item, self.source)
        if self.unit == "characters":
            text = f" {text} " if text else ""
            runs = (text[start : start + size] for size in self._sizes() for start in range(len(text) - size + 1))
            return Counter(runs)
        words: list[str] = _WORD.findall(text)
        return Counter(
            " ".join(words[start : start + size]) for size in self._sizes() for start in range(len(words) - size + 1)
        )

    def to_json(self) -> dict[str, object]:
        """Return the view as plain JSON values, the inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> View:
        """Return the view that `value` describes; raises `ValueError` if this code cannot compute it."""
        if not isinstance(value, Mapping) or value.keys() != {"source", "unit", "shortest", "longest", "strength"}:
            raise ValueError("a view must have source, unit, shortest, longest and strength, and nothing else")
        if value["source"] not in get_args(Source) or value["unit"] not in get_args(Unit):
            raise ValueError(f"a view of {value['unit']!r} in {value['source']!r} cannot be computed by this code")
        shortest, longest, strength = value["shortest"], value["longest"], value["strength"]
        if not isinstance(shortest, int) or not isinstance(longest, int) or not 1 <= shortest <= longest <= 8:
            raise ValueError("a view's n-grams must be 1 to 8 long")
        if not isinstance(strength, (int, float)) or not strength > 0:
            raise ValueError("a view's strength must be above 0")
        return cls(value["source"], value["unit"], shortest, longest, float(strength))

    def _sizes(self) -> range:
        return range(self.shortest, self.longest + 1)


VIEWS = (
    View("item", "characters", 2, 4, 1.0),
    View("item", "words", 1, 3, 1.0),
    View("title", "characters", 2, 4, 0.5),
    View("sections", "characters", 2, 4, 0.7),
)
"""The views of new packages. Title and sections also have their own, because words weigh differently in each."""


def weigh(counts: Numbers, rarities: Numbers) -> Numbers:
    """Return the weights of n-grams in a text before scaling, from their counts and rarities."""
    return np.asarray((1.0 + np.log(counts)) * rarities, dtype=np.float64)


def rarity(items: npt.ArrayLike, total: int) -> Numbers:
    """Return the inverse document frequency of n-grams in `items` of `total` items; 0 items count as 1."""
    having = np.maximum(np.asarray(items, dtype=np.float64), 1.0)
    return np.asarray(1.0 + np.log((1.0 + total) / (1.0 + having)), dtype=np.float64)


def field_values(item: Item, order: Sequence[str]) -> Iterator[FieldValue]:
    """Yield each distinct value of the fields in `order` once."""
    for name in order:
        for value in dict.fromkeys(plain(value) for value in item.values(name)):
            if value:
                yield name, value


def plain(text: str) -> str:
    """Return the text without differences of width, case and spacing.

    >>> plain("ＡＳＭＲ  の　雨 ")
    'asmr の 雨'
    """
    # JSON may hold half a surrogate pair, which no file accepts.
    sound = text.encode("utf-8", "replace").decode("utf-8")
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", sound).casefold()).strip()


def _text(item: Item, source: Source) -> str:
    """Return one part of the item's text, with every digit as 0: the shape of a number matters, not its value."""
    parts = [item.title] if source != "sections" else []
    if source != "title":
        parts += [part for section in item.sections for part in (section.heading or "", section.text)]
    read: list[str] = []
    left = MOST_CHARACTERS
    for part in parts:
        read.append(_NUMERAL.sub("0", plain(part[:left])))
        left -= len(part[:left])
    return "\n".join(part for part in read if part)
