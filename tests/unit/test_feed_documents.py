"""Feeds of every kind, made up for these tests: `expected.json` beside them states what each says by its format."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime, timedelta
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


def ids_of(name: str, site: str = SITE) -> dict[str, str]:
    """Return the ids of a feed's works by their titles."""
    return {item.title: item.item_id for item in items_of(name, site)}


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("guids.xml", "guids-elsewhere.xml", {"Opaque", "UUID", "Tag", "Address"}),
        ("links-tracked.xml", "links-plain.xml", {"One", "Two"}),
        ("versions.xml", "version-one.xml", {"Kite, first draft"}),
        ("shift_jis.xml", "http-against-xml.xml", {"消しゴムの旅 ～角まで～"}),
        ("dates-rfc822.xml", "dates-iso.xml", set("123456")),
        ("rss-2.0.xml", "atom-1.0.xml", set()),
    ],
)
def test_the_same_work_in_two_feeds_has_one_id_and_no_other_has_it(one: str, other: str, shared: set[str]) -> None:
    ids = ids_of(other)
    by_id = {item_id: title for title, item_id in ids_of(one).items()}
    assert {title for title, item_id in ids.items() if item_id in by_id} == shared
    assert all(ids[title] in by_id for title in shared)


@pytest.mark.parametrize("name", EXPECTED)
def test_ids_stay_when_a_feed_comes_by_http(name: str) -> None:
    assert ids_of(name, "http://FEEDS.example.com:80") == ids_of(name)


@pytest.mark.parametrize("name", ["guids-repeated.xml", "rss-1.0.xml", "atom-1.0.xml", "podcast.xml"])
def test_the_ids_of_works_that_name_themselves_stay_when_their_feed_moves(name: str) -> None:
    here, there = ids_of(name), ids_of(name, "https://moved.example.net")
    own = {title for title in here if title not in {"Fourth", "Fifth", "Sixth", "Seventh"}}
    assert own
    assert {here[title] for title in own} == {there[title] for title in own}


RSS = '<rss version="2.0"><channel><title>t</title>{}</channel></rss>'
ENTRY = "<item><title>{0}</title><link>https://www.example.com/{0}</link></item>"


def parsed(text: str, url: str = f"{SITE}/feed.xml") -> list[Item]:
    return parse_feed(text.encode(), "application/xml", url)


PAGE = """<!DOCTYPE html><html xmlns:atom="http://www.w3.org/2005/Atom"><head><title>A shop</title>
<link rel="alternate" type="application/rss+xml" href="/feed.xml">
<link rel="alternate" type="application/feed+json" href="http://feeds.example.org/feed.json">
<link rel="alternate" type="application/atom+xml" href="http://10.0.0.1/feed"></head><body>Hello</body></html>"""
BOMB = (
    '<?xml version="1.0" encoding="{}"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">]>'
    '<rss version="2.0"><channel><title>&b;</title></channel></rss>'
)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(
            PAGE.encode(),
            "names https://feeds.example.com/feed.xml and https://feeds.example.org/feed.json$",
            id="a page",
        ),
        pytest.param(b"<html><body>Hello</body></html>", "no feed that can be read$", id="a page without feeds"),
        pytest.param(b"", "is empty$", id="nothing"),
        pytest.param(b"\xef\xbb\xbf \r\n", "is empty$", id="white space"),
        pytest.param(b"Hello", "no feed that can be read$", id="a text"),
        pytest.param(b'{"items": []}', "is JSON, but no JSON Feed", id="other JSON"),
        pytest.param(b'[{"version": "https://jsonfeed.org/version/1.1"}]', "is JSON, but no JSON Feed", id="a list"),
        pytest.param(b'{"version": "https://jsonfeed.org/version/1.1", "items": {}}', "no JSON Feed", id="no items"),
        pytest.param(b'{"version": "https://jsonfeed.org/version/1.1", "items": [', "JSON is broken", id="cut JSON"),
        pytest.param(b'{"a":' * 100_000, "JSON is broken", id="deep JSON"),
        pytest.param(BOMB.format("utf-8").encode(), "declares entities", id="entities"),
        pytest.param(BOMB.format("utf-16").encode("utf-16"), "declares entities", id="entities in UTF-16"),
        pytest.param(BOMB.format("utf-16").encode("utf-16-be"), "declares entities", id="entities in UTF-16 unmarked"),
        pytest.param(
            BOMB.format("utf-7").replace("<!", "+ADwAIQ-").encode(), "declares entities", id="entities in UTF-7"
        ),
        pytest.param(
            b'<!DOCTYPE rss [<!ENTITY % a SYSTEM "https://dtd.example.org/a">%a;]>' + RSS.format("").encode(),
            "declares entities",
            id="a parameter entity",
        ),
        pytest.param(RSS.format("<b/>" * 100_001).encode(), "more than 100,000 tags", id="too many tags"),
        pytest.param(RSS.format("&lt;b&gt;" * 100_001).encode(), "more than 100,000 tags", id="too many escaped tags"),
        pytest.param(
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89", "no feed", id="an image"
        ),
        pytest.param(
            b'<?xml version="1.0"?><opml version="2.0"><body><outline xmlUrl="https://www.example.com/"/></body></opml>',
            "no feed that can be read$",
            id="OPML",
        ),
        pytest.param(
            b'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url/></urlset>',
            "no feed that can be read$",
            id="a sitemap",
        ),
        pytest.param(
            b'<entry xmlns="http://www.w3.org/2005/Atom"><title>One</title></entry>', "no feed", id="an entry alone"
        ),
        pytest.param(b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>', "no feed", id="other RDF"),
        pytest.param(
            RSS.format("<item><textInput><name>a</name></textInput></item>").encode(),
            "KeyError in feedparser$",
            id="a feed that breaks feedparser",
        ),
    ],
)
def test_what_is_no_feed_is_refused_with_its_reason(body: bytes, problem: str) -> None:
    with pytest.raises(NotADocument, match=problem) as raised:
        parse_feed(body, "", f"{SITE}/feed")
    assert str(raised.value).startswith(f"{SITE}/feed ")


