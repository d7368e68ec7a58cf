"""Reads a DLsite work page into an item."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import date
from itertools import chain

from bs4 import BeautifulSoup
from bs4.element import Tag

from crawler.sources import NotAWorkPage, RegionBlocked
from crawler.sources.bounds import MAX_TITLE, MAX_VALUE, bounded_attributes
from crawler.sources.dlsite_address import SOURCE, WorkAddress, find_item_id, floor_of, image_address, work_address
from crawler.sources.dlsite_description import read_sections
from crawler.sources.dlsite_labels import AGE, FIELDS, MAKERS, is_known_label, is_release_label, plain_label
from crawler.sources.markup import UnreadableMarkup, clean_line, outermost, read_markup, readable_text
from osusume.items import AgeRating, Item

PARSER_VERSION = 2
"""Incremented whenever the parser reads more: kept pages are then parsed again."""

_SHOWN_TO_BUYERS = "#work_price, .work_buy_content, .product-slider-data [data-src]"
"""What only the page of a work on sale has: without an outline, its markup has changed."""

_OUTLINE_EVIDENCE = "#work_outline td :is(.icon_GEN, .icon_R15, .icon_ADL), #work_outline td .main_genre a"
"""What an outline has in every language."""

_AGE_CLASSES: dict[str, AgeRating] = {"icon_GEN": "all", "icon_R15": "r15", "icon_ADL": "adult"}
_AGE_CATEGORIES: dict[str, AgeRating] = {"1": "all", "2": "r15", "3": "adult"}
_AGE_TEXTS: tuple[tuple[str, AgeRating], ...] = (
    (r"18\s?[禁금+세]|R\W?18|X-rated|adult|成人|성인", "adult"),
    (r"R\W?15|15\s?[+세]", "r15"),
    (
        r"全年[齢齡龄]|전\s?연령|G-rated|all ages|general|todas las edades|alle altersgruppen|tous âges|semua umur"
        r"|tutte le età|todas as idades|alla åldrar|ทุกวัย|tất cả độ tuổi",
        "all",
    ),
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEN = re.compile(r"(?<![0-9,.])([0-9][0-9,]{0,10})\s*(?:円|JPY|yen|日元|日圓|엔)")
_FREE = re.compile(r"(?:無料|免費|免费|무료|free|gratis)\W*", re.IGNORECASE)
_RELEASE_LINK = re.compile(r"/new/=/(?:[^?#]*/)?year/([0-9]{4})/mon/([0-9]{1,2})/day/([0-9]{1,2})(?![0-9])")
_READ_FOR_A_VALUE = 2_000  # characters of a cell that holds a date, an age or a price
_BARE_NUMBER = re.compile(r"¥?\s*([0-9][0-9,]{0,10})")
_TEMPLATE = "{{"


def parse_work_page(html: str, url: str) -> Item:
    """Return the item that the work page `html`, fetched from `url`, describes.

    Pages of announced works and of music parse too: only the listing leaves music out, so that the owner can label such
    a work by hand. The id is that of the page's canonical link, not of `url`. The address is canonical, with the floor
    and the kind (`work` or `announce`) of `url` if that is this work's.

    Raises `RegionBlocked` if the shop hides the work, `NotAWorkPage` for any other page, for one cut off, and for one
    whose outline has no known row.
    """
    try:
        page = read_markup(html)
    except UnreadableMarkup as error:
        raise NotAWorkPage(f"{url} is not a work's page: {error}. Fetch it again") from error
    if page.select_one("div.error_box_work"):
        raise RegionBlocked(f"{url} is not shown to this region, or no longer sold: skip the work")
    name = page.find(id="work_name")
    title = _title(name) if isinstance(name, Tag) else ""
    if not title:
        raise NotAWorkPage(f"{url} is not a work's page: it has no title in #work_name. Open the address in a browser")
    address = _address(page, url)
    if address is None:
        raise NotAWorkPage(f"{url} is not a work's page: neither it nor the page gives an id such as RJ01234567")
    outline = _cells(page, "#work_outline tr")
    cells = _cells(page, "#work_maker tr, #work_outline tr")
    sections = read_sections(page)
    if not cells and not sections and not page.select_one(_SHOWN_TO_BUYERS):
        raise RegionBlocked(f"{url} shows a title and nothing more, as for a region it is not sold to: skip the work")
    if not any(map(is_known_label, outline)) and not page.select_one(_OUTLINE_EVIDENCE):
        raise NotAWorkPage(
            f"{url} is not a work's page as they are known here: no row of its #work_outline is understood."
            " Open the address in a browser: changed markup needs a new parser"
        )
    return Item(
        item_id=address.item_id,
        source=SOURCE,
        url=address.url,
        title=title,
        published_on=_published_on(page, outline),
        image_url=_image_url(page),
        price=_price(page, address.item_id),
        age_rating=_age_rating(page, outline),
        attributes=_attributes(page, cells),
        sections=sections,
    )


def _title(name: Tag) -> str:
    link = name.find("a")
    text = readable_text(link) if isinstance(link, Tag) else ""
    return clean_line(text or readable_text(name))[:MAX_TITLE].rstrip()


def _address(page: BeautifulSoup, url: str) -> WorkAddress | None:
    """Return whose page it is: its own word counts, before that of `url`, which may have led to another work."""
    tags = page.select('link[rel~="canonical" i][href], meta[property="og:url"][content], #work_name a[href]')
    tags.sort(key=lambda tag: ("link", "meta", "a").index(tag.name))
    said = (work_address(str(tag.get("href") or tag.get("content") or "")) for tag in tags)
    asked, own = work_address(url), next(filter(None, said), None)
    if asked and own and asked.item_id == own.item_id:
        return asked  # on the floor where the page was read
    if own or asked:
        return own or asked
    item_id = find_item_id(url)
    return WorkAddress(floor_of(url) or "home", "work", item_id) if item_id else None


def _cells(page: BeautifulSoup, rows: str) -> dict[str, list[Tag]]:
    """Return the cells of `rows`, a selector, by plain label."""
    cells: dict[str, list[Tag]] = {}
    for row in outermost(page.select(rows)):
        heading, cell = row.find("th"), row.find("td")
        if isinstance(heading, Tag) and isinstance(cell, Tag):
            cells.setdefault(plain_label(clean_line(readable_text(heading))[:MAX_VALUE]), []).append(cell)
    return cells


def _found(cells: dict[str, list[Tag]], labels: Iterable[str]) -> list[Tag]:
    return [cell for label in labels for cell in cells.get(plain_label(label), [])]


def _attributes(page: BeautifulSoup, cells: dict[str, list[Tag]]) -> dict[str, list[str]]:
    values = {"circle": _circle(page, cells)}
    for field, labels in FIELDS.items():
        found = _found(cells, labels)
        if field == "genres" and not found:
            found = page.select("#work_outline .main_genre:has(a)")  # the size of the file has this class too
        values[field] = [value for cell in found for value in _values(cell, whole=field == "series")]
    return bounded_attributes(values)


def _circle(page: BeautifulSoup, cells: dict[str, list[Tag]]) -> list[str]:
    for labels in MAKERS:
        names = [name for cell in _found(cells, labels) for name in _maker_names(cell)]
        if names:
            return names
    maker = page.select_one('#work_maker .maker_name, span.maker_name[itemprop="brand"]')
    return _values(maker, whole=True) if maker else []


def _maker_names(cell: Tag) -> list[str]:
    """Return the names in a maker's cell, which holds a button to follow the maker beside them."""
    return [name for tag in list(outermost(cell.select(".maker_name"))) or [cell] for name in _values(tag, whole=True)]


