"""The card of a model package: its origin, how it reads an item, its metrics, and the hashes of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

FORMAT_VERSION = 2
"""The format that this code reads and writes; it goes up when older code would score wrongly."""

Taste = Literal["made-up", "owner", "first-guess", "none"]


@dataclass(frozen=True, slots=True)
class Card:
    """The contents of `card.json`.

    `taste` says whose labels trained the package; a `made-up` taste is for tests and demonstrations only, a
    `first-guess` is the owner's taste before any press tried it, and with `none` there is an encoder alone. `order` and
    `keywords` are those of `text.compose`; texts are cut at `max_tokens`. `labels` counts the training labels of each
    kind. `metrics` are fractions unless their name says otherwise, `created_on` is an ISO date, and `files` maps each
    other file of the package to its sha256.
    """

    version: str
    taste: Taste
    base_model: str
    created_on: str
    order: tuple[str, ...]
    keywords: tuple[str, ...]
    max_tokens: int
    labels: dict[str, int]
    metrics: dict[str, float]
    files: dict[str, str]

    def knows_owner(self, *, use_made_up_taste: bool = False) -> bool:
        """Return whether scores mean anything; a made-up taste only does where it is to be used."""
        return self.taste != "none" and (self.taste != "made-up" or use_made_up_taste)

    def to_json(self) -> dict[str, object]:
        """Return the card as plain JSON values, the inverse of `from_json`."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, value: object) -> Card:
        """Return the card that `value` describes; unknown keys are ignored.

        Raises `ValueError` naming the key that is missing, of the wrong type, or of an unreadable format.
        """
        if not isinstance(value, Mapping):
            raise ValueError("it must be a JSON object")  # noqa: TRY004  # the caller catches one kind of error
        _check_format(value.get("format_version"))
        for name, (is_valid, wanted) in _KEYS.items():
            if not is_valid(value.get(name)):
                raise ValueError(f"{name} must be {wanted}")
        for name in value["files"]:
            if "/" in name or "\\" in name:
                raise ValueError(f"files must lie in the package's own folder, not at {name}")
        known = {name: value[name] for name in _KEYS}
        counts = {kind: int(count) for kind, count in value["labels"].items()}
        return cls(**{**known, "order": tuple(value["order"]), "keywords": tuple(value["keywords"]), "labels": counts})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_object_of_numbers(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(number, (int, float)) for number in value.values())


def _is_object_of_strings(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


_KEYS: dict[str, tuple[Callable[[object], bool], str]] = {
    "version": (_is_text, "a string that is not empty"),
    "taste": (lambda value: value in get_args(Taste), '"made-up", "owner", "first-guess" or "none"'),
    "base_model": (_is_text, "a string that is not empty"),
    "created_on": (_is_text, "a string that is not empty"),
    "order": (_is_list_of_strings, "a list of strings"),
    "keywords": (_is_list_of_strings, "a list of strings"),
    "max_tokens": (_is_whole, "a whole number above 0"),
    "labels": (_is_object_of_numbers, "an object of numbers"),
    "metrics": (_is_object_of_numbers, "an object of numbers"),
    "files": (_is_object_of_strings, "an object of file names and their sha256"),
}
"""How each key of a card is checked, and what it must be."""


def _check_format(version: object) -> None:
    if not isinstance(version, int) or not _is_whole(version):
        raise ValueError("format_version must be a whole number above 0")
    if version < FORMAT_VERSION:
        raise ValueError(f"format_version {version} is older than {FORMAT_VERSION}, the only one this code reads")
    if version > FORMAT_VERSION:
        raise ValueError(f"format_version {version} is newer than {FORMAT_VERSION}, the newest this code reads")
