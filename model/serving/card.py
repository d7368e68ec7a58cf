"""The card of a model package: where it comes from, how it reads an item, how good it is, what its files hash to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

FORMAT_VERSION = 2
"""What this code reads and writes; it goes up when another reader would score wrongly."""

Taste = Literal["made-up", "owner"]


@dataclass(frozen=True, slots=True)
class Card:
    """What `card.json` says.

    `taste` tells whose labels taught the package: a `made-up` taste serves tests and demonstrations only. `order` and
    `keywords` are those of `text.compose`; texts are cut at `max_tokens`. `labels` counts the labels of either
    kind it was trained on, `metrics` are fractions unless their name says otherwise, `created_on` is an ISO date and
    `files` maps each other file of the package to its sha256.
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

    def to_json(self) -> dict[str, object]:
        """Return the card as plain JSON values, the inverse of `from_json`."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, value: object) -> Card:
        """Return the card that `value` describes; keys it does not know are left out.

        Raises `ValueError` naming the key that is missing, of the wrong type, or of a format that it cannot read.
        """
        if not isinstance(value, Mapping):
            raise ValueError("it must be a JSON object")  # noqa: TRY004  # the caller catches one kind of error
        _check_format(value.get("format_version"))
        max_tokens = value.get("max_tokens")
        if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
            raise ValueError("max_tokens must be a whole number above 0")
        return cls(
            version=_text(value, "version"),
            taste=_taste(value.get("taste")),
            base_model=_text(value, "base_model"),
            created_on=_text(value, "created_on"),
            order=_texts(value, "order"),
            keywords=_texts(value, "keywords"),
            max_tokens=max_tokens,
            labels={name: int(count) for name, count in _numbers(value, "labels").items()},
            metrics=_numbers(value, "metrics"),
            files=_hashes(value.get("files")),
        )


def _check_format(version: object) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError("format_version must be a whole number above 0")
    if version < FORMAT_VERSION:
        raise ValueError(f"format_version {version} is older than {FORMAT_VERSION}, the only one this code reads")
    if version > FORMAT_VERSION:
        raise ValueError(f"format_version {version} is newer than {FORMAT_VERSION}, the newest this code reads")


def _taste(value: object) -> Taste:
    if value == "made-up":
        return "made-up"
    if value == "owner":
        return "owner"
    raise ValueError('taste must be "made-up" or "owner"')


def _text(value: Mapping[str, object], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise ValueError(f"{name} must be a string that is not empty")
    return text


def _texts(value: Mapping[str, object], name: str) -> tuple[str, ...]:
    texts = value.get(name)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} must be a list of strings")
    return tuple(texts)


def _numbers(value: Mapping[str, object], name: str) -> dict[str, float]:
    numbers = value.get(name)
    if not isinstance(numbers, Mapping) or not all(isinstance(number, (int, float)) for number in numbers.values()):
        raise ValueError(f"{name} must be an object of numbers")
    return dict(numbers)


def _hashes(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(sha256, str) for sha256 in value.values()):
        raise ValueError("files must be an object of file names and their sha256")
    for name in value:
        if "/" in name or "\\" in name:
            raise ValueError(f"files must lie in the package's own folder, not at {name}")
    return dict(value)
