"""Works slide out of a listing, pages fail, the shop is down: every work that was listed is read in the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from conftest import Stores
from crawling import ANY_PAGE, DAY_ONE, DAY_THREE, DAY_TWO, DLSITE, LISTING, Shop, dying_at, serve
from injector import Act, altered, rewritten

from crawler import listing
from crawler.crawl import BadCrawl
from crawler.fetcher import Fetcher, Page, Unavailable
from crawler.progress import CrawlUnderWay
from crawler.sources import dlsite_address
from crawler.sources.dlsite import DLsite
from local.shop import routes
from local.shop.entries import entries_on
from osusume.items import Item
from osusume.snapshots import GIVE_UP_DAYS, Failure
from samples.works import demo_works, generate_works

UNPARSABLE = altered(body=b"<html><body><h1>Something else</h1></body></html>")
DOWN = altered(status=503)


@pytest.fixture
def shop(stores: Stores) -> Iterator[Shop]:
    with serve(stores, 12, 15, 15, 15) as shop:
        yield shop


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for listings of 20 works a page, so that several pages do not take a hundred works."""
    monkeypatch.setattr(dlsite_address, "LISTING_SIZE", 20)


def day(number: int) -> datetime:
    return DAY_ONE + timedelta(days=number - 1)


def ids(items: Sequence[Item | Failure]) -> list[str]:
    return [item.item_id for item in items]


def new_on(shop: Shop, number: int) -> list[str]:
    """Return the ids of the works that came out on a day, newest first."""
    shop.site.day = number - 1
    before = set(shop.listed())
    shop.site.day = number
    return [item_id for item_id in shop.listed() if item_id not in before]


def listings(shop: Shop) -> int:
    return sum(LISTING in path for path in shop.asked())


# the listing


def test_more_new_works_than_the_limit_are_all_read(shop: Shop) -> None:
    shop.turn(item_limit=10)
    new = new_on(shop, 2)
    assert len(new) > 10
    shop.turn(DAY_TWO, item_limit=10)
    assert ids(shop.snapshot(DAY_TWO).items) == new
    assert not shop.snapshot(DAY_TWO).gap


def test_the_new_works_of_days_on_which_the_shop_was_down_are_read_afterwards(shop: Shop) -> None:
    shop.turn(item_limit=10)
    shop.fail(DOWN, "/")
    for number in (2, 3):
        shop.site.day = number
        with pytest.raises(Unavailable):
            shop.turn(day(number), item_limit=10)
    shop.recover()
    new = new_on(shop, 2) + new_on(shop, 3) + new_on(shop, 4)
    shop.turn(day(4), item_limit=10)
    assert sorted(ids(shop.snapshot(day(4)).items)) == sorted(new)


def test_works_that_were_on_sale_before_the_first_crawl_are_not_read(shop: Shop) -> None:
    shop.site.day = 2
    shop.turn(item_limit=10)
    first = shop.listed()[:10]
    shop.log.clear()
    new = new_on(shop, 3)
    shop.turn(DAY_TWO, item_limit=10)
    assert shop.pages() == new
    assert set(ids(shop.snapshot(DAY_TWO).items)) <= {*new, *first}


@pytest.mark.usefixtures("short_pages")
def test_the_listing_is_read_on_over_its_pages_until_it_reaches_what_is_known(stores: Stores) -> None:
    with serve(stores, 12, 26, 3) as shop:
        shop.site.works = generate_works(60, seed=3)
        shop.turn(item_limit=10)
        shop.log.clear()
        new = new_on(shop, 2)
        shop.turn(DAY_TWO, item_limit=10)
        assert ids(shop.snapshot(DAY_TWO).items) == new
        assert (listings(shop), shop.snapshot(DAY_TWO).gap) == (2, False)
        shop.log.clear()
        shop.site.day = 3
        shop.turn(DAY_THREE, item_limit=10)
        assert listings(shop) == 1


