from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import protego
import pytest
import requests
from injector import Rule, altered, at, rules_of, slow

from crawler.sources.dlsite import RegionBlocked, parse_listing_page, parse_work_page
from local.shop.__main__ import main
from local.shop.entries import Entry, entries_on
from local.shop.pages import Locale, cover_svg, listing_page, page_form, work_page
from local.shop.site import Site, serve_site
from osusume.items import ATTRIBUTE_FIELDS, Item
from samples.works import DEMO_DAYS, demo_works, generate_works, made_up_taste

SHOP = "https://www.dlsite.com"
LISTING = "/home/works/type/=/work_type_category/audio/order/release_d/per_page/100/page/1/show_type/3"
FALLBACK_LISTING = "/home/fsr/=/language/jp/work_type_category[0]/audio/order/release_d/page/"


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_site() as served:
        yield served


def voice_works(entries: Sequence[Entry]) -> list[Item]:
    return [entry.item for entry in entries if entry.work_type == "SOU"]


def path_of(work: Item) -> str:
    return urlsplit(work.url).path


def test_the_demo_has_as_many_works_as_its_days_release() -> None:
    assert len(demo_works()) == sum(DEMO_DAYS)


def test_the_works_of_one_seed_are_always_the_same() -> None:
    assert generate_works(50, seed=3) == generate_works(50, seed=3)


def test_works_differ_in_title_and_id() -> None:
    works = generate_works(2000, seed=1)
    assert len({work.title for work in works}) == len({work.item_id for work in works}) == 2000


def test_works_come_oldest_first() -> None:
    dates = [work.published_on or "" for work in demo_works()]
    assert dates == sorted(dates)


def test_every_work_is_a_valid_item() -> None:
    for work in demo_works():
        assert Item.from_json(work.to_json()) == work
        assert set(work.attributes) <= set(ATTRIBUTE_FIELDS)
        assert work.values("circle")
        assert work.values("voice_actors")
        assert len(work.values("genres")) >= 3


def test_no_pattern_is_left_unfilled_in_a_work() -> None:
    for work in generate_works(500, seed=5):
        assert not {"{", "}"} & set(work.title + "".join(section.text for section in work.sections))


def test_the_made_up_owner_likes_about_three_works_in_ten() -> None:
    for works in (demo_works(), generate_works(1000, seed=2)):
        assert 0.2 <= sum(made_up_taste(work) for work in works) / len(works) <= 0.35


def test_the_made_up_owner_likes_sleeping_in_the_rain_and_no_comedy() -> None:
    works = generate_works(2000, seed=4)
    rainy = [made_up_taste(work) for work in works if {"雨音", "睡眠"} <= set(work.values("genres"))]
    comic = [made_up_taste(work) for work in works if "コメディ" in work.values("genres")]
    assert sum(rainy) / len(rainy) > 0.9
    assert sum(comic) / len(comic) < 0.15


def test_each_day_adds_its_works_on_top() -> None:
    works = demo_works()
    first, second = (voice_works(entries_on(day, works, DEMO_DAYS)) for day in (1, 2))
    assert second[: DEMO_DAYS[1]] == works[DEMO_DAYS[0] : DEMO_DAYS[0] + DEMO_DAYS[1]][::-1]
    assert second[DEMO_DAYS[1] :] == first


def test_the_last_day_shows_every_work_and_no_day_after_it_adds_any() -> None:
    works = demo_works()
    last = entries_on(len(DEMO_DAYS), works, DEMO_DAYS)
    assert voice_works(last) == works[::-1]
    assert entries_on(len(DEMO_DAYS) + 1, works, DEMO_DAYS) == last


def test_there_is_no_day_before_the_first() -> None:
    with pytest.raises(ValueError, match="no day 0"):
        entries_on(0, demo_works(), DEMO_DAYS)


@pytest.mark.parametrize("locale", ["ja_JP", "en_US"])
def test_every_page_of_a_work_reads_back_as_the_very_item(locale: Locale) -> None:
    works = demo_works()
    for work in works:
        page = work_page(Entry(work, "SOU"), locale, related=works[:3])
        assert parse_work_page(page, work.url) == work


def test_the_works_of_the_demo_have_pages_of_every_form() -> None:
    assert {page_form(work) for work in demo_works()} == {"2016", "2021", "2026"}


def test_markup_in_a_title_is_escaped_in_every_page() -> None:
    work = replace(demo_works()[0], title='<b title="x">雨 & 音</b>{{ 1 }}')
    assert parse_work_page(work_page(Entry(work, "SOU")), work.url).title == work.title
    assert parse_listing_page(listing_page([Entry(work, "SOU")], 1, 1, []), LISTING)[0].title == work.title
    assert "&lt;b" in cover_svg(work)


