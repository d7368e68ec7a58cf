from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Stores
from crawling import ANY_PAGE, DAY_ONE, DAY_THREE, DAY_TWO, LIMIT, LISTING, ROBOTS, Shop, dying_at, serve
from injector import altered

from crawler.fetcher import Fetcher, OutOfTime, Page
from crawler.progress import CrawlUnderWay
from osusume.snapshots import Snapshot, snapshot_key, write_snapshot
from samples.works import demo_works


@pytest.fixture
def shop(stores: Stores) -> Iterator[Shop]:
    with serve(stores, 8, 2) as shop:
        yield shop


# a whole crawl


def test_the_first_crawl_writes_all_listed_items_in_the_order_of_the_listing(shop: Shop) -> None:
    outcome = shop.turn()
    assert outcome.status == "written"
    assert shop.snapshots() == [outcome.snapshot_key] == ["snapshots/dlsite/2026/11/20/220000Z.json"]
    snapshot = shop.snapshot()
    assert [item.item_id for item in snapshot.items] == shop.listed()
    assert (snapshot.source, snapshot.failures) == ("dlsite", [])
    assert snapshot.crawled_at == datetime.fromtimestamp(int(shop.clock.now), UTC)


def test_a_snapshot_holds_what_the_pages_say(shop: Shop) -> None:
    shop.turn()
    on_sale = {entry.item.item_id: entry.item for entry in shop.site.entries()}
    for item in shop.snapshot().items:
        assert (item.title, item.price) == (on_sale[item.item_id].title, on_sale[item.item_id].price)
        assert item.sections


def test_the_first_crawl_asks_for_the_rules_the_listing_and_each_page_once(shop: Shop) -> None:
    outcome = shop.turn()
    rules, listing, *pages = shop.asked()
    assert rules == ROBOTS
    assert LISTING in listing
    assert len(pages) == 8
    assert shop.pages() == shop.listed()
    assert (outcome.requests, outcome.listed, outcome.failed) == (10, 8, 0)


def test_music_is_neither_listed_nor_read(shop: Shop) -> None:
    shop.turn()
    music = {entry.item.item_id for entry in shop.site.entries() if entry.work_type == "MUS"}
    assert music
    assert music.isdisjoint(shop.pages())
    assert music.isdisjoint(item.item_id for item in shop.snapshot().items)


def test_the_second_day_reads_only_the_new_pages(shop: Shop) -> None:
    shop.turn()
    first = shop.listed()
    shop.site.day = 2
    shop.log.clear()
    outcome = shop.turn(DAY_TWO)
    assert shop.pages() == shop.listed()[:2]
    assert outcome.requests == 2 + 2
    assert [item.item_id for item in shop.snapshot(DAY_TWO).items] == shop.listed()
    assert shop.listed()[2:] == first


def test_a_work_that_left_the_listing_and_came_back_is_not_read_again(shop: Shop) -> None:
    shop.turn()
    shop.site.day = 2
    shop.turn(DAY_TWO, item_limit=5)
    shop.log.clear()
    shop.turn(DAY_THREE)
    assert shop.pages() == []
    assert len(shop.snapshot(DAY_THREE).items) == 10


def test_the_same_time_again_writes_and_asks_for_nothing(shop: Shop) -> None:
    shop.turn()
    before = shop.snapshot()
    shop.log.clear()
    shop.site.day = 2
    outcome = shop.turn()
    assert (outcome.status, outcome.requests, shop.asked()) == ("already_written", 0, [])
    assert shop.snapshot() == before


def test_one_time_is_one_crawl_in_whatever_zone_it_is_given(shop: Shop) -> None:
    shop.turn()
    tokyo = datetime.fromisoformat("2026-11-21T07:00:00+09:00")
    assert shop.turn(tokyo).status == "already_written"


def test_no_more_items_are_taken_than_the_limit_allows(stores: Stores) -> None:
    with serve(stores, 23) as shop:
        shop.turn(item_limit=20)
        assert [item.item_id for item in shop.snapshot().items] == shop.listed()[:20]
        assert shop.pages() == shop.listed()[:20]


