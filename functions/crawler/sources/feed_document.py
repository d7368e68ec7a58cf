"""Reads the document of a feed into items: RSS, Atom (by feedparser) and JSON Feed (https://www.jsonfeed.org/version/1.1/)."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from feedparser.api import parse

from crawler.answers import MAX_ADDRESS, is_local, public_address
from crawler.sources import NotADocument
from crawler.sources.bounds import MAX_TITLE, bounded_attributes, bounded_sections
from crawler.sources.feed_address import SOURCE, item_id
from crawler.sources.markup import (
    UnreadableMarkup,
    clean_line,
    clean_text,
    decode_markup,
    outermost,
    read_markup,
    readable_text,
)
from osusume.items import Item, Section

MOST_ENTRIES = 500
"""The newest entries of a feed that are read; more are of its past."""

MOST_MARKS = 200_000
"""Tags and entities of a feed that is read: five hundred long entries have half of them. A tag takes 0.1 ms."""

MOST_TEXT = 200_000
"""Characters of one text of an entry that are read."""

TITLE_FROM_TEXT = 80
MOST_NAMED = 5
_ENTITY = re.compile(rb"<!\s*ENTITY", re.IGNORECASE)
_ENDS = re.compile(rb"</\s*(?:[\w.-]+:)?(?:rss|feed|rdf|channel)\s*>\s*(?:<!--.*?-->\s*)*\Z", re.IGNORECASE | re.DOTALL)
_HEADINGS = "h1, h2, h3, h4, h5, h6"
_BEGINS, _CLOSES = "\ue000", "\ue001"
_HEADING = re.compile(f"{_BEGINS}([^{_BEGINS}{_CLOSES}]*){_CLOSES}")


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of a feed, as HTML or plain."""

    value: str
    is_html: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry, as any kind of feed gives it; `images` are addresses, the best first."""

    guid: str
    link: str
    title: _Text
    text: _Text
    published: str = ""
    sort_key: tuple[int, ...] | None = None
    authors: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


def parse_feed(body: bytes, content_type: str, url: str) -> list[Item]:
    """Return the works of the feed `body`, fetched from `url`: each once, newest first, at most `MOST_ENTRIES`.

    The feed's title is each work's `circle`, tags are its `genres`. An entry without an address leads to the feed's. Of
    a feed that is cut off the last entry is left out. Raises `NotADocument` for what is no feed, and for one that
    declares entities, which can make a few bytes grow without end.
    """
    if body.count(b"<") + body.count(b"&") > MOST_MARKS:
        raise NotADocument(f"{url} has more than {MOST_MARKS:,} tags: it is not read")
    head = body[:1000].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n")
    title, entries = _json_feed(body, url) if head.startswith((b"{", b"[")) else _xml_feed(body, content_type, url)
    if entries and all(entry.sort_key for entry in entries):
        entries.sort(key=lambda entry: entry.sort_key or (), reverse=True)
    entries = entries[:MOST_ENTRIES]
    named_twice = {guid for guid, count in Counter(entry.guid for entry in entries).items() if count > 1}
    items: dict[str, Item] = {}
    for entry in entries:
        item = _item(entry, title, url, is_guid_its_own=entry.guid not in named_twice)
        if item:
            items.setdefault(item.item_id, item)
    return list(items.values())


def _item(entry: _Entry, feed_title: str, url: str, *, is_guid_its_own: bool) -> Item | None:
    sections, image_in_text = _sections(entry.text, url)
    words = " ".join(section.text for section in sections)
    link = _web_address(entry.link, url)
    title = _line(entry.title) or clean_line(words)[:TITLE_FROM_TEXT] or entry.link
    if not title:
        return None
    images = (_web_address(image, url) for image in [*entry.images, image_in_text])
    # a feed may give all its entries one id: then their addresses tell them apart
    guid = entry.guid if is_guid_its_own or not link else ""
    return Item(
        item_id=item_id(url, guid, link, f"{title}\n{entry.published}"),
        source=SOURCE,
        url=link or _web_address(url, url),
        title=title[:MAX_TITLE].rstrip(),
        published_on=_day(entry),
        image_url=next(filter(None, images), None),
        attributes=bounded_attributes(
            {
                "circle": [feed_title] if feed_title else [],
                "authors": filter(None, map(clean_line, entry.authors)),
                "genres": filter(None, map(clean_line, entry.tags)),
            }
        ),
        sections=sections,
    )


def _xml_feed(body: bytes, content_type: str, url: str) -> tuple[str, list[_Entry]]:
    """Return the title and the entries of an RSS or Atom document."""
    if _ENTITY.search(body.replace(b"\0", b"")):  # without the zeros of UTF-16
        raise NotADocument(f"{url} declares entities, which no feed needs: it is not read")
    headers = {"content-location": url} | ({"content-type": content_type} if content_type else {})
    # of a text or bytes feedparser would open an address or a file
    feed = parse(io.BytesIO(body), response_headers=headers, resolve_relative_uris=False, sanitize_html=False)
    if not feed.version:
        raise NotADocument(f"{url} is no feed that can be read{_feeds_of(body, url)}")
    entries = [_xml_entry(entry) for entry in feed.entries]
    if feed.bozo and not _ENDS.search(body.replace(b"\0", b"")):
        entries = entries[:-1]  # cut off: tomorrow it may be whole
    return _line(_text_of(feed.feed, "title")), entries


def _xml_entry(entry: Mapping[str, Any]) -> _Entry:
    contents = [_text_from(content) for content in entry.get("content", [])]
    texts = sorted((text for text in contents if text.value.strip()), key=lambda text: -len(text.value))
    links = [str(link.get("href") or "") for link in _dicts(entry, "links") if link.get("rel") == "alternate"]
    enclosures = _dicts(entry, "enclosures")
    moment = entry.get("published_parsed") or entry.get("updated_parsed")
    people = [str(author.get("name") or "") for author in _dicts(entry, "authors")]
    return _Entry(
        guid=str(entry.get("id") or "").strip(),
        link=str(
            entry.get("link") or next(iter(links), "") or next((str(each.get("href") or "") for each in enclosures), "")
        ),
        title=_text_of(entry, "title"),
        text=texts[0] if texts else _text_of(entry, "summary"),
        published=str(entry.get("published") or entry.get("updated") or ""),
        sort_key=tuple(moment)[:6] if moment else None,
        authors=[name for name in people if name] or [str(entry.get("author") or "")],
        tags=[str(tag.get("label") or tag.get("term") or "") for tag in _dicts(entry, "tags")],
        images=[
            *(str(image.get("url") or "") for image in _dicts(entry, "media_thumbnail")),
            *(str(media.get("url") or "") for media in _dicts(entry, "media_content") if _is_image(media)),
            str((entry.get("image") or {}).get("href") or ""),
            *(str(enclosure.get("href") or "") for enclosure in enclosures if _is_image(enclosure)),
        ],
    )


def _json_feed(body: bytes, url: str) -> tuple[str, list[_Entry]]:
    """Return the title and the entries of a JSON Feed."""
    try:
        feed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotADocument(f"{url} is no feed that can be read: its JSON is broken, {error}") from error
    items = feed.get("items") if isinstance(feed, dict) else None
    if not isinstance(items, list) or "jsonfeed.org" not in str(feed.get("version")):
        raise NotADocument(f"{url} is JSON, but no JSON Feed: its version must name https://jsonfeed.org")
    people = _names(feed)
    return clean_line(_string(feed, "title")), [_json_entry(item, people) for item in items if isinstance(item, dict)]


def _json_entry(item: dict[str, Any], feed_authors: list[str]) -> _Entry:
    html = _string(item, "content_html")
    published = _string(item, "date_published") or _string(item, "date_modified")
    moment = _moment(published)
    guid = item.get("id")
    return _Entry(
        guid=str(guid).strip() if isinstance(guid, str | int | float) else "",
        link=_string(item, "url") or _string(item, "external_url"),
        title=_Text(_string(item, "title"), is_html=False),
        text=_Text(html or _string(item, "content_text") or _string(item, "summary"), is_html=bool(html)),
        published=published,
        sort_key=tuple(moment.astimezone(UTC).timetuple())[:6] if moment else None,
        authors=_names(item) or feed_authors,
        tags=[tag for tag in item.get("tags") or [] if isinstance(tag, str)],
        images=[
            _string(item, "image"),
            _string(item, "banner_image"),
            *(
                _string(each, "url")
                for each in _dicts(item, "attachments")
                if _is_image({"type": each.get("mime_type")})
            ),
        ],
    )


def _names(value: dict[str, Any]) -> list[str]:
    """Return the authors' names; version 1 of JSON Feed has one author."""
    author = value.get("author")
    people = [*_dicts(value, "authors"), *([author] if isinstance(author, dict) else [])]
    return list(filter(None, (_string(person, "name") for person in people)))