def test_the_listing_names_the_newest_hundred_without_music(site: Site) -> None:
    listed = parse_listing_page(requests.get(site.address + LISTING, timeout=5).text, SHOP + LISTING)
    newest = [entry.item for entry in site.entries()[:100] if entry.work_type == "SOU"]
    assert [(item.item_id, item.url, item.title) for item in listed] == [(w.item_id, w.url, w.title) for w in newest]
    assert 0 < len(listed) < 100


def test_the_fallback_listing_has_thirty_entries_a_page_and_an_end(site: Site) -> None:
    pages = [requests.get(site.address + FALLBACK_LISTING + str(page), timeout=5).text for page in (1, 2, 9)]
    listed = [parse_listing_page(page, SHOP + FALLBACK_LISTING) for page in pages]
    newest = [entry.item.item_id for entry in site.entries()[:60] if entry.work_type == "SOU"]
    assert [item.item_id for item in listed[0] + listed[1]] == newest
    assert listed[2] == []


def test_setting_the_day_changes_what_is_served(site: Site) -> None:
    new = site.works[DEMO_DAYS[0]]
    assert requests.get(site.address + path_of(new), timeout=5).status_code == 404
    site.day = 2
    assert parse_work_page(requests.get(site.address + path_of(new), timeout=5).text, new.url) == new


def test_a_work_that_the_shop_does_not_have_is_a_404_with_its_error_box(site: Site) -> None:
    response = requests.get(f"{site.address}/home/work/=/product_id/RJ01000000.html", timeout=5)
    assert response.status_code == 404
    with pytest.raises(RegionBlocked):
        parse_work_page(response.text, response.url)


def test_robots_txt_asks_for_the_crawl_delay_and_allows_the_listing(site: Site) -> None:
    rules = protego.Protego.parse(requests.get(f"{site.address}/robots.txt", timeout=5).text)
    assert rules.crawl_delay("osusume") == site.crawl_delay
    assert rules.can_fetch(SHOP + LISTING, "osusume")
    assert not rules.can_fetch(f"{SHOP}/home/fsr/=/order/release_d/per_page/100/page/2/", "osusume")


def test_the_json_address_gives_prices_and_creators_without_a_description(site: Site) -> None:
    work = site.entries()[0].item
    address = f"{site.address}/home/api/=/product.json?workno={work.item_id}"
    product = requests.get(address, timeout=5).json()[0]
    assert product["price"] == work.price
    assert [creator["name"] for creator in product["creaters"]["voice_by"]] == work.values("voice_actors")
    assert product["work_parts"] == []


def test_a_work_has_a_cover(site: Site) -> None:
    work = site.entries()[0].item
    response = requests.get(site.address + urlsplit(work.image_url or "").path, timeout=5)
    assert response.headers["Content-Type"] == "image/svg+xml"


def test_requests_are_logged_until_the_log_is_cleared(site: Site) -> None:
    requests.get(f"{site.address}/robots.txt?x=1", timeout=5)
    requests.get(f"{site.address}/nowhere", timeout=5)
    assert site.log == [("GET", "/robots.txt?x=1", 200), ("GET", "/nowhere", 404)]
    site.clear_log()
    assert site.log == []


def test_a_fault_changes_what_it_names_and_only_where_it_fits(site: Site) -> None:
    rules_of(site).append(Rule(at("robots"), altered(status=503, headers={"Retry-After": "7"})))
    rules_of(site).append(Rule(at("nowhere"), altered(status=202, body=b"wait")))
    faulty = requests.get(f"{site.address}/robots.txt", timeout=5)
    assert (faulty.status_code, faulty.headers["Retry-After"]) == (503, "7")
    assert "Crawl-delay" in faulty.text
    assert requests.get(f"{site.address}/nowhere", timeout=5).text == "wait"
    assert requests.get(site.address + LISTING, timeout=5).status_code == 200


def test_a_delayed_answer_outlasts_an_impatient_client(site: Site) -> None:
    rules_of(site).append(Rule(at("robots"), slow(0.5)))
    with pytest.raises(requests.Timeout):
        requests.get(f"{site.address}/robots.txt", timeout=0.05)


def test_the_command_tells_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(option in told for option in ("--day", "--crawl-delay", "--port"))


def test_the_command_names_a_port_in_use_and_the_remedy(site: Site) -> None:
    port = site.address.rpartition(":")[2]
    with pytest.raises(SystemExit, match=f"port {port} .* choose another with --port"):
        main(["--port", port])
