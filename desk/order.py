"""Which works the page shows, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from model.serving.features import plain
from osusume.items import Item

Mode = Literal["teaching", "given", "doubtful"]

LEAST_LABELS_TO_TEACH = 50
"""With fewer labels the order is the given one, because the head's uncertainty is then noise."""

_FILTER = "f."


@dataclass(frozen=True, slots=True)
class Selection:
    """What the owner chose to see: the order, and texts that a value of a field must contain, by field."""

    mode: Mode = "teaching"
    filters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Selection:
        """Return the selection in a URL's query; ignores unknown parts."""
        mode: Mode = next((mode for mode in get_args(Mode) if mode == query.get("order")), "teaching")
        filters = {name.removeprefix(_FILTER): text for name, text in query.items() if name.startswith(_FILTER)}
        return cls(mode, {name: text for name, text in filters.items() if plain(text)})

    def to_query(self) -> dict[str, str]:
        """Return the query for the selection, the inverse of `from_query`."""
        return {"order": self.mode, **{_FILTER + name: text for name, text in self.filters.items()}}

    def shows(self, item: Item) -> bool:
        """Return whether the work passes all filters, which ignore width, case and spacing.

        >>> rain = Item("RJ1", "dlsite", "https://example.com", "Rain", attributes={"genres": ["ＡＳＭＲ", "sleep"]})
        >>> Selection(filters={"genres": "asmr"}).shows(rain), Selection(filters={"circle": "asmr"}).shows(rain)
        (True, False)
        """
        return all(
            any(plain(text) in plain(value) for value in item.values(name)) for name, text in self.filters.items()
        )


def in_order(first: Iterable[str], then: Iterable[str], *, last: Sequence[str], of: Collection[str]) -> list[str]:
    """Return the ids in `of`, each once: those in `first`, then the others in `then`, and those in `last` at the end.

    >>> in_order(["c"], ["a", "b", "c", "d"], last=["a"], of={"a", "b", "c"})
    ['c', 'b', 'a']
    """
    late = set(last)
    early = [item_id for item_id in dict.fromkeys([*first, *then]) if item_id not in late]
    return [item_id for item_id in [*early, *last] if item_id in of]
