"""Reads DLsite's listings: which works a page lists, in its order."""

from __future__ import annotations

import html as html_entities
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from bs4 import BeautifulSoup
from bs4.element import Tag

from crawler.sources import ListedItem, NotAListingPage
from crawler.sources.bounds import MAX_TITLE
from crawler.sources.dlsite_address import WorkAddress, find_item_id, floor_of, is_item_id, work_address
from crawler.sources.markup import UnreadableMarkup, clean_line, read_markup

MAX_NAME = 2_000
"""Characters of the text read to find a title."""

MAX_ROW_TAGS = 60_000
"""Tags in all rows together; a listing has some 10,000."""

# A page can have a container twice, first as a skeleton shown while loading; a ranking is in neither.
_CONTAINERS = ("#search_result_img_box", "#search_result_list", "._search_result_list")
_BARE_TABLE = "table.work_1col_table"  # the listing as a table; with an empty result it is something else
_ROWS = "[data-list_item_product_id], .search_result_img_box_inner, .work_name"
_EMPTY = ".work_not_found"
_MUSIC = "type_MUS"
_PAGER_COUNT = re.compile(r'"pager"\s*:\s*\{[^{}]{0,500}?"count"\s*:\s*"?([0-9]{1,9})')


def parse_listing_page(html: str, url: str) -> list[ListedItem]:
    """Return the works of the listing `html`, fetched from `url`: in its order, each once, without music.

    An empty result is an empty list. Raises `NotAListingPage` for any other page, such as a challenge, a log-in or
    maintenance page, a listing that is cut off, or one in unknown markup.
    """
    try:
        page = read_markup(html)
    except UnreadableMarkup as error:
        raise NotAListingPage(f"{url} is not a listing: {error}") from error
    rows = _rows(page)
    seen: set[str] = set()
    items = []
    tags_left = MAX_ROW_TAGS
    for element in rows:
        try:
            row, tags_left = _read_row(element, tags_left)
        except UnreadableMarkup as error:
            raise NotAListingPage(f"{url} is not a listing: {error}") from error
        address = _address(row, url)
        if address is None or address.item_id in seen:
            continue
        seen.add(address.item_id)  # music too: its row can be nested in another of its rows
        if _MUSIC not in (row.category or ()):
            items.append(ListedItem(address.item_id, address.url, _title(row)))
    if not seen and not _is_empty_result(page, html):
        looked_for = "holds none with an id" if rows else "is missing"
        raise NotAListingPage(
            f"{url} is not a listing: its list of works {looked_for} (page title: {_page_title(page)!r}). "
            "Open the address in a browser: a challenge or maintenance page passes, changed markup needs a new parser"
        )
    return items


def listing_total(html: str) -> int | None:
    """Return how many works all pages of the listing have; None if the page does not say."""
    found = _PAGER_COUNT.search(html) or _PAGER_COUNT.search(html_entities.unescape(html))
    if found:
        return int(found[1])
    try:
        total = read_markup(html).select_one(".page_total strong")
    except UnreadableMarkup:
        return None
    count = re.fullmatch(r"[0-9]{1,9}", re.sub(r"[^0-9]", "", total.get_text())) if total else None
    return int(count[0]) if count else None


def _rows(page: BeautifulSoup) -> list[Tag]:
    for selector in (*_CONTAINERS, *([] if page.select_one(_EMPTY) else [_BARE_TABLE])):
        rows = [row for container in page.select(selector) for row in _rows_in(container)]
        if rows:
            return rows
    return []


def _rows_in(container: Tag) -> Iterator[Tag]:
    """Yield each work's element, outer before inner.

    A row is recognised by its id attribute, its class, or the work's name in it.
    """
    for found in container.select(_ROWS):
        if "work_name" not in found.get_attribute_list("class"):
            yield found
            continue
        row = found.find_parent(lambda tag: tag.name in {"li", "tr"} or tag.has_attr("data-product_id"))
        # by identity: bs4 compares tags by all their contents, which takes for ever if they are nested
        within = row is not None and any(parent is container for parent in row.parents)
        yield row if row is not None and within else found.parent or found


