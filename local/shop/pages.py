"""The made-up shop's pages in DLsite's markup: listings, works as of 2016, 2021 and 2026, robots.txt, missing works.

A work needs a circle from names.toml, a date, a price and a cover, which all made-up works have.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import jinja2

from local.shop.entries import Entry
from osusume.items import Item, Section
from samples.themes import load_names

Locale = Literal["ja_JP", "en_US"]
PageForm = Literal["2016", "2021", "2026"]

_SHOP = "https://www.dlsite.com/home"
_RANKED = 20
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LABELS: dict[str, dict[Locale, str]] = {
    "circle": {"ja_JP": "サークル名", "en_US": "Circle"},
    "published_on": {"ja_JP": "販売日", "en_US": "Release date"},
    "updated_on": {"ja_JP": "更新情報", "en_US": "Update information"},
    "series": {"ja_JP": "シリーズ名", "en_US": "Series name"},
    "authors": {"ja_JP": "作者", "en_US": "Author"},
    "scenario_writers": {"ja_JP": "シナリオ", "en_US": "Scenario"},
    "illustrators": {"ja_JP": "イラスト", "en_US": "Illustration"},
    "voice_actors": {"ja_JP": "声優", "en_US": "Voice Actor"},
    "musicians": {"ja_JP": "音楽", "en_US": "Music"},
    "age_rating": {"ja_JP": "年齢指定", "en_US": "Age"},
    "work_type": {"ja_JP": "作品形式", "en_US": "Product format"},
    "file_format": {"ja_JP": "ファイル形式", "en_US": "File format"},
    "genres": {"ja_JP": "ジャンル", "en_US": "Genre"},
    "file_size": {"ja_JP": "ファイル容量", "en_US": "File size"},
}
_NAMED = {
    "series": "fsr/=/keyword_work_name",
    "authors": "fsr/=/keyword_creater",
    "scenario_writers": "fsr/=/keyword_creater",
    "illustrators": "fsr/=/keyword_creater",
    "voice_actors": "fsr/=/keyword_creater",
    "musicians": "fsr/=/keyword_creater",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a work's outline: `links` are texts with their paths in the shop, in a div of class `box` if given."""

    label: str
    links: list[tuple[str, str]]
    box: str = ""
    icon: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """A section and its kind of markup: text, image, multiimages, tracklist or notice."""

    kind: str
    section: Section


def page_form(item: Item) -> PageForm:
    """Return the year of the page's markup: mostly 2026; 2016 if the description is a single section."""
    if len(item.sections) == 1 and item.sections[0].heading is None:
        return "2016"
    return "2021" if int(item.item_id[2:]) % 7 == 0 else "2026"


def work_page(entry: Entry, locale: Locale = "ja_JP", related: Sequence[Item] = ()) -> str:
    """Return a work's page with labels and date in the language of `locale`; `related` are advertised works."""
    item = entry.item
    form = page_form(item)
    return _render(
        f"work_{form}.html",
        item=item,
        shop=_SHOP,
        maker_label=_LABELS["circle"][locale],
        maker_id=_maker_id(item),
        rows=_outline(entry, form, locale),
        parts=[_Part(_part_kind(section, item), section) for section in item.sections],
        sale=_is_on_sale(item),
        related=related,
        price_before_tax=_before_tax(item),
    )


def listing_page(entries: Sequence[Entry], total: int, page: int, ranking: Sequence[Item]) -> str:
    """Return one page of the listing as of 2026: `entries`, newest first, out of `total`; empty when there are none.

    The works of `ranking` are in a carousel outside the list.
    """
    return _listing("listing_2026.html", entries, total, page, ranking)


def fallback_listing_page(entries: Sequence[Entry], total: int, page: int, ranking: Sequence[Item]) -> str:
    """Return one page of the search results, in the markup of 2022."""
    return _listing("listing_2022.html", entries, total, page, ranking)


def missing_page(item_id: str) -> str:
    """Return the page for a work that the shop doesn't show."""
    return _render("missing.html", item_id=item_id)


def robots_txt(crawl_delay: float) -> str:
    """Return robots.txt; `crawl_delay` is in seconds."""
    return _render("robots.txt", crawl_delay=f"{crawl_delay:g}")


