"""Feeds of every kind, made up for these tests: `expected.json` beside them states what each says by its format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crawler.sources import NotADocument
from crawler.sources.feed_document import parse_feed
from osusume.items import Item

FEEDS = Path(__file__).parents[1] / "fixtures" / "feeds"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FEEDS / "expected.json").read_text(encoding="utf-8"))
SITE = "https://feeds.example.com"


def items_of(name: str, site: str = SITE) -> list[Item]:
    """Return the works of a feed of the fixtures, as if it had been fetched from `site`."""
    return parse_feed((FEEDS / name).read_bytes(), EXPECTED[name]["content_type"], f"{site}/{name}")


def stated(item: Item) -> dict[str, Any]:
    """Return what `expected.json` states of a work: all but its id and what it lacks."""
    fields = item.to_json() | {"sections": [[section.heading, section.text] for section in item.sections]}
    assert fields.pop("source") == "feed"
    fields.pop("item_id")
    return {name: value for name, value in fields.items() if value}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_feed_says_what_is_stated_of_it(name: str) -> None:
    assert [stated(item) for item in items_of(name)] == EXPECTED[name]["items"]