@pytest.mark.usefixtures("short_pages")
def test_a_listing_whose_pages_do_not_fit_one_turn_is_read_in_several(stores: Stores) -> None:
    with serve(stores, 12, 26, crawl_delay=10) as shop:
        shop.site.works = generate_works(60, seed=3)
        shop.turn(item_limit=1)
        new = new_on(shop, 2)
        shop.log.clear()
        turns = 0
        while listings(shop) < 2:
            assert shop.turn(DAY_TWO, item_limit=1, seconds=55).status == "continues"
            turns += 1
        shop.turn(DAY_TWO, item_limit=1, seconds=10_000)
        assert turns > 1
        assert ids(shop.snapshot(DAY_TWO).items) == new
        assert listings(shop) == 2


@pytest.mark.usefixtures("short_pages")
def test_a_listing_that_does_not_reach_what_is_known_is_said_to_have_a_gap(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LISTING_BOUND", 20)
    with serve(stores, 12, 24) as shop:
        shop.site.works = generate_works(40, seed=3)
        assert not shop.turn(item_limit=10).gap
        new = new_on(shop, 2)
        assert shop.turn(DAY_TWO, item_limit=10).gap
        snapshot = shop.snapshot(DAY_TWO)
        assert snapshot.gap
        assert ids(snapshot.items) == new[: len(snapshot.items)]
        assert len(snapshot.items) > 16


@pytest.mark.usefixtures("short_pages")
def test_a_known_work_that_is_listed_anew_does_not_end_the_listing(stores: Stores) -> None:
    with serve(stores, 12, 25) as shop:
        works = generate_works(40, seed=3)
        shop.site.works = works
        shop.turn(item_limit=10)
        again = next(work for work in works if work.item_id == shop.listed()[5])
        shop.site.works = [work for work in works[:36] if work != again] + [again]
        shop.site.days = [11, 25]
        new = [item_id for item_id in new_on(shop, 2) if item_id != again.item_id]
        shop.turn(DAY_TWO, item_limit=10)
        assert set(new) <= set(ids(shop.snapshot(DAY_TWO).items))


def test_the_first_crawl_of_another_floor_reads_no_more_than_the_limit(shop: Shop) -> None:
    shop.turn(item_limit=10)
    works = generate_works(60, seed=9)
    shop.site.works, shop.site.days, shop.site.day = works, [50], 1
    shop.log.clear()
    outcome = shop.turn(DAY_TWO, item_limit=10, source=DLsite("girls"))
    assert (len(shop.pages()), outcome.gap) == (10, False)
    shop.site.days, shop.site.day = [50, 9], 2
    shop.turn(DAY_THREE, item_limit=5, source=DLsite("girls"))
    assert len(shop.pages()) == 10 + len(new_on(shop, 2))


# what failed, and what was kept


def test_a_page_that_failed_is_asked_for_again_though_the_listing_has_it_no_longer(shop: Shop) -> None:
    missed = shop.listed()[0]
    shop.fail(UNPARSABLE, missed)
    shop.turn(item_limit=10)
    assert ids(shop.snapshot().failures) == [missed]
    shop.recover()
    shop.site.day = 2
    shop.site.works = [work for work in shop.site.works if work.item_id != missed]
    page = altered(status=200, body=page_of(missed))
    shop.fail(page, missed)
    shop.turn(DAY_TWO, item_limit=10)
    assert missed in ids(shop.snapshot(DAY_TWO).items)


def page_of(item_id: str) -> bytes:
    """Return the page of a work of the demo, on sale or not."""
    entries = entries_on(1, demo_works(), [len(demo_works())])
    return routes.page_at(routes.Shop(entries, 0), f"/home/work/=/product_id/{item_id}.html").get_data()


@pytest.mark.parametrize("is_progress_lost", [False, True])
def test_pages_kept_on_a_day_without_a_snapshot_are_in_a_later_one(shop: Shop, is_progress_lost: bool) -> None:
    first = shop.listed()[:10]
    shop.fail(UNPARSABLE, *first[6:10])
    with pytest.raises(BadCrawl):
        shop.turn(item_limit=10)
    shop.recover()
    if is_progress_lost:
        shop.stores.s3.delete_object(Bucket=shop.stores.bucket, Key="crawls/dlsite/crawl.json")
    gone = first[0]
    shop.site.day = 2
    shop.site.works = [work for work in shop.site.works if work.item_id != gone]
    shop.log.clear()
    shop.turn(DAY_TWO, item_limit=10)
    owed = {gone} if is_progress_lost else set(first)
    assert owed <= set(ids(shop.snapshot(DAY_TWO).items))
    assert gone not in shop.pages()


def test_a_page_that_fails_day_after_day_is_given_up_once_and_not_asked_for_again(shop: Shop) -> None:
    bad = shop.listed()[3]
    shop.fail(UNPARSABLE, bad)
    for number in range(1, GIVE_UP_DAYS + 1):
        shop.turn(day(number), item_limit=10)
        snapshot = shop.snapshot(day(number))
        assert (ids(snapshot.failures), snapshot.given_up) == ([bad], [])
    assert snapshot.failures[0].first_failed_at == DAY_ONE.isoformat()
    shop.turn(day(GIVE_UP_DAYS + 1), item_limit=10)
    assert ids(shop.snapshot(day(GIVE_UP_DAYS + 1)).given_up) == [bad]
    assert shop.pages().count(bad) == GIVE_UP_DAYS + 1
    for number in (GIVE_UP_DAYS + 2, GIVE_UP_DAYS + 3):
        shop.turn(day(number), item_limit=10)
        snapshot = shop.snapshot(day(number))
        assert (snapshot.failures, snapshot.given_up) == ([], [])
    assert shop.pages().count(bad) == GIVE_UP_DAYS + 1


# pages that are not what was asked for


def moved(item_id: str, floor: str) -> Act:
    address = f"https://www.dlsite.com/{floor}/work/=/product_id/{item_id}.html"
    return altered(status=302, headers={"Location": address}, body=b"")


def test_a_page_is_asked_for_in_japanese_also_where_it_moved_to_another_floor(shop: Shop) -> None:
    work = shop.listed()[0]
    shop.fail(moved(work, "girls"), f"/home/work/=/product_id/{work}")
    shop.turn(item_limit=10)
    asked = [path for path in shop.asked() if work in path]
    assert [path.split("/")[1] for path in asked] == ["home", "girls"]
    assert all(path.endswith("?locale=ja_JP") for path in asked)
    assert work in ids(shop.snapshot().items)


@pytest.mark.parametrize("is_redirect", [True, False])
def test_a_work_whose_address_leads_to_another_works_page_is_a_failure(shop: Shop, is_redirect: bool) -> None:
    one, other = shop.listed()[:2]
    if is_redirect:
        shop.fail(moved(other, "home"), f"product_id/{one}")
    else:
        shop.fail(altered(body=page_of(other)), f"product_id/{one}")
    shop.turn(item_limit=10)
    snapshot = shop.snapshot()
    assert ids(snapshot.items).count(other) == 1
    [failure] = snapshot.failures
    assert (failure.item_id, failure.error.split(":")[0]) == (one, "WrongPage")
    assert other in failure.error


def poor(html: bytes) -> bytes:
    """Return a page of a work without most of what it says: as after a change of the shop's markup."""
    return (
        html.replace("声優".encode(), b"Whatever")
        .replace("シナリオ".encode(), b"Something")
        .replace("ジャンル".encode(), b"Other")
        .replace(b"work_parts", b"parts_of_work")
        .replace(b"main_genre", b"genres_of_work")
        .replace(b"data-price", b"data-cost")
        .replace(b"work_price", b"cost_of_work")
        .replace(b"og:image", b"og:picture")
        .replace(b"data-src", b"data-picture")
    )


def test_a_crawl_whose_new_works_say_far_less_than_the_known_ones_is_bad(shop: Shop) -> None:
    shop.turn(item_limit=10)
    new = new_on(shop, 2)
    for item_id in new:
        shop.fail(rewritten(poor), f"product_id/{item_id}")
    with pytest.raises(BadCrawl, match="say far less"):
        shop.turn(DAY_TWO, item_limit=10)
    shop.recover()
    shop.turn(DAY_THREE, item_limit=10)
    items = {item.item_id: item for item in shop.snapshot(DAY_THREE).items}
    assert set(new) <= items.keys()
    assert all(items[item_id].sections for item_id in new)


def test_a_better_parser_reads_the_kept_pages_again_without_a_request(shop: Shop) -> None:
    @dataclass(frozen=True)
    class Better(DLsite):
        parser_version: int = DLSITE.parser_version + 1

        def parse_work_page(self, html: str, url: str) -> Item:
            item = DLSITE.parse_work_page(html, url)
            return replace(item, title=f"{item.title}！")

    shop.turn(item_limit=10)
    shop.log.clear()
    shop.turn(DAY_TWO, item_limit=10, source=Better())
    assert shop.pages() == []
    assert all(item.title.endswith("！") for item in shop.snapshot(DAY_TWO).items)


# pages that kill


@pytest.mark.parametrize("death", ["fetching", "parsing"])
def test_a_page_that_killed_two_turns_is_a_failure_and_the_rest_is_read(shop: Shop, death: str) -> None:
    deadly = shop.listed()[3]

    class Dying(Fetcher):
        def fetch(self, url: str) -> Page:
            found = super().fetch(url)
            if deadly in url and death == "fetching":
                raise RuntimeError
            return found

    class Deadly(DLsite):
        def parse_work_page(self, html: str, url: str) -> Item:
            if deadly in url and death == "parsing":
                raise RuntimeError
            return DLSITE.parse_work_page(html, url)

    for _ in range(2):
        with pytest.raises(RuntimeError):
            shop.turn(request_id="a", item_limit=10, fetcher=Dying, source=Deadly())
    assert shop.turn(request_id="a", item_limit=10, fetcher=Dying, source=Deadly()).status == "written"
    [failure] = shop.snapshot().failures
    assert (failure.item_id, failure.error.split(":")[0]) == (deadly, "DeadlyPage")
    assert len(shop.snapshot().items) == 9
    # each later morning gives it one more chance
    with pytest.raises(RuntimeError):
        shop.turn(DAY_TWO, request_id="b", item_limit=10, fetcher=Dying, source=Deadly())
    assert shop.turn(DAY_TWO, request_id="b", item_limit=10, fetcher=Dying, source=Deadly()).status == "written"


# one event, delivered twice


@pytest.mark.parametrize("page", [0, 1, 5])
def test_an_event_delivered_twice_at_once_with_one_request_id_keeps_the_pace(stores: Stores, page: int) -> None:
    with serve(stores, 8, crawl_delay=10) as shop:
        taken_over: list[Any] = []

        class Interrupted(Fetcher):
            fetched = 0

            def fetch(self, url: str) -> Page:
                found = super().fetch(url)
                self.fetched += ANY_PAGE in url
                if self.fetched == page and not taken_over:
                    taken_over.append(None)
                    taken_over.append(shop.turn(request_id="a"))
                return found

        with pytest.raises(CrawlUnderWay):
            shop.turn(request_id="a", fetcher=Interrupted)
        assert taken_over[1].status == "written"
        assert shop.shortest_pause() >= 10
        assert len(shop.log) <= 10 + 1
        assert ids(shop.snapshot().items) == shop.listed()


def test_a_turn_that_was_replaced_sends_nothing_more(stores: Stores) -> None:
    with serve(stores, 8) as shop:
        sent: list[int] = []

        class Replaced(Fetcher):
            def fetch(self, url: str) -> Page:
                if len(shop.pages()) == 3 and not sent:
                    sent.append(0)
                    with pytest.raises(RuntimeError):
                        shop.turn(request_id="a", fetcher=dying_at(1))
                    sent.append(len(shop.log))
                return super().fetch(url)

        with pytest.raises(CrawlUnderWay):
            shop.turn(request_id="a", fetcher=Replaced)
        assert len(shop.log) == sent[1]
