"""The site's pages and robots.txt: what the crawler reads from the web."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fuzz.damage import damaged_bytes
from fuzz.target import Target

from crawler.fetcher import Disallowed, Fetcher, FetchError
from crawler.sources import SourceError
from crawler.sources.dlsite import HOST, listing_total, parse_listing_page, parse_work_page, work_url
from crawler.sources.markup import decode_markup
from local.shop.entries import Entry
from local.shop.pages import fallback_listing_page, listing_page, robots_txt, work_page
from osusume.items import Item
from samples.works import demo_works

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "tests" / "fixtures" / "dlsite", ROOT.parent / "shared" / "data" / "dlsite_pages")
"""Pages kept as files; the second folder lies outside the project and is used where it is there."""

LISTING_URL = f"https://{HOST}/home/works/type/=/work_type_category/audio/order/release_d/per_page/100/page/1"
WORK_URL = work_url("home", "RJ01500101")
NOWHERE = "http://127.0.0.1:9"
NOW = 1764000000.0
MOST_BYTES_A_RECORD = 400_000
"""DynamoDB takes no larger one."""

RULES = """User-agent: Osusume
Crawl-delay: 2.5
Request-rate: 1/10 0600-2300
Disallow: /*/cart/
Allow: /home/*$
Sitemap: https://www.dlsite.com/sitemap.xml

User-agent: *
Disallow: /
"""


class TimePasses(Exception):
    """Raised in place of waiting: as long as a request's turn has not come none is sent."""


def _files(kind: str) -> list[bytes]:
    paths = [path for folder in FOLDERS for path in sorted(folder.glob("*.html"))]
    return [path.read_bytes() for path in paths if path.name.startswith("listing") == (kind == "listing")]


def listings() -> list[bytes]:
    """Return the listings of the fixtures and short ones of the made-up shop."""
    works = demo_works()[:8]
    entries = [Entry(work, "SOU") for work in works]
    made_up = [page(entries, 100, 1, works[:3]) for page in (listing_page, fallback_listing_page)]
    return [*_files("listing"), *(page.encode() for page in made_up)]


def works() -> list[bytes]:
    """Return the work pages of the fixtures and some of the made-up shop, in each of its forms."""
    made_up = [work_page(Entry(work, "SOU")) for work in demo_works()[:12]]
    return [*_files("work"), *(page.encode() for page in made_up)]


def read_listing(content: bytes) -> None:
    """Read a listing as the crawler does, and check that it names works of the site alone."""
    text = decode_markup(content)
    listing_total(text)
    for listed in parse_listing_page(text, LISTING_URL):
        assert urlsplit(listed.url).netloc == HOST
        assert type(listed).from_json(json.loads(json.dumps(listed.to_json()))) == listed


def read_work(content: bytes) -> None:
    """Read a work's page as the crawler does, and check that a record holds the item and that no link leads away."""
    item = parse_work_page(decode_markup(content), WORK_URL)
    stored = json.dumps(item.to_json(), ensure_ascii=False).encode()
    assert len(stored) < MOST_BYTES_A_RECORD
    assert Item.from_json(json.loads(stored)) == item
    assert urlsplit(item.url)[:2] == ("https", HOST)
    assert item.image_url is None or urlsplit(item.image_url).scheme == "https"


def read_robots(content: bytes) -> None:
    """Read robots.txt as the crawler does, and check that the pace it sets is one that can be kept."""

    def wait(seconds: float) -> None:
        assert 0 < seconds < math.inf
        raise TimePasses

    rules = decode_markup(content, "utf-8")
    for url in (LISTING_URL, WORK_URL, f"https://{HOST}/"):
        fetcher = Fetcher(
            HOST,
            user_agent="fuzz",
            site_address=NOWHERE,
            robots_txt=rules,
            last_request_at=NOW,
            clock=partial(float, NOW),
            sleep=wait,
        )
        assert 0 <= fetcher.crawl_delay < math.inf
        with contextlib.suppress(TimePasses, Disallowed):
            fetcher.fetch(url)


def _rules() -> Sequence[bytes]:
    return [RULES.encode(), robots_txt(1.5).encode()]


TARGETS = (
    Target("listing page", 12, (SourceError,), read_listing, listings, damaged_bytes),
    Target("work page", 20, (SourceError,), read_work, works, damaged_bytes),
    Target("robots.txt", 5, (FetchError,), read_robots, _rules, damaged_bytes),
)