def _values(cell: Tag, *, whole: bool) -> list[str]:
    """Return the texts of the links in `cell`, else its own: as one value when `whole`, else divided at separators."""
    texts = [clean_line(readable_text(link)) for link in outermost(cell.select('a:not([class*="btn_"])'))]
    if not any(texts):
        text = readable_text(cell, skip=lambda tag: tag.name == "a")
        texts = [clean_line(part) for part in ([text] if whole else re.split(r"[/／、,，\n]", text))]
    return [text for text in texts if text and _TEMPLATE not in text]


def _published_on(page: BeautifulSoup, outline: dict[str, list[Tag]]) -> str | None:
    cells = [cell for label, found in outline.items() if is_release_label(label) for cell in found]
    links = (_RELEASE_LINK.search(str(link["href"])) for link in page.select("#work_outline td a[href]"))
    dates = chain(map(_iso_date, map(_plain_text, cells)), (_checked_date(*found.groups()) for found in links if found))
    return next(filter(None, dates), None)


def _plain_text(tag: Tag) -> str:
    """Return the beginning of a tag's text in NFKC: more than a date, an age or a price has."""
    return unicodedata.normalize("NFKC", readable_text(tag)[:_READ_FOR_A_VALUE])


def _iso_date(text: str) -> str | None:
    """Return the first date in `text` in ISO form: of 2018年04月20日, 2018년 4월 20일, 2018/04/20 or Jan/11/2014."""
    if found := re.search(r"([0-9]{4})\s?[年년/.-]\s?([0-9]{1,2})\s?[月월/.-]\s?([0-9]{1,2})", text):
        return _checked_date(*found.groups())
    if found := re.search(r"([A-Za-z]{3})[a-z]{0,6}[/. ]{1,2}([0-9]{1,2})[/, ]{1,2}([0-9]{4})", text):
        name = found[1].lower()
        return _checked_date(found[3], str(_MONTHS.index(name) + 1 if name in _MONTHS else 0), found[2])
    if found := re.search(r"(?<![0-9])([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})(?![0-9])", text):
        return _checked_date(found[3], found[2], found[1])  # as the pages in most other languages write it
    return None


