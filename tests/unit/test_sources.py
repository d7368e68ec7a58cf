"""The source of the guide in docs/sources.md: the crawl knows a source by its protocol alone."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest
from conftest import ROOT, Stores
from crawling import DAY_ONE
from world import Clock

from crawler.crawl import Turn, crawl
from crawler.fetcher import Fetcher, Page
from crawler.sources import NotAListingPage, Source
from crawler.sources.registry import SOURCES, open_source
from osusume.settings import InvalidSetting
from osusume.snapshots import list_snapshot_keys, read_snapshot

WORKS = ("波の音", "雨の音", "風の音")


def harbour(shelf: str = "sounds") -> Source:
    """Return the source that docs/sources.md shows, made by its very code."""
    guide = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    module = ModuleType("harbour")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(code, module.__dict__)  # noqa: S102  # the guide is ours
    source: Source = module.Harbour.from_environment({"SHELF": shelf})
    return source


class Pages(Fetcher):
    """The pages of the shop, without a network."""

    shelf = "\n".join(f"h{number}" for number in range(len(WORKS)))

    def fetch(self, url: str) -> Page:
        self.requests += 1
        name = url.rpartition("/")[2]
        return Page(url, self.shelf if name == "sounds" else WORKS[int(name[1:])])


class EmptyPages(Pages):
    """A shop whose listing is empty."""

    shelf = ""


def read(stores: Stores, source: Source, pages: type[Fetcher]) -> None:
    clock = Clock(DAY_ONE.timestamp())
    crawl(
        DAY_ONE,
        stores.s3,
        stores.bucket,
        source=source,
        item_limit=3,
        turn=Turn("a", clock, lambda: 900.0),
        fetcher_from=lambda host, _: pages(host, user_agent="test"),
    )


def test_the_source_of_the_guide_is_crawled(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "harbour", lambda environment: harbour(environment["SHELF"]))
    read(stores, open_source("harbour", {"SHELF": "sounds"}), Pages)
    [key] = list_snapshot_keys(stores.s3, stores.bucket)
    assert key.startswith("snapshots/harbour/")
    assert [item.title for item in read_snapshot(stores.s3, stores.bucket, key).items] == list(WORKS)


def test_a_source_without_another_listing_says_what_is_wrong_with_its_only_one(stores: Stores) -> None:
    with pytest.raises(NotAListingPage, match="is empty"):
        read(stores, harbour(), EmptyPages)


@pytest.mark.parametrize(("name", "environment"), [("nowhere", {}), ("dlsite", {"FLOOR": "No Floor"})])
def test_a_source_that_cannot_be_is_refused(name: str, environment: dict[str, str]) -> None:
    with pytest.raises(InvalidSetting):
        open_source(name, environment)


def test_only_its_own_modules_and_the_registry_name_a_source() -> None:
    folders = ("functions", "layers/common/osusume", "desk", "ops", "web", "local/cloud", "local/slack")
    code = re.compile(r"^(?!\s*(?:>>>|'|#)).*dlsite", re.MULTILINE | re.IGNORECASE)
    named = {
        path.name
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if code.search(re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL))
    }
    own = {f"dlsite{part}.py" for part in ("", "_address", "_description", "_labels", "_listing", "_work")}
    assert named <= own | {"registry.py"}
