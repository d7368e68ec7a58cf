"""The routes of the made-up shop."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from werkzeug import Response

from local.shop import pages
from local.shop.entries import Entry
from osusume.items import Item

_FALLBACK_SIZE = 30
_RELATED = 4
_RANKING_SINCE = 40


@dataclass(frozen=True, slots=True)
class Shop:
    """The state of the shop at one moment: `entries` on sale, newest first; `crawl_delay` in seconds."""

    entries: Sequence[Entry]
    crawl_delay: float


def page_at(shop: Shop, path: str) -> Response:
    """Return what the shop answers to a GET of `path`, which may have a query."""
    parts = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    for pattern, page in _ROUTES:
        if found := re.fullmatch(pattern, unquote(parts.path)):
            return page(shop, found, query)
    return Response(status=404, content_type="text/plain; charset=UTF-8", response="There is nothing here.\n")


def _robots(shop: Shop, _: re.Match[str], __: dict[str, str]) -> Response:
    return Response(status=200, content_type="text/plain; charset=UTF-8", response=pages.robots_txt(shop.crawl_delay))


def _listing(shop: Shop, found: re.Match[str], _: dict[str, str]) -> Response:
    size, page = _number(found[0], "per_page", 30), _number(found[0], "page", 1)
    shown = shop.entries[(page - 1) * size : page * size]
    return _html(200, pages.listing_page(shown, len(shop.entries), page, _ranking(shop)))


def _fallback_listing(shop: Shop, found: re.Match[str], _: dict[str, str]) -> Response:
    page = _number(found[0], "page", 1)
    shown = shop.entries[(page - 1) * _FALLBACK_SIZE : page * _FALLBACK_SIZE]
    return _html(200, pages.fallback_listing_page(shown, len(shop.entries), page, _ranking(shop)))


def _work(shop: Shop, found: re.Match[str], query: dict[str, str]) -> Response:
    entry = _find(shop, found[1])
    if entry is None:
        return _html(404, pages.missing_page(found[1]))
    related = [other.item for other in shop.entries if other.item != entry.item][:_RELATED]
    return _html(200, pages.work_page(entry, "en_US" if query.get("locale") == "en_US" else "ja_JP", related))


def _product(shop: Shop, _: re.Match[str], query: dict[str, str]) -> Response:
    entry = _find(shop, query.get("workno", ""))
    return Response(status=200, content_type="application/json", response=pages.product_json(entry) if entry else "[]")


def _cover(shop: Shop, found: re.Match[str], _: dict[str, str]) -> Response:
    entry = _find(shop, found[1])
    if entry is None:
        return Response(status=404, content_type="text/plain; charset=UTF-8", response="There is no such cover.\n")
    return Response(status=200, content_type="image/svg+xml", response=pages.cover_svg(entry.item))


_ROUTES: tuple[tuple[str, Callable[[Shop, re.Match[str], dict[str, str]], Response]], ...] = (
    (r"/robots\.txt", _robots),
    (r"/[a-z]+/works/type/=/.*work_type_category/audio/.*", _listing),
    (r"/[a-z]+/fsr/=/.*work_type_category\[0\]/audio/.*", _fallback_listing),
    (r"/[a-z]+/work/=/product_id/(\w+)\.html", _work),
    (r"/[a-z]+/api/=/product\.json", _product),
    (r"/(?:modpub|resize)/images2/work/.*/(RJ[0-9]+)_img_\w+\.jpg", _cover),
)


def _find(shop: Shop, item_id: str) -> Entry | None:
    return next((entry for entry in shop.entries if entry.item.item_id == item_id), None)


def _ranking(shop: Shop) -> list[Item]:
    return [entry.item for entry in shop.entries[_RANKING_SINCE:]]


def _number(place: str, name: str, default: int) -> int:
    found = re.search(rf"/{name}/([1-9][0-9]{{0,3}})(?:/|$)", place)
    return int(found[1]) if found else default


def _html(status: int, page: str) -> Response:
    return Response(page, status, content_type="text/html; charset=UTF-8")
