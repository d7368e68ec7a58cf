"""The hand-written parts of made-up works, from quiet.toml, story.toml, lively.toml and names.toml.

A theme is one kind of work. Its `titles`, `openings`, `sentences`, `tracks` and `roles` are patterns. Their slots
(`{place}`) take values from its `words`, and the `name` of the work's main character. A work has one value for each
slot, so that its title, story and tracks are about the same place.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

STYLES = ("quiet", "story", "lively")
"""The moods a theme can have, each a file of themes."""


@dataclass(frozen=True, slots=True)
class Theme:
    """One kind of work.

    `voices` is the smallest and the largest number of voice actors. A work always has the first two genres.
    """

    style: str
    name: str
    voices: tuple[int, int]
    genres: list[str]
    titles: list[str]
    subtitles: list[str]
    openings: list[str]
    sentences: list[str]
    tracks: list[str]
    roles: list[str]
    for_whom: list[str]
    words: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Circle:
    """A maker of works, and its styles."""

    name: str
    styles: list[str]


@dataclass(frozen=True, slots=True)
class Names:
    """The names and small texts for works of all themes.

    `prices` are in JPY, and `music` are titles. `headings` are by kind of section, the `tags` of titles by style.
    """

    characters: list[str]
    voice_actors: list[str]
    scenario_writers: list[str]
    illustrators: list[str]
    musicians: list[str]
    prices: list[int]
    notices: list[str]
    music: list[str]
    headings: dict[str, list[str]]
    tags: dict[str, list[str]]
    circles: list[Circle]


@cache
def load_themes() -> list[Theme]:
    """Return all themes, quiet ones first."""
    themes = []
    for style in STYLES:
        for table in _read(f"{style}.toml")["themes"]:
            least, greatest = table.pop("voices")
            themes.append(Theme(style=style, voices=(least, greatest), **table))
    return themes


@cache
def load_names() -> Names:
    """Return the names and small texts that all themes share."""
    tables = _read("names.toml")
    circles = [Circle(**circle) for circle in tables.pop("circles")]
    return Names(circles=circles, **tables)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))
