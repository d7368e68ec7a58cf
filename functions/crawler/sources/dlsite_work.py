"""DLsite's work pages: one page read into one item."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

from bs4 import BeautifulSoup
from bs4.element import Tag

from crawler.sources import SourceError
from crawler.sources.dlsite_address import SOURCE, WorkAddress, find_item_id, floor_of, image_address, work_address
from crawler.sources.dlsite_description import read_sections
from crawler.sources.dlsite_listing import MAX_TITLE
from crawler.sources.markup import UnreadableMarkup, clean_line, outermost, read_markup, readable_text
from osusume.items import AgeRating, Item

PARSER_VERSION = 2
"""Raised whenever the parser reads more than before: pages that an older one read are then read again."""

MAX_VALUES = 100
MAX_VALUE = 200
MAX_VALUES_TOTAL = 20_000
"""An item's attributes: values a field, characters a value, characters in all. See `dlsite_description` for the sum."""

_MAKERS = (
    ("サークル名", "circle", "サークル"),
    ("ブランド名", "brand", "ブランド"),
    ("メーカー名", "maker", "メーカー"),
    ("出版社名", "publisher", "出版社"),
    ("レーベル", "label", "レーベル名"),
    ("著者", "author"),
)
"""What the maker's row can be called, the one who sells the work first."""

_FIELDS = {
    "series": ("シリーズ名", "シリーズ", "series name", "series"),
    "voice_actors": ("声優", "voice actor", "voice actors"),
    "authors": ("作者", "著者", "author", "authors"),
    "scenario_writers": ("シナリオ", "scenario"),
    "illustrators": ("イラスト", "illustration", "illustrator"),
    "musicians": ("音楽", "music"),
    "genres": ("ジャンル", "genre", "genres"),
}
_RELEASED = ("販売日", "release date", "release")  # 予告開始日 is when a work was announced, not when it came out
_AGE = ("年齢指定", "age", "age ratings", "age rating")