def _checked_date(year: str, month: str, day: str) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def _age_rating(page: BeautifulSoup, outline: dict[str, list[Tag]]) -> AgeRating | None:
    for name, rating in _AGE_CLASSES.items():
        if page.select_one(f"#work_outline td .{name}"):
            return rating
    link = next(iter(page.select('#work_outline td a[href*="/age_category/"]')), None)
    if link and (found := re.search(r"/age_category/([123])(?![0-9])", str(link["href"]))):
        return _AGE_CATEGORIES[found[1]]
    for cell in _found(outline, AGE):
        text = _plain_text(cell)
        for pattern, rating in _AGE_TEXTS:
            if re.search(pattern, text, re.IGNORECASE):
                return rating
    return None


def _image_url(page: BeautifulSoup) -> str | None:
    slides = [str(tag["data-src"]) for tag in page.select(".product-slider-data [data-src]")]
    slides.sort(key=lambda url: "_img_main" not in url)
    shared = [str(tag["content"]) for tag in page.select('meta[property="og:image"][content]')]
    return next(filter(None, map(image_address, slides + shared)), None)


def _price(page: BeautifulSoup, item_id: str) -> int | None:
    """Return the price in JPY with tax.

    The block shown first can be a template that the browser fills; the element for the site's statistics and any
    static block after it hold the number. Other works' prices on the page are in neither.
    """
    for tag in page.select("[data-price]"):
        names = {name.lower() for name in tag.get_attribute_list("class") if name}
        if f"ga4_event_item_{item_id}".lower() in names:
            found = re.fullmatch(r"\s*([0-9]{1,9})(?:\.0*)?\s*", str(tag["data-price"]))
            if found:
                return int(found[1])
    for tag in outermost(page.select("#work_price .price, .work_buy_content .price")):
        if (
            tag.find_parent(["s", "del"])
            or tag.find_parent(class_="strike")
            or "strike" in tag.get_attribute_list("class")
        ):
            continue
        text = _plain_text(tag)
        if _FREE.fullmatch(text):
            return 0
        found = _YEN.search(text) or _BARE_NUMBER.fullmatch(text)
        if found and _TEMPLATE not in text:
            return int(found[1].replace(",", ""))
    return None
