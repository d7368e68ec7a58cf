"""Reads the description on a DLsite work page as sections, cut to fit a record."""

from __future__ import annotations

from bs4 import BeautifulSoup
from bs4.element import Tag

from crawler.sources.markup import clean_line, outermost, own_tags, readable_text
from osusume.items import Section

MAX_SECTIONS = 100
MAX_SECTION = 8_000
MAX_HEADING = 200
MAX_SECTIONS_TOTAL = 60_000
"""Characters of one section, of a heading, and of all sections with their headings.

With the attributes' 20,000 characters an item has at most 81,000: about 240 KB of Japanese in UTF-8, and less than
DynamoDB's 400 KB even with four bytes a character.
"""

_PARTS = '.work_parts_container .work_parts, [itemprop="description"] .work_parts'
_NOT_TEXT = ("work_parts", "work_parts_heading", "type_contents", "image", "time")


def read_sections(page: BeautifulSoup) -> list[Section]:
    """Return the sections of the description in page order, without empty ones, cut as above.

    Since October 2020 a description has parts, with or without a heading; before, it was one text.
    """
    parts = [_section(part) for part in page.select(_PARTS)]
    if not any(section.text for section in parts):
        stories = page.select('.work_story, .work_parts_container, div[itemprop="description"]')
        headings = {section.heading for section in parts}
        texts = (readable_text(story) for story in stories[:1])
        parts = [Section(None, text) for text in texts if not headings.issuperset(text.split("\n"))] or parts
    sections: list[Section] = []
    left = MAX_SECTIONS_TOTAL
    for section in dict.fromkeys(parts):
        text = section.text[: min(MAX_SECTION, max(0, left - len(section.heading or "")))].rstrip()
        if (text or section.heading) and len(sections) < MAX_SECTIONS and left > 0:
            sections.append(Section(section.heading, text))
            left -= len(text) + len(section.heading or "")
    return sections


def _section(part: Tag) -> Section:
    own = list(own_tags(part, skip=_is_part))
    heading = next((clean_line(readable_text(tag)) for tag in own if _has(tag, "work_parts_heading")), "")
    tracks = []
    if any(_has(tag, "work_tracklist_item") for tag in own):
        tracks = [clean_line(readable_text(tag)) for tag in outermost(tag for tag in own if _has(tag, "title"))]
    text = "\n".join(filter(None, tracks)) or readable_text(part, skip=_is_not_text)
    return Section(heading[:MAX_HEADING].rstrip() or None, text)


def _is_part(tag: Tag) -> bool:
    """Return whether `tag` is a part; a part within a part is the next one, after a missing end tag."""
    return _has(tag, "work_parts")


def _is_not_text(tag: Tag) -> bool:
    return any(_has(tag, name) for name in _NOT_TEXT)


def _has(tag: Tag, name: str) -> bool:
    return name in tag.get_attribute_list("class")