def _sections(text: _Text, url: str) -> tuple[list[Section], str]:
    """Return a text as sections, divided at its headings, and the address of its first image, empty without one."""
    value = text.value[:MOST_TEXT].replace(_BEGINS, "").replace(_CLOSES, "")
    if not text.is_html:
        return bounded_sections([Section(None, clean_text(value))]), ""
    try:
        page = read_markup(f"<div>{value}</div>")
    except UnreadableMarkup:
        return [], ""
    image = next((str(tag["src"]) for tag in page.select("img[src]") if _web_address(str(tag["src"]), url)), "")
    for heading in list(outermost(page.select(_HEADINGS))):
        heading.string = f"{_BEGINS}{clean_line(readable_text(heading))}{_CLOSES}"
    first, *rest = _HEADING.split(readable_text(page))
    parts = [Section(None, first.strip())]
    parts += [Section(name or None, part.strip()) for name, part in zip(rest[::2], rest[1::2], strict=True)]
    return bounded_sections(parts), image


def _line(text: _Text) -> str:
    """Return a title as one line of plain text."""
    if not text.is_html:
        return clean_line(text.value[:MOST_TEXT])
    try:
        return clean_line(readable_text(read_markup(f"<p>{text.value[:MOST_TEXT]}</p>")))
    except UnreadableMarkup:
        return clean_line(text.value[:MOST_TEXT])