def test_more_items_than_a_page_lists_come_from_several_pages(stores: Stores) -> None:
    with serve(stores, 155) as shop:
        write_snapshot(  # the most of them are known, to save time
            stores.s3, stores.bucket, snapshot_key("dlsite", DAY_ONE), Snapshot("dlsite", DAY_ONE, demo_works()[:145])
        )
        outcome = shop.turn(DAY_TWO, item_limit=150)
        listings = [path for path in shop.asked() if LISTING in path]
        assert ["/page/1/" in listings[0], "/page/2/" in listings[1], len(listings)] == [True, True, 2]
        assert [item.item_id for item in shop.snapshot(DAY_TWO).items] == shop.listed()[:150]
        assert outcome.requests == 1 + 2 + 10


# turns


def test_a_crawl_that_does_not_fit_the_time_limit_ends_in_one_snapshot_with_each_page_read_once(
    stores: Stores,
) -> None:
    with serve(stores, 100, crawl_delay=10) as shop:
        outcomes = shop.turns(item_limit=100)
        assert len(outcomes) > 1
        assert outcomes[-1].status == "written"
        assert len(shop.snapshots()) == 1
        items = [item.item_id for item in shop.snapshot().items]
        assert items == shop.listed()[: len(items)]
        assert len(items) > 90  # the listing's hundred, less the music
        assert set(Counter(shop.asked()).values()) == {1}
        assert sum(outcome.requests for outcome in outcomes) == len(shop.log) == len(items) + 2


def test_a_turn_does_not_go_over_its_time(stores: Stores) -> None:
    with serve(stores, 8, crawl_delay=10) as shop:
        began = shop.clock.now
        assert shop.turn(seconds=100).status == "continues"
        assert shop.clock.now - began <= 100


def test_the_pace_is_held_within_turns_and_from_one_to_the_next(stores: Stores) -> None:
    with serve(stores, 8, crawl_delay=10) as shop:
        assert len(shop.turns(seconds=80)) > 1
        assert len(shop.log) == 10
        assert shop.shortest_pause() >= 10


def test_the_rules_are_read_once_though_a_turn_ends_right_after_them(stores: Stores) -> None:
    with serve(stores, 8, crawl_delay=10) as shop:
        assert shop.turn(seconds=45).requests == 1
        shop.turn()
        assert shop.asked().count(ROBOTS) == 1


def test_a_turn_does_not_ask_again_for_a_page_that_failed_in_an_earlier_turn(shop: Shop) -> None:
    missing = shop.listed()[0]
    shop.fail(altered(status=404), missing)
    assert shop.turn(seconds=45).status == "continues"
    assert shop.turn().status == "written"
    assert shop.pages().count(missing) == 1
    assert [failure.item_id for failure in shop.snapshot().failures] == [missing]


def test_a_turn_without_time_for_a_single_request_fails(shop: Shop) -> None:
    with pytest.raises(OutOfTime, match="s are left"):
        shop.turn(seconds=30)
    assert shop.asked() == []


def test_a_wait_longer_than_a_turn_ends_the_crawl_and_not_in_turns_for_ever(shop: Shop) -> None:
    shop.fail(altered(status=429, headers={"Retry-After": "3600"}), shop.listed()[5])
    assert shop.turn().status == "continues"
    with pytest.raises(OutOfTime):
        shop.turn()


def test_a_wait_of_days_that_the_site_asks_for_is_in_the_next_snapshot_and_in_no_later_one(stores: Stores) -> None:
    with serve(stores, 8, 2, 2) as shop:
        shop.fail(altered(status=429, headers={"Retry-After": "864000"}), shop.listed()[5])
        assert shop.turn().status == "continues"
        with pytest.raises(OutOfTime):  # no snapshot comes this day: the event is a dead letter
            shop.turn()
        shop.recover()
        for day, due_at in ((2, DAY_TWO), (3, DAY_THREE)):
            shop.site.day = day
            shop.turn(due_at)
        assert [shop.snapshot(due_at).long_wait for due_at in (DAY_TWO, DAY_THREE)] == [864_000, 0]


# crashes and doubles


def test_after_a_crash_the_retry_reads_only_the_page_in_flight_again(shop: Shop) -> None:
    with pytest.raises(RuntimeError):
        shop.turn(request_id="a", fetcher=dying_at(4))
    assert shop.turn(request_id="a").status == "written"
    again = {path: times for path, times in Counter(shop.asked()).items() if times > 1}
    in_flight = shop.listed()[3]
    assert [(in_flight in path, times) for path, times in again.items()] == [(True, 2)]
    assert [item.item_id for item in shop.snapshot().items] == shop.listed()


