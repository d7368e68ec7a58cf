"""DLsite's listings: which works a page lists, in its order."""

from __future__ import annotations

import html as html_entities
import re
from collections.abc import Iterator
from itertools import chain

from bs4 import BeautifulSoup
from bs4.element import Tag

from crawler.sources import ListedItem, SourceError
from crawler.sources.dlsite_address import WorkAddress, find_item_id, floor_of, is_item_id, work_address
from crawler.sources.markup import UnreadableMarkup, clean_line, read_markup

MAX_TITLE = 500

# The page can hold a container twice, first as a skeleton shown while loading; a ranking carousel is in neither.
_CONTAINERS = ("#search_result_img_box", "#search_result_list", "._search_result_list")
_BARE_TABLE = "table.work_1col_table"  # the listing as a table; beside an empty result it is something else
_ROWS = "[data-list_item_product_id], .search_result_img_box_inner, .work_name"
_EMPTY = ".work_not_found"
_MUSIC = "type_MUS"
_PAGER_COUNT = re.compile(r'"pager"\s*:\s*\{[^{}]{0,500}?"count"\s*:\s*"?([0-9]{1,9})')


class NotAListingPage(SourceError):
    """Raised when a page lists no works and does not say that there are none."""


def parse_listing_page(html: str, url: str) -> list[ListedItem]:
    """Return the works that the listing `html`, fetched from `url`, names: in its order, each once, music left out.

    An empty result is an empty list. Raises `NotAListingPage` for a page that is neither a listing nor an empty result,
    such as a challenge, a log-in or maintenance page, a listing that is cut off, or one in markup unknown here.
    """
    try:
        page = read_markup(html)
    except UnreadableMarkup as error:
        raise NotAListingPage(f"{url} is not a listing: {error}") from error
    rows = _rows(page)
    seen: set[str] = set()
    items = []
    for row in rows:
        address = _address(row, url)
        if address is None or address.item_id in seen:
            continue
        seen.add(address.item_id)  # a work of music too: its row can lie within another of its rows
        if not _is_music(row):
            items.append(ListedItem(address.item_id, address.url, _title(row)))
    if not seen and not _is_empty_result(page, html):
        looked_for = "holds none with an id" if rows else "is missing"
        raise NotAListingPage(
            f"{url} is not a listing: its list of works {looked_for} (page title: {_page_title(page)!r}). "
            "Open the address in a browser: a challenge or maintenance page passes, changed markup needs a new parser"
        )
    return items


def listing_total(html: str) -> int | None:
    """Return how many works the listing's whole result holds, over all its pages; None where the page does not say."""
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

    A row is known by its id attribute or by its class; one that has lost both is known by the name of the work in it.
    """
    for found in container.select(_ROWS):
        if "work_name" not in found.get_attribute_list("class"):
            yield found
            continue
        row = found.find_parent(lambda tag: tag.name in {"li", "tr"} or tag.has_attr("data-product_id"))
        yield row if row is not None and container in row.parents else found.parent or found


def _address(row: Tag, url: str) -> WorkAddress | None:
    """Return the work of a row: its id from the row, else a link; its floor from the link, else the listing."""
    linked = chain(row.css.iselect(".work_name a[href]"), row.css.iselect("a[href], [link]"))
    addresses = (work_address(str(tag.get("href") or tag.get("link") or ""), base=url) for tag in linked)
    link = next(filter(None, addresses), None)
    item_id = _own_id(row) or (link.item_id if link else None) or _id_of_thumbnail(row)
    if item_id is None:
        return None
    floor = link.floor if link else floor_of(url)
    return WorkAddress(floor or "home", link.kind if link else "work", item_id)


def _own_id(row: Tag) -> str | None:
    marked = chain([row], row.css.iselect("[data-product_id]"))
    texts = (
        str(tag.get(name, "")).strip() for tag in marked for name in ("data-list_item_product_id", "data-product_id")
    )
    return next((text.upper() for text in texts if is_item_id(text)), None)


def _id_of_thumbnail(row: Tag) -> str | None:
    thumbnail = row.select_one('[id^="_link_"]')
    return find_item_id(str(thumbnail["id"]).removeprefix("_link_")) if thumbnail else None


def _is_music(row: Tag) -> bool:
    category = row.select_one(".work_category")
    return category is not None and _MUSIC in category.get_attribute_list("class")


def _title(row: Tag) -> str:
    """Return the whole title: the link's text may be cut, its attribute is not."""
    link = row.select_one(".work_name a[title]") or row.select_one(".work_name a")
    name = link or row.select_one(".work_name")
    if name is None:
        return ""
    return (clean_line(str(name.get("title", ""))) or clean_line(name.get_text()))[:MAX_TITLE].rstrip()


def _is_empty_result(page: BeautifulSoup, html: str) -> bool:
    return page.select_one(_EMPTY) is not None or listing_total(html) == 0


def _page_title(page: BeautifulSoup) -> str:
    return clean_line(page.title.get_text())[:80] if page.title else ""
