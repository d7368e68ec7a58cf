"""Reads the entries of a feed: RSS and Atom by feedparser, JSON Feed by https://www.jsonfeed.org/version/1.1/."""

from __future__ import annotations

import io
import json
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from email.utils import parsedate_to_datetime
from html import escape
from html.entities import html5
from time import struct_time
from typing import Any
from urllib.parse import urljoin

from feedparser.api import parse

from crawler.answers import Answer
from crawler.answers import content_type as declared_type
from crawler.sources import NotADocument
from crawler.sources.feed_address import web_address
from crawler.sources.markup import UnreadableMarkup, decode_markup, read_markup

MOST_TAGS = 100_000
"""Tags of a feed that is read, an escaped one by its two ampersands: five hundred long entries have as many."""

LONGEST_WORD = 1_000
MOST_NAME = 500

SMALLEST_IMAGE = 32
"""Pixels of a side; what is smaller is a smiley, or counts readers."""

MOST_NAMED = 5
_ROOT = re.compile(r"<(?:[\w.-]+:)?(?:rss|feed|rdf)(?=[\s/>])", re.IGNORECASE)
_ROOT_END = re.compile(r"</(?:[\w.-]+:)?(?:rss|feed|rdf)\s*>", re.IGNORECASE)
_ENTRY_TAG = re.compile(r"<(/?)(?:[\w.-]+:)?(?:item|entry)[\s>]", re.IGNORECASE)
_ENTITY = re.compile(r"<!\s*ENTITY", re.IGNORECASE)
_OWNER = re.compile(r"<itunes:owner>[^<]*(?:<(?!/?itunes:owner)[^<]*)*</itunes:owner>", re.IGNORECASE)
_AMPERSAND = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|&(?!#[0-9]{1,7};|#x[0-9A-Fa-f]{1,6};|(?:amp|lt|gt|quot|apos);)([A-Za-z0-9]{1,31};)?",
    re.DOTALL,
)
_LONG_WORD = re.compile(rf"[A-Za-z0-9_.+-]{{{LONGEST_WORD}}}(?=[A-Za-z0-9_.+-])")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # in XML
_MAIL = re.compile(r"(?:mailto:)?[^\s<>()\"]+@[^\s<>()\"]+")
_JAPANESE_DATE = re.compile(r"\s*([0-9]{4})年\s?([0-9]{1,2})月\s?([0-9]{1,2})日")
_HTML_TYPES = {"text/html", "application/xhtml+xml"}


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a feed, as HTML or plain; `base` is what its addresses are relative to."""

    value: str = ""
    is_html: bool = False
    base: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as any kind of feed gives it. Addresses are as the feed gives them, the best first."""

    guid: str
    pages: list[str]
    files: list[str]
    title: Text
    text: Text
    moment: datetime | None = None
    authors: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Feed:
    """The title of a feed, and its entries in its order."""

    title: Text
    entries: list[Entry]


def read_feed(body: bytes, content_type: str, url: str) -> Feed:
    """Return the feed `body`, fetched from `url` with the header `content_type`. Raises `NotADocument`."""
    text = _FORBIDDEN.sub("", _decoded(body, content_type))
    if text.count("<") + text.count("&") // 2 > MOST_TAGS:
        raise NotADocument(f"{url} has more than {MOST_TAGS:,} tags: it is not read")
    if text.lstrip("\ufeff \t\r\n")[:1] in {"{", "["}:
        return _json_feed(text.lstrip("\ufeff"), url)
    return _xml_feed(text, url)


def is_speck(image: Mapping[str, Any]) -> bool:
    """Return whether the `width` or the `height` of an image says that it is no picture."""
    sides = (re.match(r"\s*([0-9]{1,6})(?![0-9.]*%)", str(image.get(name) or "")) for name in ("width", "height"))
    return any(side is not None and int(side[1]) < SMALLEST_IMAGE for side in sides)


def _decoded(body: bytes, content_type: str) -> str:
    """Return the text of a feed.

    What fits UTF-8 is UTF-8, whatever the feed declares: texts in other encodings do not fit by chance.
    """
    if body[:2].count(0) == 1:  # UTF-16 without a mark, as in appendix F of XML 1.0
        return body.decode("utf-16-le" if body[0] else "utf-16-be", "replace")
    if not body.isascii():
        try:
            return body.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
    return decode_markup(body, declared_type(Answer(200, {"Content-Type": content_type}, b""))[1])


