"""Sources: one module for each shop, which knows its addresses and its markup and nothing of the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class SourceError(Exception):
    """The root of everything that can go wrong with a source, be it fetching a page or reading it."""


@dataclass(frozen=True, slots=True)
class ListedItem:
    """A work as a listing names it; `title` is empty where the listing gives none."""

    item_id: str
    url: str
    title: str

    def to_json(self) -> dict[str, str]:
        """Return the listed item as plain JSON values, the inverse of `from_json`."""
        return {"item_id": self.item_id, "url": self.url, "title": self.title}

    @classmethod
    def from_json(cls, value: object) -> ListedItem:
        """Return the listed item that the JSON object `value` describes; raises `ValueError`, naming the field."""
        if not isinstance(value, Mapping):
            raise ValueError(f"a listed item must be a JSON object, not {type(value).__name__}")  # noqa: TRY004  # it is the value that is wrong
        texts = {name: value.get(name) for name in ("item_id", "url", "title")}
        for name, text in texts.items():
            if not isinstance(text, str) or not (text or name == "title"):
                raise ValueError(f"{name} of a listed item must be a string{'' if name == 'title' else ', not empty'}")
        return cls(**{name: str(text) for name, text in texts.items()})
