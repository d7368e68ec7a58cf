"""Reads the document of a feed into items."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from bs4 import BeautifulSoup

from crawler.sources.bounds import MAX_TITLE, bounded_attributes, bounded_sections
from crawler.sources.feed_address import SOURCE, item_id, web_address
from crawler.sources.feed_entries import Entry, Text, is_speck, read_feed
from crawler.sources.markup import UnreadableMarkup, clean_line, clean_text, outermost, read_markup, readable_text
from osusume.items import Item, Section

MOST_ENTRIES = 500
"""The newest entries of a feed that are read; more are of its past."""

MOST_TEXT = 200_000
"""Characters of one text of an entry that are read."""

TITLE_FROM_TEXT = 80
_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_HEADINGS = "h1, h2, h3, h4, h5, h6"
_BEGINS, _CLOSES = "\ue000", "\ue001"
_HEADING = re.compile(f"{_BEGINS}([^{_BEGINS}{_CLOSES}]*){_CLOSES}")
_DOCUMENT_TAG = re.compile(r"</?(?:html|body)\b[^<>]*>", re.IGNORECASE)


def parse_feed(body: bytes, content_type: str, url: str) -> list[Item]:
    """Return the works of the feed `body`, fetched from `url`: each once, newest first, at most `MOST_ENTRIES`.

    The feed's title is each work's `circle`, tags are its `genres`. A work without an address leads to its file, or
    else to the feed. If a feed is cut off within an entry, that entry is left out. Raises `NotADocument` for what is no
    feed, and for one that declares entities, which can make a few bytes grow without end.
    """
    feed = read_feed(body, content_type, url)
    entries = feed.entries
    if all(entry.moment for entry in entries):
        entries = sorted(entries, key=lambda entry: entry.moment or _NEVER, reverse=True)
    circle = _line(feed.title)
    works = [(entry, item) for entry in entries[:MOST_ENTRIES] if (item := _item(entry, circle, url))]
    # a feed may give all its entries one id, or one address: then what is left tells them apart
    shared_ids = _shared((entry.guid, _first(entry.pages, url) or item.title) for entry, item in works)
    shared_addresses = _shared((item.url, item.title) for entry, item in works if entry.guid in {"", *shared_ids})
    items: dict[str, Item] = {}
    for entry, item in works:
        guid = "" if entry.guid in shared_ids else entry.guid
        link = _first(entry.pages if guid else [*entry.pages, *entry.files], url)
        if not guid and link in shared_addresses:
            link = ""
        named = replace(item, item_id=item_id(url, guid, link, f"{item.title}\n{entry.moment or ''}"))
        items.setdefault(named.item_id, named)
    return list(items.values())


def _shared(pairs: Iterable[tuple[str, str]]) -> set[str]:
    """Return the first ones that stand with several different second ones."""
    seconds: dict[str, str] = {}
    return {first for first, second in pairs if seconds.setdefault(first, second) != second}


def _first(addresses: Iterable[str], url: str, base: str = "") -> str:
    """Return the first of the addresses in the feed at `url` that may be shown, empty if there is none."""
    return next(filter(None, (web_address(address, url, base) for address in addresses)), "")


def _item(entry: Entry, circle: str, url: str) -> Item | None:
    """Return the work of an entry, as yet without id; None if the entry says nothing."""
    sections, images_in_text = _sections(entry.text)
    link = _first([*entry.pages, *entry.files], url)
    words = " ".join(f"{section.heading or ''} {section.text}" for section in sections)
    title = _line(entry.title)[:MAX_TITLE].rstrip() or clean_line(words)[:TITLE_FROM_TEXT].rstrip() or link
    if not title:
        return None
    return Item(
        item_id="",
        source=SOURCE,
        url=link or url,
        title=title,
        published_on=entry.moment.date().isoformat() if entry.moment else None,
        image_url=_first(entry.images, url) or _first(images_in_text, url, entry.text.base) or None,
        attributes=bounded_attributes(
            {
                "circle": filter(None, [circle]),
                "authors": filter(None, map(clean_line, entry.authors)),
                "genres": filter(None, map(clean_line, entry.tags)),
            }
        ),
        sections=sections,
    )


def _sections(text: Text) -> tuple[list[Section], list[str]]:
    """Return a text as sections, divided at its headings, and the addresses of its images."""
    value = re.sub(f"[{_BEGINS}{_CLOSES}]", "", text.value[:MOST_TEXT])
    if not text.is_html:
        return bounded_sections([Section(None, clean_text(value))]), []
    try:
        page = read_markup(f"<div>{_DOCUMENT_TAG.sub('', value)}</div>")
    except UnreadableMarkup:
        return [], []
    for title in page.select("title"):
        title.decompose()
    images = _images(page)
    for heading in list(outermost(page.select(_HEADINGS))):
        heading.string = f"{_BEGINS}{clean_line(readable_text(heading))}{_CLOSES}"
    first, *rest = _HEADING.split(readable_text(page))
    parts = [Section(None, first.strip())]
    parts += [Section(name or None, part.strip()) for name, part in zip(rest[::2], rest[1::2], strict=True)]
    return bounded_sections(parts), images


def _images(page: BeautifulSoup) -> list[str]:
    """Return the addresses of the images of a text, each with what stands for one that is loaded later."""
    images = [image for image in page.select("img") if not is_speck(image.attrs)]
    return [
        address
        for image in images
        for address in (
            str(image.get("src") or ""),
            str(image.get("data-src") or ""),
            "".join(str(image.get("srcset") or "").split()[:1]).rstrip(","),
        )
        if address
    ]


def _line(text: Text) -> str:
    """Return a title as one line of plain text."""
    value = text.value[:MOST_TEXT]
    if text.is_html:
        try:
            return clean_line(readable_text(read_markup(f"<p>{value}</p>")))
        except UnreadableMarkup:
            pass
    return clean_line(value)