def _xml_feed(text: str, url: str) -> Feed:
    if not text.strip():
        raise NotADocument(f"{url} is empty")
    root = _ROOT.search(text)
    if not root:
        raise NotADocument(f"{url} is no feed that can be read{_feeds_of(text, url)}")
    if _ENTITY.search(text, 0, root.start()):
        raise NotADocument(f"{url} declares entities, which no feed needs: it is not read")
    # without what stands before the root: garbage, and a document type that names other files
    tree = _AMPERSAND.sub(_escaped, _OWNER.sub("", text[root.start() :]))  # feedparser takes owners for authors
    tree = _LONG_WORD.sub(r"\g<0> ", tree)  # it looks for mail in the square of a word's length
    document = io.BytesIO(tree.encode("utf-8", "replace"))  # it would open a name
    headers = {"content-type": "application/xml; charset=utf-8"}
    try:
        parsed = parse(document, response_headers=headers, resolve_relative_uris=False, sanitize_html=False)
    except Exception as error:  # feedparser names no errors: a text input within an entry raises KeyError
        raise NotADocument(f"{url} is no feed that can be read: {type(error).__name__} in feedparser") from error
    if not parsed.version:
        raise NotADocument(f"{url} is no feed that can be read{_feeds_of(text, url)}")
    people = _people(dict(parsed.feed))
    entries = [_xml_entry(dict(entry), people, url) for entry in parsed.entries]
    return Feed(_text_of(dict(parsed.feed), "title", url), entries[:-1] if _is_cut_off(text) else entries)


def _escaped(ampersand: re.Match[str]) -> str:
    """Return an ampersand as XML has it, and a character that HTML names as it is; what is CDATA stays."""
    if ampersand[0].startswith("<"):
        return ampersand[0]
    name = ampersand[1] or ""
    return escape(html5[name]) if name in html5 else f"&amp;{name}"


def _is_cut_off(text: str) -> bool:
    """Return whether a document ends within an entry, which may be whole tomorrow."""
    tags = deque(_ENTRY_TAG.finditer(text), maxlen=1)
    return any(not last[1] and not _ROOT_END.search(text, last.end()) for last in tags)


def _xml_entry(entry: dict[str, Any], feed_people: list[str], url: str) -> Entry:
    contents = [_text_from(each, url) for each in _dicts(entry, "content") if _is_readable(each)]
    texts = [text for text in (*contents, _text_of(entry, "summary", url)) if text.value.strip()]
    links = _dicts(entry, "links")
    pages = [link for link in links if link.get("rel") == "alternate"]
    files = sorted((link for link in links if link.get("rel") == "enclosure"), key=_is_image)
    guid = _string(entry, "id")
    source = entry.get("source")
    return Entry(
        guid=guid,
        pages=[
            *(_string(link, "href") for link in sorted(pages, key=lambda link: link.get("type") not in _HTML_TYPES)),
            *([guid] if _is_web(guid) else []),
        ],
        files=[_string(link, "href") for link in files],
        title=_text_of(entry, "title", url),
        text=max(texts, key=lambda text: len(text.value), default=Text()),
        moment=_first_moment(entry, "published", "updated", "created"),
        authors=_people(entry) or (_people(dict(source)) if isinstance(source, dict) else []) or feed_people,
        tags=[_string(tag, "label") or _string(tag, "term") for tag in _dicts(entry, "tags")],
        images=[
            *_images(_dicts(entry, "media_thumbnail"), "url"),
            *_images(filter(_is_image, _dicts(entry, "media_content")), "url"),
            *_images([image] if isinstance(image := entry.get("image"), dict) else [], "href"),
            *_images(filter(_is_image, files), "href"),
        ],
    )


def _people(value: dict[str, Any]) -> list[str]:
    """Return the names of the authors of an entry or a feed, never their addresses of mail."""
    authors = _dicts(value, "authors")
    # feedparser takes a name out of an address as long as the address has a short top-level domain
    names = [_string(value, "author")] if len(authors) < 2 else [_string(author, "name") for author in authors]
    return [name for name in map(_name, names) if name]


def _name(text: str) -> str:
    """Return the name in an author such as `ann@example.com (Ann)` or `Ann <ann@example.com>`."""
    text = text[:MOST_NAME]
    name = _MAIL.sub("", text).strip(" \t\r\n\"'<>") if "@" in text else text.strip()
    return re.sub(r"^\((.*)\)$|\(\s*\)$", r"\1", name).strip()


