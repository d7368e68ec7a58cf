"""The works on sale on each day: made-up voice works and some music, as in the shop's audio category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from osusume.items import Item, Section
from samples.themes import load_names
from samples.works import image_address, work_address

_WORKS_TO_ONE_OF_MUSIC = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """A work on sale: voice (`SOU`) or music (`MUS`)."""

    item: Item
    work_type: Literal["SOU", "MUS"]


def entries_on(day: int, works: Sequence[Item], days: Sequence[int]) -> list[Entry]:
    """Return the works on sale on `day`, which counts from 1, newest first.

    `works` are oldest first; `days` gives the number of works on the first day, then the number added on each later
    day. Nothing is added after the last of the days. Raises `ValueError` for a day before the first.
    """
    if day < 1:
        raise ValueError(f"days count from 1, there is no day {day}")
    on_sale = list(accumulate(days))[min(day, len(days)) - 1]
    entries = []
    for index, work in enumerate(works[:on_sale]):
        entries.append(Entry(work, "SOU"))
        if index % _WORKS_TO_ONE_OF_MUSIC == 4:
            entries.append(Entry(_music(index // _WORKS_TO_ONE_OF_MUSIC, work), "MUS"))
    return entries[::-1]


def _music(number: int, released_with: Item) -> Item:
    names = load_names()
    item_id = f"RJ{8_990_001 + 7 * number:08d}"
    return Item(
        item_id=item_id,
        source="dlsite",
        url=work_address(item_id),
        title=names.music[number % len(names.music)],
        published_on=released_with.published_on,
        image_url=image_address(item_id),
        price=1100,
        age_rating="all",
        attributes={
            "circle": [names.circles[number % len(names.circles)].name],
            "musicians": [names.musicians[number % len(names.musicians)]],
        },
        sections=[Section("作品内容", "作業や配信にお使いいただける音楽素材です。\nWAVとMP3を同梱しています。")],
    )