def product_json(entry: Entry) -> str:
    """Return a work as JSON from the shop's API: creators, genres, date and price, but no description."""
    item = entry.item
    roles = {"authors": "created_by", "scenario_writers": "scenario_by", "illustrators": "illust_by"}
    roles |= {"voice_actors": "voice_by", "musicians": "music_by"}
    product = {
        "workno": item.item_id,
        "work_name": item.title,
        "maker_id": _maker_id(item),
        "maker_name": item.values("circle")[0],
        "work_type": entry.work_type,
        "age_category": 1,
        "price": item.price,
        "price_without_tax": _before_tax(item),
        "regist_date": f"{item.published_on} 00:00:00",
        "creaters": {role: [{"name": name} for name in item.values(field)] for field, role in roles.items()},
        "genres": [{"name": genre} for genre in item.values("genres")],
        "image_main": {"url": (item.image_url or "").removeprefix("https:")},
        "work_parts": [],
    }
    return json.dumps([product], ensure_ascii=False)


def cover_svg(item: Item) -> str:
    """Return a cover: the title's first characters on a colour derived from the id."""
    return _render("cover.svg", title=item.title[:12], hue=int(item.item_id[2:]) * 47 % 360)


def _listing(template: str, entries: Sequence[Entry], total: int, page: int, ranking: Sequence[Item]) -> str:
    on_sale = {entry.item.item_id for entry in entries if _is_on_sale(entry.item)}
    return _render(
        template, entries=entries, total=total, page=page, ranking=ranking[:_RANKED], on_sale=on_sale, shop=_SHOP
    )


def _outline(entry: Entry, form: PageForm, locale: Locale) -> list[_Row]:
    item = entry.item
    labels = {name: names[locale] for name, names in _LABELS.items()}
    number = int(item.item_id[2:])
    day = date.fromisoformat(item.published_on or "")
    released = _date_text(day, locale, hour=form == "2026")
    rows = [_Row(labels["published_on"], [(released, f"new/=/{day:year/%Y/mon/%m/day/%d}")])]
    if form == "2026" and number % 3 == 0:
        rows.append(_Row(labels["updated_on"], [], text=released))
    rows += [_names(labels[field], item.values(field), path) for field, path in _NAMED.items() if item.values(field)]
    rating = "全年齢" if locale == "ja_JP" else "All ages"
    work_type = {"SOU": "ボイス・ASMR", "MUS": "音楽"}[entry.work_type]
    rows += [
        _icon(labels["age_rating"], rating, "fsr/=/age_category/1", "icon_GEN"),
        _icon(labels["work_type"], work_type, f"works/type/=/work_type/{entry.work_type}", f"icon_{entry.work_type}"),
        _icon(labels["file_format"], "WAV", "fsr/=/file_type/WAV", "icon_WAV"),
    ]
    if genres := item.values("genres"):
        # The shop sometimes names a genre twice.
        repeated = genres[:1] if form == "2026" and number % 5 == 0 else []
        links = [(genre, f"fsr/=/genre/{index:03d}") for index, genre in enumerate(genres + repeated, start=1)]
        rows.append(_Row(labels["genres"], links, box="main_genre"))
    rows.append(_Row(labels["file_size"], [], text=f"{number % 900 + 90}.5MB"))
    return rows


def _names(label: str, names: list[str], path: str) -> _Row:
    return _Row(label, [(name, f"{path}/%22{quote(name)}%22") for name in names])


def _icon(label: str, text: str, path: str, icon: str) -> _Row:
    return _Row(label, [(text, path)], box="work_genre", icon=icon)


def _date_text(day: date, locale: Locale, *, hour: bool) -> str:
    if locale == "en_US":
        return f"{_MONTHS[day.month - 1]}/{day.day:02d}/{day.year}"
    return f"{day.year}年{day.month:02d}月{day.day:02d}日" + (" 16時" if hour else "")


def _part_kind(section: Section, item: Item) -> str:
    headings = load_names().headings
    if section.heading in headings["tracks"]:
        return "tracklist"
    if section.heading in headings["characters"]:
        return "multiimages"
    if section.heading in headings["notices"]:
        return "notice"
    if section.heading in headings["story"] and int(item.item_id[2:]) % 2 == 0:
        return "image"
    return "text"


def _maker_id(item: Item) -> str:
    names = [circle.name for circle in load_names().circles]
    return f"RG{90_001 + names.index(item.values('circle')[0])}"


def _is_on_sale(item: Item) -> bool:
    return bool(item.price) and int(item.item_id[2:]) % 9 == 0


def _before_tax(item: Item) -> int:
    return round((item.price or 0) / 1.1)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _render(template: str, **values: object) -> str:
    return _templates().get_template(template).render(values)
