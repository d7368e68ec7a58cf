"""What a shop's page can say to mislead its reader, and what is left of it in a message."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.sources.dlsite import SOURCE, parse_work_page
from local.slack.text import spans
from osusume.items import Item
from osusume.ledger import Reason, Record
from osusume.messages import Block, item_message
from osusume.sanitize import MOST_MARKS, legible

ITEM = Item(
    "RJ01000001",
    SOURCE,
    "https://www.dlsite.com/home/work/=/product_id/RJ01000001.html",
    "雨",
    attributes={"circle": ["青い栞"], "voice_actors": ["春野こよみ"], "genres": ["癒し"]},
)
RECORD = Record(ITEM, "recommended", "snapshots/dlsite/2026/04/01/220000Z.json", 1.0, score=0.5)
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
INVISIBLE = "\u200b\u2060\u2061\u2062\u2063\ufeff\u00ad\u180e\U000e0041\U000e007f\x00\x07\x1b\x7f\x9b"


def texts_of(blocks: list[Block]) -> list[str]:
    """Return what each text of the message says, buttons left out."""
    texts = []
    for block in blocks[:3]:
        parts = [*block.get("fields", []), *block.get("elements", [])]
        texts += ["".join(span.text for span in spans(part)) for part in parts]
    return texts


def message_of(title: str) -> list[Block]:
    attributes = {name: [title] for name in ITEM.attributes}
    item = replace(ITEM, title=title, attributes=attributes)
    return item_message(replace(RECORD, item=item, reasons=[Reason("circle", title, 0.25)]))[1]


@pytest.mark.parametrize("character", TURNING + INVISIBLE, ids=lambda c: f"U+{ord(c):04X}")
def test_a_character_that_hides_or_turns_text_is_left_out(character: str) -> None:
    assert legible(f"{character}a{character}雨{character}", 80) == "a雨"


def test_an_override_in_a_title_reaches_no_part_of_the_message() -> None:
    for text in texts_of(message_of("安い\u202eyen 9\u2067")):
        assert not set(TURNING) & set(text)


def test_a_text_written_from_right_to_left_is_set_apart_from_what_follows() -> None:
    title = "שלום 12"
    remarks = texts_of(message_of(title))[-1]
    assert remarks == f"理由: サークル「\u2068{title}\u2069」+25"


def test_a_cut_text_from_right_to_left_still_ends_its_direction() -> None:
    cut = legible("ש" * 100, 10)
    assert (cut[0], cut[-2:], len(cut)) == ("\u2068", "…\u2069", 10)


def test_a_title_of_invisible_characters_shows_the_works_id() -> None:
    for title in ("\u200b\u200b", "\u202e", " \u2060\n", "\u200d"):
        text, blocks = item_message(replace(RECORD, item=replace(ITEM, title=title)))
        assert text == ITEM.item_id
        assert texts_of(blocks)[0] == ITEM.item_id


def test_a_field_of_invisible_characters_is_not_shown() -> None:
    item = replace(ITEM, attributes={"circle": ["\u200b"]})
    assert not any("サークル" in text for text in texts_of(item_message(replace(RECORD, item=item))[1]))


def test_a_tower_of_marks_is_cut_to_what_a_letter_can_bear() -> None:
    assert legible("a" + "\u0301" * 1000 + "b", 80) == "a" + "\u0301" * MOST_MARKS + "b"
    assert legible("a" + "\u0301\u200b\u200d" * 1000 + "b", 80).count("\u0301") == MOST_MARKS


def test_joined_emoji_and_marks_of_japanese_stay() -> None:
    for text in ("👨‍👩‍👧 ❤️ 1️⃣", "か\u3099ぎ", "①㈱", "ｶﾞ"):
        assert legible(text, 80) == text


@given(st.text(st.characters(), max_size=200), st.integers(3, 100))
def test_any_text_is_legible_within_its_length(text: str, length: int) -> None:
    shown = legible(text, length)
    assert len(shown) <= length
    shown.encode()  # no half of a character
    inner = shown.removeprefix("\u2068").removesuffix("\u2069")
    assert all(c == "\n" or c in "\u200c\u200d" or unicodedata.category(c) not in {"Cc", "Cf"} for c in inner)


PAGE = """<html><head><meta property="og:url" content="https://evil.example/home/work/=/product_id/RJ01000001.html">
<link rel="canonical" href="https://evil.example/home/work/=/product_id/RJ01000001.html">
<meta property="og:image" content="https://evil.example/cover.jpg"></head><body>
<h1 id="work_name">{title}</h1>
<div class="product-slider-data"><div data-src="//evil.example/cover.jpg"></div></div>
<table id="work_maker"><tr><th>サークル名</th><td><span class="maker_name"><a href="https://evil.example/">青い栞</a></span>
</td></tr></table><table id="work_outline"><tr><th>ジャンル</th><td><div class="main_genre">
<a href="javascript:alert(1)">癒し</a></div></td></tr></table>
<div itemprop="description" class="work_parts_container"><p>{text}</p></div></body></html>"""


@pytest.mark.parametrize("address", ["https://evil.example/x", "https://www.dlsite.com.evil.example/x", "javascript:1"])
def test_links_and_images_stay_on_the_shops_hosts_whatever_the_page_says(address: str) -> None:
    page = PAGE.replace("https://evil.example/", address).format(title="雨", text="静かな雨です。")
    item = parse_work_page(page, ITEM.url)
    assert item.url == ITEM.url
    assert item.image_url is None
    assert "evil" not in str(item_message(replace(RECORD, item=item)))


def test_a_page_of_markup_in_its_texts_and_endless_titles_is_one_bounded_item() -> None:
    title = "&lt;script&gt;alert(1)&lt;/script&gt; &lt;!channel&gt; *b*" + "あ" * 100_000
    item = parse_work_page(PAGE.format(title=title, text="\u202e" + "い" * 100_000), ITEM.url)
    assert item.title.startswith("<script>alert(1)</script> <!channel> *b*")
    assert len(str(item.to_json()).encode()) < 200_000
    assert all(len(text) <= 310 for text in texts_of(item_message(replace(RECORD, item=item))[1]))