_AGE_CLASSES: dict[str, AgeRating] = {"icon_GEN": "all", "icon_R15": "r15", "icon_ADL": "adult"}
_AGE_TEXTS: tuple[tuple[str, AgeRating], ...] = (
    (r"18禁|18\+|R-?18|X-rated|adult|成人", "adult"),
    (r"R-?15|15\+", "r15"),
    (r"全年齢|G-rated|all ages|general", "all"),
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_YEN = re.compile(r"(?<![0-9,.])([0-9][0-9,]{0,10})\s*(?:円|JPY|yen)")
_BARE_NUMBER = re.compile(r"¥?\s*([0-9][0-9,]{0,10})")
_TEMPLATE = "{{"


class NotAWorkPage(SourceError):
    """Raised when a page is no work's page, or not the whole of one."""


class RegionBlocked(SourceError):
    """Raised when DLsite shows no more of a work than its title, as it does where the work may not be sold."""


def parse_work_page(html: str, url: str) -> Item:
    """Return the item that the work page `html`, fetched from `url`, describes.

    Pages of announced works parse too, without a date, and so do pages of music: it is the listing that leaves music
    out, and an owner who labels such a work by hand shall get it. The item's address is canonical, on the floor and of
    the kind (`work` or `announce`) that `url` says, else the page's canonical link.

    Raises `RegionBlocked` where the shop hides the work, `NotAWorkPage` for any other page and for one cut off.
    """
    try:
        page = read_markup(html)
    except UnreadableMarkup as error:
        raise NotAWorkPage(f"{url} is not a work's page: {error}. Fetch it again") from error
    if page.select_one("div.error_box_work"):
        raise RegionBlocked(f"{url} is not shown to this region, or no longer sold: leave the work out")
    name = page.find(id="work_name")
    title = _title(name) if isinstance(name, Tag) else ""
    if not title:
        raise NotAWorkPage(f"{url} is not a work's page: it has no title in #work_name. Open the address in a browser")
    address = _address(page, url)
    if address is None:
        raise NotAWorkPage(f"{url} is not a work's page: neither it nor the page gives an id such as RJ01234567")
    cells = _cells(page)
    sections = read_sections(page)
    if not cells and not sections:
        raise RegionBlocked(
            f"{url} shows a title and nothing more, as for a region it is not sold to: leave the work out"
        )
    return Item(
        item_id=address.item_id,
        source=SOURCE,
        url=address.url,
        title=title,
        published_on=_published_on(cells),
        image_url=_image_url(page),
        price=_price(page, address.item_id),
        age_rating=_age_rating(cells),
        attributes=_attributes(page, cells),
        sections=sections,
    )


def _title(name: Tag) -> str:
    link = name.find("a")
    text = readable_text(link) if isinstance(link, Tag) else ""
    return clean_line(text or readable_text(name))[:MAX_TITLE].rstrip()


def _address(page: BeautifulSoup, url: str) -> WorkAddress | None:
    """Return whose page it is. `url` counts first: the crawl asked for that work, and must find it read."""
    tags = page.select('link[rel="canonical"][href], meta[property="og:url"][content]')
    said = [address for tag in tags if (address := work_address(str(tag.get("href") or tag.get("content") or "")))]
    asked = work_address(url)
    if asked or said:
        return asked or said[0]
    item_id = find_item_id(url)
    return WorkAddress(floor_of(url) or "home", "work", item_id) if item_id else None


def _cells(page: BeautifulSoup) -> dict[str, list[Tag]]:
    """Return the cells of the maker's and the outline's rows by label, in lower case and without colons and spaces."""
    cells: dict[str, list[Tag]] = {}
    for row in outermost(page.select("#work_maker tr, #work_outline tr")):
        heading, cell = row.find("th"), row.find("td")
        if isinstance(heading, Tag) and isinstance(cell, Tag):
            cells.setdefault(_label(heading), []).append(cell)
    return cells


def _label(heading: Tag) -> str:
    return unicodedata.normalize("NFKC", clean_line(readable_text(heading))).strip(" :").lower()


def _found(cells: dict[str, list[Tag]], labels: tuple[str, ...]) -> list[Tag]:
    return [cell for label in labels for cell in cells.get(label, [])]


def _attributes(page: BeautifulSoup, cells: dict[str, list[Tag]]) -> dict[str, list[str]]:
    values = {"circle": _circle(page, cells)}
    for field, labels in _FIELDS.items():
        values[field] = [value for cell in _found(cells, labels) for value in _values(cell, whole=field == "series")]
    attributes = {}
    left = MAX_VALUES_TOTAL
    for field, texts in values.items():
        kept = []
        for text in list(dict.fromkeys(value[:MAX_VALUE].rstrip() for value in texts))[:MAX_VALUES]:
            left -= len(text)
            if left >= 0:
                kept.append(text)
        if kept:
            attributes[field] = kept
    return attributes


def _circle(page: BeautifulSoup, cells: dict[str, list[Tag]]) -> list[str]:
    for labels in _MAKERS:
        names = [name for cell in _found(cells, labels) for name in _maker_names(cell)]
        if names:
            return names
    brand = page.select_one('span.maker_name[itemprop="brand"]')
    return _values(brand, whole=True) if brand else []


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


def _published_on(cells: dict[str, list[Tag]]) -> str | None:
    dates = (_iso_date(readable_text(cell)) for cell in _found(cells, _RELEASED))
    return next(filter(None, dates), None)


def _iso_date(text: str) -> str | None:
    """Return the first date in `text`, written 2018年04月20日, 2018/04/20 or Jan/11/2014, as 2018-04-20."""
    plain = unicodedata.normalize("NFKC", text)
    if found := re.search(r"([0-9]{4})[年/.-]\s?([0-9]{1,2})[月/.-]\s?([0-9]{1,2})", plain):
        year, month, day = (int(number) for number in found.groups())
    elif found := re.search(r"([A-Za-z]{3})[a-z]{0,6}[/. ]{1,2}([0-9]{1,2})[/, ]{1,2}([0-9]{4})", plain):
        name = found[1].lower()
        year, month, day = int(found[3]), _MONTHS.index(name) + 1 if name in _MONTHS else 0, int(found[2])
    else:
        return None
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _age_rating(cells: dict[str, list[Tag]]) -> AgeRating | None:
    for cell in _found(cells, _AGE):
        for name, rating in _AGE_CLASSES.items():
            if cell.select_one(f".{name}"):
                return rating
        text = unicodedata.normalize("NFKC", readable_text(cell))
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
    for tag in page.select("#work_price .price, .work_buy_content .price"):
        if (
            tag.find_parent(["s", "del"])
            or tag.find_parent(class_="strike")
            or "strike" in tag.get_attribute_list("class")
        ):
            continue
        text = unicodedata.normalize("NFKC", readable_text(tag))
        found = _YEN.search(text) or _BARE_NUMBER.fullmatch(text)
        if found and _TEMPLATE not in text:
            return int(found[1].replace(",", ""))
    return None