def _day(entry: _Entry) -> str | None:
    """Return the day on which an entry was published, in the time zone that the feed names; None if it names none."""
    moment = _moment(entry.published)
    if moment:
        return moment.date().isoformat()
    try:
        return date(*entry.sort_key[:3]).isoformat() if entry.sort_key else None
    except (TypeError, ValueError):
        return None


def _moment(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text.strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _web_address(address: str, url: str) -> str:
    """Return an address in the feed at `url` as https, empty if it is none of a public host.

    In a feed of this machine, as in a trial, addresses of its own server are kept as they are.
    """
    server = urlsplit(url)
    if address.strip() and is_local(server.hostname or ""):
        own = urljoin(url, address.strip())
        if urlsplit(own)[:2] == server[:2] and len(own) <= MAX_ADDRESS:
            return own
    return public_address(address, url) if address.strip() else ""


def _text_of(value: Mapping[str, Any], name: str) -> _Text:
    return _text_from(value.get(f"{name}_detail") or {"value": value.get(name)})


def _text_from(detail: Mapping[str, Any]) -> _Text:
    value = str(detail.get("value") or "")
    return _Text(value, is_html=detail.get("type") != "text/plain" and re.search("[<&]", value) is not None)


def _string(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _dicts(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = value.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _is_image(media: Mapping[str, Any]) -> bool:
    return media.get("medium") == "image" or str(media.get("type") or "").startswith("image/")


def _feeds_of(body: bytes, url: str) -> str:
    """Return what to add to an error about a web page: the feeds that it names."""
    try:
        page = read_markup(decode_markup(body))
    except UnreadableMarkup:
        return ""
    links = page.select(
        'link[rel~="alternate" i][type$="+xml" i][href], link[rel~="alternate" i][type$="json" i][href]'
    )
    feeds = filter(None, (_web_address(str(link["href"]), url) for link in links[:MOST_NAMED]))
    return "".join(f"; it is a page that names {feed}" for feed in feeds)