def _json_feed(text: str, url: str) -> Feed:
    try:
        feed = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise NotADocument(f"{url} is no feed that can be read: its JSON is broken, {error}") from error
    items = feed.get("items") if isinstance(feed, dict) else None
    if not isinstance(items, list) or "jsonfeed.org" not in str(feed.get("version")):
        raise NotADocument(f"{url} is JSON, but no JSON Feed: its version must name https://jsonfeed.org")
    people = _json_people(feed)
    entries = [_json_entry(item, people, url) for item in items if isinstance(item, dict)]
    return Feed(Text(_string(feed, "title")), entries)


def _json_entry(item: dict[str, Any], feed_people: list[str], url: str) -> Entry:
    html = _string(item, "content_html")
    files = sorted(({**each, "type": each.get("mime_type")} for each in _dicts(item, "attachments")), key=_is_image)
    number = item.get("id")
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    guid = str(number) if is_number else _string(item, "id")
    tags = item.get("tags")
    return Entry(
        guid=guid,
        pages=[_string(item, "url"), _string(item, "external_url"), *([guid] if _is_web(guid) else [])],
        files=[_string(each, "url") for each in files],
        title=Text(_string(item, "title")),
        text=Text(html or _string(item, "content_text") or _string(item, "summary"), bool(html), url),
        moment=_first_moment(item, "date_published", "date_modified"),
        authors=_json_people(item) or feed_people,
        tags=[_storable(tag) for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
        images=[
            _string(item, "image"),
            _string(item, "banner_image"),
            *(_string(each, "url") for each in files if _is_image(each)),
        ],
    )


def _json_people(value: Mapping[str, Any]) -> list[str]:
    """Return the authors' names; version 1 of JSON Feed has one author."""
    author = value.get("author")
    people = [*_dicts(value, "authors"), *([author] if isinstance(author, dict) else [])]
    return [name for name in (_name(_string(person, "name")) for person in people) if name]


def _first_moment(entry: Mapping[str, Any], *names: str) -> datetime | None:
    """Return the first time of an entry that can be read, in the time zone that the feed names or else in UTC."""
    moments = (_moment(_string(entry, name), entry.get(f"{name}_parsed")) for name in names)
    return next(filter(None, moments), None)


def _moment(text: str, parsed: object) -> datetime | None:
    """Return a time; `parsed` is how feedparser reads it. The first year and the last stand for none."""
    if found := _JAPANESE_DATE.match(text):
        text = "-".join(part.zfill(2) for part in found.groups())
    for read in (datetime.fromisoformat, parsedate_to_datetime, lambda _: _utc(parsed)):
        try:
            moment = read(text)
            return (
                (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) if MINYEAR < moment.year < MAXYEAR else None
            )
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def _utc(parsed: object) -> datetime:
    if not isinstance(parsed, struct_time):
        raise TypeError("feedparser cannot read it either")
    return datetime(*parsed[:6], tzinfo=UTC)


def _text_of(value: Mapping[str, Any], name: str, url: str) -> Text:
    detail = value.get(f"{name}_detail")
    return _text_from(detail if isinstance(detail, dict) else {"value": value.get(name)}, url)


def _text_from(detail: Mapping[str, Any], url: str) -> Text:
    value = _string(detail, "value")
    is_html = detail.get("type") != "text/plain" and re.search("[<&]", value) is not None
    try:
        return Text(value, is_html, urljoin(url, _string(detail, "base")))
    except ValueError:
        return Text(value, is_html, url)


def _is_readable(content: Mapping[str, Any]) -> bool:
    return str(content.get("type")) in _HTML_TYPES | {"text/plain"}


def _is_web(address: str) -> bool:
    return re.match("https?://", address, re.IGNORECASE) is not None


def _is_image(media: Mapping[str, Any]) -> bool:
    return media.get("medium") == "image" or str(media.get("type") or "").startswith("image/")


def _images(media: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    return [_string(image, name) for image in media if not is_speck(image)]


def _string(value: Mapping[str, Any], name: str) -> str:
    found = dict(value).get(name)
    return _storable(found).strip() if isinstance(found, str) else ""


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # JSON may name halves of characters


def _dicts(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = value.get(name)
    return [dict(each) for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _feeds_of(text: str, url: str) -> str:
    """Return what to add to an error about a web page: the feeds that it names."""
    try:
        page = read_markup(text)
    except UnreadableMarkup:
        return ""
    links = page.select(
        'link[rel~="alternate" i][type$="+xml" i][href], link[rel~="alternate" i][type$="json" i][href]'
    )
    feeds = [feed for feed in (web_address(str(link["href"]), url) for link in links[:MOST_NAMED]) if feed]
    return f"; it is a page that names {' and '.join(feeds)}" if feeds else ""