def test_nothing_that_a_feed_names_is_ever_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    secret.write_text(RSS.format(ENTRY.format("secret")), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a"
        for named in (address, secret.as_uri()):
            for kind in (f'PUBLIC "-//X//Y//EN" "{named}"', f'SYSTEM "{named}"'):
                entry = (
                    f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{named}"/><item><title>a</title>'
                    f"<link>{named}</link><content src='{named}'/><img src='{named}'/></item>"
                )
                head = f'<?xml-stylesheet href="{named}"?><!DOCTYPE rss {kind}>'
                assert [item.title for item in parsed(head + RSS.format(entry))] == ["a"]
        for text in (address, str(secret), secret.as_uri()):
            with pytest.raises(NotADocument):
                parsed(text)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_the_newest_500_works_are_read() -> None:
    day = "<pubDate>{}</pubDate></item>"
    dates = [(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)).isoformat() for number in range(600)]
    items = parsed(RSS.format("".join(ENTRY.format(d[:10]).replace("</item>", day.format(d)) for d in dates)))
    assert len(items) == 500
    assert [item.published_on for item in items] == [date[:10] for date in reversed(dates[100:])]


def test_a_feed_with_a_work_without_date_stays_in_its_order() -> None:
    dated = ENTRY.format("old").replace("</item>", "<pubDate>2020-01-01</pubDate></item>")
    assert [item.title for item in parsed(RSS.format(dated + ENTRY.format("new")))] == ["old", "new"]


def test_a_work_of_endless_texts_is_bounded() -> None:
    long = "あ" * 1_000
    entry = f"<item><title>{long}</title><author>{long}</author><category>{long}</category><description>"
    (item,) = parsed(RSS.format(f"{entry}&lt;h1>{long}&lt;/h1>{'い' * 100_000}</description></item>"))
    assert (len(item.title), len(item.values("authors")[0]), len(item.values("genres")[0])) == (500, 200, 200)
    assert len(json.dumps(item.to_json(), ensure_ascii=False).encode()) < 400_000


def test_an_author_of_one_endless_word_takes_no_more_than_its_length() -> None:
    seconds = []
    for length in (10_000, 80_000):
        entry = ENTRY.format("a").replace("</item>", f"<author>{'a' * length}</author></item>")
        started = time.thread_time()
        (item,) = parsed(RSS.format(entry))
        seconds.append(time.thread_time() - started)
        assert item.values("authors") == ["a" * 200]
    assert seconds[1] < 24 * seconds[0]  # the square would be 64 times


@pytest.mark.parametrize("text", ["<b>" * 600 + "deep" + "</b>" * 600, "<i>" * 30_001])
def test_a_text_of_too_many_or_too_deep_tags_is_left_out_and_its_work_stays(text: str) -> None:
    description = f"<description><![CDATA[{text}]]></description></item>"
    (item,) = parsed(RSS.format(ENTRY.format("a").replace("</item>", description)))
    assert (item.title, item.sections) == ("a", [])


def test_a_feed_of_this_machine_keeps_the_addresses_of_its_own_server() -> None:
    entry = '<item><title>{0}</title><link>{0}</link><description>&lt;img src="pictures/a.png"></description></item>'
    links = ("http://127.0.0.1:8001/works/1", "/works/2", "http://127.0.0.1:8002/works/3", "http://www.example.com/4")
    items = parsed(RSS.format("".join(map(entry.format, links))), "http://127.0.0.1:8001/feed.xml")
    own = "http://127.0.0.1:8001"
    assert [item.url for item in items] == [
        f"{own}/works/1",
        f"{own}/works/2",
        f"{own}/feed.xml",
        "https://www.example.com/4",
    ]
    assert {item.image_url for item in items} == {f"{own}/pictures/a.png"}
