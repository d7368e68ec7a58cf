"""The bounds of what a source takes from the web into one item.

With 60,000 characters of sections and 20,000 of attributes an item has at most 81,000: about 240 KB of Japanese in
UTF-8, and less than DynamoDB's 400 KB even with four bytes a character.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from osusume.items import Section

MAX_TITLE = 500

MAX_SECTIONS = 100
MAX_SECTION = 8_000
MAX_HEADING = 200
MAX_SECTIONS_TOTAL = 60_000
"""Characters of one section, of a heading, and of all sections with their headings."""

MAX_VALUES = 100
MAX_VALUE = 200
MAX_VALUES_TOTAL = 20_000
"""Limits of attributes: values a field, characters a value, characters in all."""


def bounded_sections(sections: Iterable[Section]) -> list[Section]:
    """Return the sections without repeated and empty ones, cut to the bounds."""
    kept: list[Section] = []
    left = MAX_SECTIONS_TOTAL
    for section in dict.fromkeys(sections):
        heading = (section.heading or "")[:MAX_HEADING].rstrip()
        text = section.text[: min(MAX_SECTION, max(0, left - len(heading)))].rstrip()
        if (text or heading) and len(kept) < MAX_SECTIONS and left > 0:
            kept.append(Section(heading or None, text))
            left -= len(text) + len(heading)
    return kept


def bounded_attributes(attributes: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return the attributes without repeated values and empty fields, cut to the bounds."""
    bounded = {}
    left = MAX_VALUES_TOTAL
    for field, texts in attributes.items():
        kept = []
        for text in list(dict.fromkeys(value[:MAX_VALUE].rstrip() for value in texts))[:MAX_VALUES]:
            left -= len(text)
            if left >= 0:
                kept.append(text)
        if kept:
            bounded[field] = kept
    return bounded
