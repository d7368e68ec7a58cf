"""Reads the description on a DLsite work page as sections, cut to fit a record."""

from __future__ import annotations

from bs4 import BeautifulSoup
from bs4.element import Tag

from crawler.sources.bounds import bounded_sections
from crawler.sources.markup import clean_line, outermost, own_tags, readable_text
from osusume.items import Section

_PARTS = '.work_parts_container .work_parts, [itemprop="description"] .work_parts'
_NOT_TEXT = ("work_parts", "work_parts_heading", "type_contents", "image", "time")


def read_sections(page: BeautifulSoup) -> list[Section]:
    """Return the sections of the description in page order, cut to the bounds.

    Since October 2020 a description has parts, with or without a heading; before, it was one text.
    """
    parts = [_section(part) for part in page.select(_PARTS)]
    if not any(section.text for section in parts):
        stories = page.select('.work_story, .work_parts_container, div[itemprop="description"]')
        headings = {section.heading for section in parts}
        texts = (readable_text(story) for story in stories[:1])
        parts = [Section(None, text) for text in texts if not headings.issuperset(text.split("\n"))] or parts
    return bounded_sections(parts)


def _section(part: Tag) -> Section:
    own = list(own_tags(part, skip=_is_part))
    heading = next((clean_line(readable_text(tag)) for tag in own if _has(tag, "work_parts_heading")), "")
    tracks = []
    if any(_has(tag, "work_tracklist_item") for tag in own):
        tracks = [clean_line(readable_text(tag)) for tag in outermost(tag for tag in own if _has(tag, "title"))]
    text = "\n".join(filter(None, tracks)) or readable_text(part, skip=_is_not_text)
    return Section(heading or None, text)


def _is_part(tag: Tag) -> bool:
    """Return whether `tag` is a part; a part within a part is the next one, after a missing end tag."""
    return _has(tag, "work_parts")


def _is_not_text(tag: Tag) -> bool:
    return any(_has(tag, name) for name in _NOT_TEXT)


def _has(tag: Tag, name: str) -> bool:
    return name in tag.get_attribute_list("class")
