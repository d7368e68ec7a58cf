"""The item: one work of a shop, as in snapshots, ledger, predict requests and training files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal, get_args

AgeRating = Literal["all", "r15", "adult"]

ATTRIBUTE_FIELDS = (
    "circle",
    "series",
    "voice_actors",
    "authors",
    "scenario_writers",
    "illustrators",
    "musicians",
    "genres",
)
"""The fields that a source may set in `Item.attributes`."""

MAX_ITEM_ID = 200
MAX_PRICE = 10**12
"""More than any item has; a key of the ledger takes 2,048 bytes, a number there 38 digits."""


class InvalidItem(ValueError):
    """Raised when JSON does not describe an item; `field` is the invalid one, empty if the JSON is not an object."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}" if field else problem)
        self.field = field


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a work's description."""

    heading: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One work.

    `published_on` is an ISO date, `price` is in JPY with tax. `attributes` maps a field to its values in page order.
    """

    item_id: str
    source: str
    url: str
    title: str
    published_on: str | None = None
    image_url: str | None = None
    price: int | None = None
    age_rating: AgeRating | None = None
    attributes: dict[str, list[str]] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """Return the values of one attribute, an empty list if the work has none."""
        return self.attributes.get(name, [])

    def to_json(self) -> dict[str, Any]:
        """Return the item as plain JSON values, the inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Item:
        """Return the item that the JSON object `value` describes.

        `item_id`, `source`, `url` and `title` are required, the rest may be missing or null. Unknown keys are ignored.
        Raises `InvalidItem`, naming the field, for anything else.

        >>> Item.from_json({"item_id": "RJ1", "source": "dlsite", "url": "https://example.com", "title": "Rain"}).title
        'Rain'
        """
        if not isinstance(value, Mapping):
            raise InvalidItem("", f"an item must be a JSON object, not {type(value).__name__}")
        return cls(
            item_id=_item_id(value, "item_id"),
            source=_required_text(value, "source"),
            url=_required_text(value, "url"),
            title=_required_text(value, "title"),
            published_on=_iso_date(value, "published_on"),
            image_url=_optional_text(value, "image_url"),
            price=_price(value, "price"),
            age_rating=_age_rating(value, "age_rating"),
            attributes=_attributes(value.get("attributes")),
            sections=_sections(value.get("sections")),
        )


def _required_text(value: Mapping[str, object], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text.strip():
        raise InvalidItem(name, "must be a string that is not empty")
    return text


def _item_id(value: Mapping[str, object], name: str) -> str:
    text = _required_text(value, name)
    if len(text) > MAX_ITEM_ID:
        raise InvalidItem(name, f"must be a string of at most {MAX_ITEM_ID} characters")
    return text


def _optional_text(value: Mapping[str, object], name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise InvalidItem(name, "must be a string or null")
    return text


def _iso_date(value: Mapping[str, object], name: str) -> str | None:
    text = _optional_text(value, name)
    if text is not None:
        try:
            date.fromisoformat(text)
        except ValueError:
            raise InvalidItem(name, f"must be an ISO date such as 2026-11-22, not {text!r:.40}") from None
    return text


def _price(value: Mapping[str, object], name: str) -> int | None:
    price = value.get(name)
    if price is None:
        return None
    if isinstance(price, bool) or not isinstance(price, int) or not 0 <= price <= MAX_PRICE:
        raise InvalidItem(name, f"must be a whole number of yen from 0 to {MAX_PRICE} or null")
    return price


def _age_rating(value: Mapping[str, object], name: str) -> AgeRating | None:
    rating = value.get(name)
    for known in get_args(AgeRating):
        if rating == known:
            return known  # type: ignore[no-any-return]  # get_args gives Any
    if rating is None:
        return None
    raise InvalidItem(name, f"must be one of {', '.join(get_args(AgeRating))} or null")


def _attributes(value: object) -> dict[str, list[str]]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidItem("attributes", "must be a JSON object of lists of strings")
    attributes: dict[str, list[str]] = {}
    for name, texts in value.items():
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise InvalidItem(f"attributes.{name}", "must be a list of strings")
        attributes[str(name)] = list(texts)
    return attributes


def _sections(value: object) -> list[Section]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidItem("sections", "must be a list")
    sections = []
    for index, section in enumerate(value):
        if not isinstance(section, Mapping) or not isinstance(section.get("text"), str):
            raise InvalidItem(f"sections[{index}]", "must be an object with a text")
        heading = section.get("heading")
        if heading is not None and not isinstance(heading, str):
            raise InvalidItem(f"sections[{index}].heading", "must be a string or null")
        sections.append(Section(heading, section["text"]))
    return sections