@dataclass(slots=True)
class _Row:
    """What a row says about its work, in page order: ids in attributes, links in its name and elsewhere, names."""

    ids: list[str] = field(default_factory=list)
    name_links: list[Tag] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    names: list[Tag] = field(default_factory=list)
    thumbnail: str = ""
    category: list[str] | None = None


def _read_row(row: Tag, tags_left: int) -> tuple[_Row, int]:
    """Return what a row says, and what is left of `tags_left`. Raises `UnreadableMarkup` if nothing is left.

    Rows without end tags are nested, so the last one's contents are read once for each row.
    """
    found = _Row()
    waiting = [(row, False)]
    while waiting:
        tag, in_name = waiting.pop()
        tags_left -= 1
        if tags_left < 0:
            raise UnreadableMarkup("its rows lie within each other, too deeply to be read")
        in_name = _read_tag(tag, found, is_row=tag is row, in_name=in_name)
        waiting += [(child, in_name) for child in reversed(tag.contents) if isinstance(child, Tag)]
    return found, tags_left


def _read_tag(tag: Tag, found: _Row, *, is_row: bool, in_name: bool) -> bool:
    """Add what one tag says to `found`; return whether the tag's contents belong to a name."""
    attributes = tag.attrs
    if is_row or "data-product_id" in attributes:
        found.ids += [
            str(attributes.get(name, "")).strip() for name in ("data-list_item_product_id", "data-product_id")
        ]
    if in_name and tag.name == "a":
        found.name_links.append(tag)
    if "link" in attributes or (tag.name == "a" and "href" in attributes):
        found.links.append(str(attributes.get("href") or attributes.get("link") or ""))
    if not found.thumbnail and str(attributes.get("id", "")).startswith("_link_"):
        found.thumbnail = str(attributes["id"]).removeprefix("_link_")
    classes = tag.get_attribute_list("class")
    if found.category is None and "work_category" in classes:
        found.category = [str(name) for name in classes]
    if "work_name" in classes:
        found.names.append(tag)
        return True
    return in_name


def _address(row: _Row, url: str) -> WorkAddress | None:
    """Return the work of a row: its id from the row, else a link; its floor from the link, else the listing."""
    linked = chain((str(tag["href"]) for tag in row.name_links if tag.get("href")), row.links)
    link = next(filter(None, (work_address(address, base=url) for address in linked)), None)
    own_id = next((text.upper() for text in row.ids if is_item_id(text)), None)
    item_id = own_id or (link.item_id if link else None) or find_item_id(row.thumbnail)
    if item_id is None:
        return None
    floor = link.floor if link else floor_of(url)
    return WorkAddress(floor or "home", link.kind if link else "work", item_id)


def _title(row: _Row) -> str:
    """Return the whole title: the link's text may be cut, but its attribute is not."""
    name = next(chain((tag for tag in row.name_links if tag.has_attr("title")), row.name_links, row.names), None)
    if name is None:
        return ""
    return (clean_line(str(name.get("title", ""))[:MAX_NAME]) or clean_line(_text(name)))[:MAX_TITLE].rstrip()


def _text(tag: Tag) -> str:
    """Return the beginning of a tag's text, more than a title can have: an unclosed tag may have far more."""
    pieces: list[str] = []
    left = MAX_NAME
    for piece in tag.strings:
        pieces.append(piece[:left])
        left -= len(piece)
        if left <= 0:
            break
    return "".join(pieces)


def _is_empty_result(page: BeautifulSoup, html: str) -> bool:
    return page.select_one(_EMPTY) is not None or listing_total(html) == 0


def _page_title(page: BeautifulSoup) -> str:
    return clean_line(page.title.get_text())[:80] if page.title else ""