def test_the_pace_is_held_from_a_crash_to_its_retry(stores: Stores) -> None:
    with serve(stores, 8, crawl_delay=10) as shop:
        with pytest.raises(RuntimeError):
            shop.turn(request_id="a", fetcher=dying_at(4))
        shop.turn(request_id="a")
        assert shop.shortest_pause() >= 10


@pytest.mark.parametrize("due_at", [DAY_ONE, DAY_ONE + timedelta(minutes=1)])
def test_a_second_invocation_meanwhile_leaves_the_crawl_alone(shop: Shop, due_at: datetime) -> None:
    second: list[int] = []

    class Interrupted(Fetcher):
        def fetch(self, url: str) -> Page:
            if ANY_PAGE in url and not second:
                before = len(shop.log)
                with pytest.raises(CrawlUnderWay, match="invocation first"):
                    shop.turn(due_at, request_id="second")
                second.append(len(shop.log) - before)
            return super().fetch(url)

    assert shop.turn(request_id="first", fetcher=Interrupted).status == "written"
    assert second == [0]
    assert len(shop.log) == 10


def test_another_invocation_goes_on_when_the_time_of_the_dead_one_has_run_out(shop: Shop) -> None:
    with pytest.raises(RuntimeError):
        shop.turn(request_id="a", fetcher=dying_at(4))
    with pytest.raises(CrawlUnderWay):
        shop.turn(request_id="b")
    shop.clock.now = DAY_ONE.timestamp() + LIMIT + 1
    assert shop.turn(request_id="b").status == "written"
    assert len(shop.pages()) == 8 + 1


def test_the_retry_of_one_that_died_when_the_snapshot_was_written_frees_the_crawl(shop: Shop) -> None:
    def die(model: Any, params: dict[str, Any], **_: object) -> None:
        if "/crawls/" in params["url_path"] and shop.snapshots():
            raise KeyboardInterrupt

    events = shop.stores.s3.meta.events
    events.register("before-call.s3.PutObject", die)
    with pytest.raises(KeyboardInterrupt):
        shop.turn(request_id="a")
    events.unregister("before-call.s3.PutObject", die)
    assert shop.turn(request_id="a").status == "already_written"
    assert shop.turn(DAY_ONE + timedelta(seconds=1), request_id="b").status == "written"


def test_another_invocation_goes_on_at_once_after_one_that_could_not_write_its_snapshot(shop: Shop) -> None:
    def refuse(model: Any, params: dict[str, Any], **_: object) -> None:
        if "/snapshots/" in params["url_path"]:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, model.name)

    events = shop.stores.s3.meta.events
    events.register("before-call.s3.PutObject", refuse)
    with pytest.raises(ClientError):
        shop.turn(request_id="a")
    events.unregister("before-call.s3.PutObject", refuse)
    assert shop.turn(request_id="b").status == "written"
    assert len(shop.pages()) == 8


def test_the_crawl_of_the_next_day_lists_anew_after_one_that_never_ended(shop: Shop) -> None:
    with pytest.raises(RuntimeError):
        shop.turn(fetcher=dying_at(4))
    shop.site.day = 2
    shop.log.clear()
    assert shop.turn(DAY_TWO).status == "written"
    assert [item.item_id for item in shop.snapshot(DAY_TWO).items] == shop.listed()
    assert len(shop.pages()) == 10 - 3


# the check after a deployment


def test_a_check_reads_one_page_which_the_crawl_then_has_and_leaves_the_crawl_as_it_was(shop: Shop) -> None:
    assert shop.turn(seconds=45).status == "continues"
    newest = shop.check()
    assert newest.item_id == shop.listed()[0]
    shop.turns()
    assert sum(LISTING in path for path in shop.asked()) == 2, "the crawl goes on with the listing that it had"
    assert sorted(shop.pages()) == sorted(shop.listed())
    assert shop.shortest_pause() >= 1


def test_a_check_on_a_stack_that_never_crawled_costs_no_page_later(shop: Shop) -> None:
    checked = shop.check()
    assert shop.snapshots() == []
    shop.turn()
    assert shop.pages().count(checked.item_id) == 1
    assert [item.item_id for item in shop.snapshot().items] == shop.listed()
