"""The text of an item that the encoder reads, the same in training and in serving."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from osusume.items import ATTRIBUTE_FIELDS, Item, Section

ORDER = ATTRIBUTE_FIELDS
"""The fields of a new package's text, in order."""

KEYWORDS = ("あらすじ", "ストーリー", "物語", "作品内容", "内容紹介", "作品紹介")
"""A new package's keywords: headings of the section that describes a work."""


def compose(item: Item, order: Sequence[str], keywords: Sequence[str]) -> str:
    r"""Return the item's text: a line for the title, a line for each field of `order` with values, then the section.

    `order` names attributes (`circle`, `genres`, …). The section is the one that `chosen_section` returns, with its
    heading first.

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
    """Return the section with the most hits of the keywords, None if no section of the item has text.

    A hit is an occurrence in heading or text, ignoring width and case (`ＡＳＭＲ` is `asmr`). Among equal hits the
    longest text wins, and among equal lengths the first.
    """
    sections = [section for section in item.sections if section.text.strip()]
    plain_keywords = [plain for keyword in keywords if (plain := _plain(keyword))]

    def rank(section: Section) -> tuple[int, int]:
        text = _plain(f"{section.heading or ''}\n{section.text}")
        return sum(text.count(keyword) for keyword in plain_keywords), len(section.text)

    return max(sections, key=rank, default=None)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
