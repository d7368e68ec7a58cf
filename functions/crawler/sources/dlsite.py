"""DLsite (https://www.dlsite.com): its addresses and its parsers, all that the crawl needs to know of it."""

from crawler.sources import ListedItem, SourceError
from crawler.sources.dlsite_address import (
    HOST,
    SOURCE,
    cookies,
    fallback_listing_urls,
    listing_urls,
    page_address,
    work_url,
)
from crawler.sources.dlsite_listing import NotAListingPage, listing_total, parse_listing_page
from crawler.sources.dlsite_work import PARSER_VERSION, NotAWorkPage, RegionBlocked, parse_work_page

__all__ = [
    "HOST",
    "PARSER_VERSION",
    "SOURCE",
    "ListedItem",
    "NotAListingPage",
    "NotAWorkPage",
    "RegionBlocked",
    "SourceError",
    "cookies",
    "fallback_listing_urls",
    "listing_total",
    "listing_urls",
    "page_address",
    "parse_listing_page",
    "parse_work_page",
    "work_url",
]
