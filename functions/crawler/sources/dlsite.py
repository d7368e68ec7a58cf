"""DLsite (https://www.dlsite.com): its addresses and its parsers, all that the crawl needs to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crawler.sources import ListedItem, NotAListingPage, NotAWorkPage, RegionBlocked
from crawler.sources.dlsite_address import (
    HOST,
    SOURCE,
    cookies,
    fallback_listing_urls,
    listing_urls,
    page_address,
    work_url,
)
from crawler.sources.dlsite_listing import listing_total, parse_listing_page
from crawler.sources.dlsite_work import PARSER_VERSION, parse_work_page
from osusume.items import Item

__all__ = [
    "HOST",
    "PARSER_VERSION",
    "SOURCE",
    "DLsite",
    "NotAListingPage",
    "NotAWorkPage",
    "RegionBlocked",
    "cookies",
    "fallback_listing_urls",
    "listing_total",
    "listing_urls",
    "page_address",
    "parse_listing_page",
    "parse_work_page",
    "work_url",
]

DEFAULT_FLOOR = "home"


@dataclass(frozen=True, slots=True)
class DLsite:
    """The audio works of one floor of DLsite; see `Source`. Raises `ValueError` for a floor that cannot be one."""

    floor: str = DEFAULT_FLOOR
    name: str = SOURCE
    host: str = HOST
    parser_version: int = PARSER_VERSION

    def __post_init__(self) -> None:
        self.listing_urls(1)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> DLsite:
        """Return the source as the variable `FLOOR` says. Raises `ValueError`."""
        return cls(environment.get("FLOOR") or DEFAULT_FLOOR)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the floor asks for."""
        return cookies(self.floor)

    def listing_urls(self, limit: int) -> list[str]:
        """Return the addresses of the pages that list the newest `limit` works."""
        return listing_urls(self.floor, limit)

    def fallback_listing_urls(self, limit: int) -> list[str]:
        """Return the addresses of the search that lists the same works."""
        return fallback_listing_urls(self.floor, limit)

    def parse_listing_page(self, html: str, url: str) -> list[ListedItem]:
        """Return the works that a listing names. Raises `NotAListingPage`."""
        return parse_listing_page(html, url)

    def work_url(self, item_id: str) -> str:
        """Return the address of a work's page in Japanese."""
        return work_url(self.floor, item_id)

    def page_address(self, url: str) -> str:
        """Return the address of a work's page in Japanese; any other address as it is."""
        return page_address(url)

    def parse_work_page(self, html: str, url: str) -> Item:
        """Return the item that a work's page describes. Raises `NotAWorkPage` or `RegionBlocked`."""
        return parse_work_page(html, url)
