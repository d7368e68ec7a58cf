"""Feeds: documents of any host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from fuzz.damage import damaged_bytes
from fuzz.target import Target

from crawler.answers import is_local
from crawler.sources import NotADocument
from crawler.sources.feed_document import MOST_ENTRIES, parse_feed
from osusume.items import Item

FOLDER = Path(__file__).parents[1] / "fixtures" / "feeds"
URL = "https://feeds.example.com/feed"
MOST_BYTES_A_RECORD = 400_000
"""DynamoDB takes no larger one."""


def feeds() -> Sequence[bytes]:
    """Return the feeds of the fixtures."""
    return [path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.name != "expected.json"]


def read_feed(content: bytes) -> None:
    """Read a feed as the crawler does, and check that records hold its works, each once, and that links are public."""
    items = parse_feed(content, "", URL)
    assert len({item.item_id for item in items}) == len(items) <= MOST_ENTRIES
    for item in items:
        stored = json.dumps(item.to_json(), ensure_ascii=False).encode()
        assert len(stored) < MOST_BYTES_A_RECORD
        assert Item.from_json(json.loads(stored)) == item
        for address in (item.url, item.image_url or URL):
            parts = urlsplit(address)
            assert parts.scheme == "https"
            assert parts.netloc == parts.hostname
            assert not is_local(parts.hostname)


TARGETS = (Target("feed", 8, (NotADocument,), read_feed, feeds, damaged_bytes),)
