import re
import time
from pathlib import Path

import pytest

from crawler.sources import ListedItem, SourceError
from crawler.sources.dlsite import (
    NotAListingPage,
    cookies,
    fallback_listing_urls,
    listing_total,
    listing_urls,
    parse_listing_page,
    work_url,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "dlsite"
URL = (
    "https://www.dlsite.com/home/works/type/=/work_type_category/audio/order/release_d/per_page/100/page/1/show_type/3"
)


def fixture(name: str) -> str:
    return (FIXTURES / f"{name}.html").read_text(encoding="utf-8")


def ids(html: str, url: str = URL) -> list[str]:
    return [item.item_id for item in parse_listing_page(html, url)]


def row(item_id: str, attributes: str = "") -> str:
    return (
        f'<li class="search_result_img_box_inner" {attributes}><dd class="work_name">'
        f'<a href="/home/work/=/product_id/{item_id}.html" title="題 {item_id}">題…</a></dd></li>'
    )


def listing(*rows: str) -> str:
    return f'<html><body><ul id="search_result_img_box">{"".join(rows)}</ul></body></html>'


def test_a_listing_of_2026_gives_its_works_in_order_without_music_repeats_and_decoys() -> None:
    assert ids(fixture("listing_2026")) == ["RJ01500101", "RJ01500088", "BJ01500003", "RJ386541"]


def test_the_title_is_whole_where_the_shown_text_is_cut() -> None:
    titles = [item.title for item in parse_listing_page(fixture("listing_2026"), URL)]
    assert titles[1] == "【耳で巡る】標高二千メートルの山小屋ラジオ ～薪ストーブと星の数え方、それから帰り道のこと～"
    assert titles[3] == "おやすみ前の深呼吸 & ストレッチ"


def test_a_listing_of_2022_gives_ids_from_links_and_canonical_addresses() -> None:
    assert parse_listing_page(fixture("listing_2022"), URL) == [
        ListedItem(
            "RJ387001",
            "https://www.dlsite.com/home/work/=/product_id/RJ387001.html",
            "灯台守のおばあさんが語る、海の昔ばなし",
        ),
        ListedItem(
            "RJ386950",
            "https://www.dlsite.com/home/work/=/product_id/RJ386950.html",
            "はじめての星座さがし・冬の章",
        ),
    ]


def test_a_listing_as_a_table_is_read() -> None:
    items = parse_listing_page(fixture("listing_table"), URL)
    assert [(item.item_id, item.title) for item in items] == [
        ("RJ01502001", "渡り鳥の地図帳"),
        ("RJ01502003", "渡り鳥の休憩時間"),
    ]


def test_the_fallback_listing_gives_the_works_of_its_30_rows_that_are_no_music() -> None:
    found = ids(fixture("listing_fallback"))
    assert len(found) == 26
    assert found[:4] == ["RJ01510130", "RJ01510129", "RJ01510128", "RJ01510127"]


def test_an_empty_result_is_an_empty_list() -> None:
    assert parse_listing_page(fixture("listing_empty"), URL) == []


def test_an_empty_result_stays_empty_when_a_ranking_stands_beside_it() -> None:
    ranking = (
        '<table class="work_1col_table"><tr><td class="work_name"><a href="/home/work/=/product_id/RJ123456.html">x</a>'
    )
    html = fixture("listing_empty").replace("</body>", f"{ranking}</table></body>")
    assert parse_listing_page(html, URL) == []


def test_a_listing_of_music_alone_is_empty() -> None:
    music = '<div class="work_category type_MUS"></div>'
    assert parse_listing_page(listing(row("RJ123456").replace("<dd", f"{music}<dd", 1)), URL) == []


@pytest.mark.parametrize("name", ["challenge", "work_2026", "work_region_blocked"])
def test_a_page_that_is_no_listing_is_refused(name: str) -> None:
    with pytest.raises(NotAListingPage, match=re.escape(URL)):
        parse_listing_page(fixture(name), URL)


@pytest.mark.parametrize(
    "html",
    [
        "",
        "メンテナンス中",
        "<html><body><form action='/login'></form></body></html>",
        listing(),
        listing("<li>作品</li>"),
    ],
)
def test_a_page_without_a_readable_work_is_refused(html: str) -> None:
    with pytest.raises(NotAListingPage):
        parse_listing_page(html, URL)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_listing_that_is_cut_off_is_refused(share: float) -> None:
    html = fixture("listing_2026")
    with pytest.raises(NotAListingPage, match="cut off"):
        parse_listing_page(html[: int(len(html) * share)], URL)


def test_not_a_listing_page_is_a_source_error() -> None:
    assert issubclass(NotAListingPage, SourceError)


def test_the_id_of_the_row_counts_and_is_in_upper_case() -> None:
    assert ids(listing(row("RJ111111", 'data-list_item_product_id="rj01222222"'))) == ["RJ01222222"]


def test_a_row_without_class_is_known_by_the_name_in_it() -> None:
    html = listing(row("RJ111111").replace("search_result_img_box_inner", ""), row("RJ222222"))
    assert ids(html) == ["RJ111111", "RJ222222"]


def test_rows_can_be_divs_within_wrappers() -> None:
    html = listing("<div><div>", row("RJ111111").replace("li", "div"), "</div>", row("RJ222222"), "</div>")
    assert ids(html) == ["RJ111111", "RJ222222"]


def test_rows_whose_end_tags_are_missing_are_all_read() -> None:
    assert ids(listing(*(row(f"RJ00000{n}").replace("</dd></li>", "") for n in range(1, 6)))) == [
        f"RJ00000{n}" for n in range(1, 6)
    ]


def test_rows_nested_without_end_are_refused_at_once() -> None:
    nested = [row(f"RJ{n:06}").replace("li", "div").replace("</dd></div>", "<b></b>" * 9) for n in range(240)]
    started = time.process_time()
    with pytest.raises(NotAListingPage, match="within each other"):
        ids(listing(*nested))
    assert time.process_time() - started < 5


def test_a_container_shown_while_loading_does_not_hide_the_real_one() -> None:
    html = listing(row("RJ111111")).replace(
        "<body>", '<body><ul id="search_result_img_box"><li class="skeleton"></li></ul>'
    )
    assert ids(html) == ["RJ111111"]


@pytest.mark.parametrize(
    "href",
    [
        "/maniax/work/=/product_id/RJ111111.html",
        "//www.dlsite.com/maniax/work/=/product_id/RJ111111.html",
        "http://www.dlsite.com/maniax/work/=/product_id/RJ111111.html",
        "https://www.dlsite.com/maniax/work/=/product_id/RJ111111.html?locale=ja_JP&amp;a=1",
        "https://www.dlsite.com/maniax/work/=/product_id/rj111111.html/?translation=1#top",
    ],
)
def test_every_form_of_a_link_gives_the_canonical_address(href: str) -> None:
    html = listing(row("RJ111111").replace("/home/work/=/product_id/RJ111111.html", href))
    assert parse_listing_page(html, URL)[0].url == "https://www.dlsite.com/maniax/work/=/product_id/RJ111111.html"


def test_a_link_to_another_host_is_never_followed() -> None:
    foreign = row("RJ111111").replace("/home/", "https://www.dlsite.com.example/home/")
    assert ids(listing(foreign, row("RJ222222"))) == ["RJ222222"]
    marked = foreign.replace("<li", '<li data-list_item_product_id="RJ111111"')
    assert (
        parse_listing_page(listing(marked), URL)[0].url == "https://www.dlsite.com/home/work/=/product_id/RJ111111.html"
    )


def test_an_announced_work_keeps_its_kind_of_address() -> None:
    item = parse_listing_page(listing(row("RJ111111").replace("/work/", "/announce/")), URL)[0]
    assert item.url == "https://www.dlsite.com/home/announce/=/product_id/RJ111111.html"


@pytest.mark.parametrize(
    ("html", "total"),
    [
        ('<script>{"pager":{"have_to_paginate":true,"count":12345}}</script>', 12345),
        ('<div :state="{&quot;pager&quot;: {&quot;count&quot;: 7}}"></div>', 7),
        ('<div class="page_total"><strong>3,912</strong>件</div>', 3912),
        ('<div class="page_total"><strong>{{ total }}</strong></div>', None),
        ("", None),
    ],
)
def test_the_total_is_read_from_the_script_or_the_page(html: str, total: int | None) -> None:
    assert listing_total(html) == total


def test_a_listed_item_survives_the_saved_progress() -> None:
    item = ListedItem("RJ111111", "https://www.dlsite.com/home/work/=/product_id/RJ111111.html", "")
    assert ListedItem.from_json(item.to_json()) == item


@pytest.mark.parametrize(
    "value", [None, [], {}, {"item_id": "RJ1", "url": "", "title": ""}, {"item_id": 1, "url": "u"}]
)
def test_a_saved_listed_item_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="listed item"):
        ListedItem.from_json(value)


def test_as_many_listing_pages_are_asked_for_as_the_limit_needs() -> None:
    assert listing_urls("home", 100) == [URL]
    assert [url.partition("/page/")[2] for url in listing_urls("home", 101)] == ["1/show_type/3", "2/show_type/3"]
    assert len(fallback_listing_urls("maniax", 100)) == 4
    assert listing_urls("home", 0) == []


def test_a_work_is_asked_for_in_japanese() -> None:
    assert work_url("home", "rj01234567") == (
        "https://www.dlsite.com/home/work/=/product_id/RJ01234567.html?locale=ja_JP"
    )


@pytest.mark.parametrize(
    ("floor", "item_id"), [("../cart", "RJ123456"), ("", "RJ123456"), ("home", "RJ12345"), ("home", "x")]
)
def test_an_address_is_made_of_a_floor_and_an_id_alone(floor: str, item_id: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        work_url(floor, item_id)


def test_floors_that_ask_for_the_visitors_age_get_the_cookie() -> None:
    assert cookies("home") == {}
    assert cookies("maniax") == {"adultchecked": "1"}
