"""DLsite (https://www.dlsite.com): its addresses and its parsers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crawler.sources import NotAListingPage, NotAWorkPage, RegionBlocked
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
    """The audio works of one floor of DLsite; see `Source`. Raises `ValueError` for an invalid floor."""

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
        """The cookies that the floor requires."""
        return cookies(self.floor)

    def listing_urls(self, limit: int) -> list[str]:
        """Return the addresses of the pages that list the newest `limit` works."""
        return listing_urls(self.floor, limit)

    def fallback_listing_urls(self, limit: int) -> list[str]:
        """Return the addresses of the search that lists the same works."""
        return fallback_listing_urls(self.floor, limit)

    def work_url(self, item_id: str) -> str:
        """Return the address of a work's page in Japanese."""
        return work_url(self.floor, item_id)

    page_address = staticmethod(page_address)
    parse_listing_page = staticmethod(parse_listing_page)
    parse_work_page = staticmethod(parse_work_page)
