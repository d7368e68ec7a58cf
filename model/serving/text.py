"""The text that stands for an item: what the encoder reads, in training as in serving."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from osusume.items import ATTRIBUTE_FIELDS, Item, Section

ORDER = ATTRIBUTE_FIELDS
"""The fields of a new package's text, in their order."""

KEYWORDS = ("あらすじ", "ストーリー", "物語", "作品内容", "内容紹介", "作品紹介")
"""A new package's keywords: headings of the section that describes a work."""


def compose(item: Item, order: Sequence[str], keywords: Sequence[str]) -> str:
    r"""Return the item's text: a line for the title, a line for each field of `order` that has values, the section.

    `order` names attributes (`circle`, `genres`, …); a field that the item lacks leaves no line. The section is the
    one that `chosen_section` picks, its heading first.

    >>> rain = Item("RJ1", "dlsite", "https://example.com", "Rain", attributes={"genres": ["ASMR", "sleep"]})
    >>> compose(rain, ["circle", "genres"], [])
    'Rain\nASMR, sleep'
    """
    lines = [item.title, *(", ".join(item.values(name)) for name in order)]
    section = chosen_section(item, keywords)
    if section is not None:
        lines += [section.heading or "", section.text]
    return "\n".join(line for line in lines if line.strip())


def chosen_section(item: Item, keywords: Sequence[str]) -> Section | None:
    """Return the section with the most hits of the keywords, None where the item has no section with text.

    A hit is an occurrence in heading or text; width and case make no difference (`ＡＳＭＲ` is `asmr`). Of equal hits
    the longer text wins, so without any hit the longest does; of equal length, the first.
    """
    sections = [section for section in item.sections if section.text.strip()]
    plain_keywords = [plain for keyword in keywords if (plain := _plain(keyword))]

    def rank(section: Section) -> tuple[int, int]:
        text = _plain(f"{section.heading or ''}\n{section.text}")
        return sum(text.count(keyword) for keyword in plain_keywords), len(section.text)

    return max(sections, key=rank, default=None)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
