import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Stores
from crawling import (
    ANSWER_SECONDS,
    ANY_PAGE,
    DAY_ONE,
    DAY_TWO,
    FALLBACK_LISTING,
    LISTING,
    ROBOTS,
    Shop,
    dying_at,
    serve,
)
from injector import Act, altered

from crawler.crawl import TROUBLES_IN_A_ROW, BadCrawl
from crawler.fetcher import CHALLENGE_WAIT, Challenged, Unavailable
from osusume.snapshots import Snapshot, snapshot_key, write_snapshot
from samples.works import demo_works

FIXTURES = Path(__file__).parents[1] / "fixtures" / "dlsite"
CHALLENGE = altered(status=202, body=(FIXTURES / "challenge.html").read_bytes())
REGION_BLOCKED = altered(body=(FIXTURES / "work_region_blocked.html").read_bytes())
UNPARSABLE = altered(body=b"<html><body><h1>Something else</h1></body></html>")
EMPTY_LISTING = altered(body=(FIXTURES / "listing_empty.html").read_bytes())
GONE = altered(status=404)
DOWN = altered(status=503)


@pytest.fixture
def shop(stores: Stores) -> Iterator[Shop]:
    with serve(stores, 8, 2) as shop:
        yield shop


# bad listings


def test_a_listing_cut_short_makes_no_snapshot(stores: Stores) -> None:
    with serve(stores, 100) as shop:
        write_snapshot(
            stores.s3, stores.bucket, snapshot_key("dlsite", DAY_ONE), Snapshot("dlsite", DAY_ONE, demo_works()[:100])
        )
        shop.site.works = shop.site.works[-3:]
        with pytest.raises(BadCrawl, match="the listing has 3 works, at least 50"):
            shop.turn(DAY_TWO, item_limit=100)
        assert shop.snapshots() == [snapshot_key("dlsite", DAY_ONE)]
        assert shop.pages() == []


def test_an_empty_listing_makes_no_snapshot_and_is_read_anew_on_the_next_try(shop: Shop) -> None:
    shop.fail(EMPTY_LISTING, LISTING)
    with pytest.raises(BadCrawl, match="the listing has 0 works"):
        shop.turn()
    assert shop.snapshots() == []
    shop.recover()
    assert shop.turn().listed == 8


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        (LISTING, GONE),
        (LISTING, UNPARSABLE),
        (ROBOTS, altered(body=b"User-agent: *\nDisallow: /*/works/\n")),
    ],
    ids=["gone", "changed", "disallowed"],
)
def test_a_listing_that_cannot_be_read_is_replaced_by_its_other_form(shop: Shop, place: str, fault: Act) -> None:
    shop.fail(fault, place)
    shop.turn()
    assert any(FALLBACK_LISTING in path for path in shop.asked())
    assert [item.item_id for item in shop.snapshot().items] == shop.listed()


def test_a_site_that_is_down_makes_no_snapshot_and_one_request_with_its_retries(shop: Shop) -> None:
    shop.fail(DOWN, "/")
    with pytest.raises(Unavailable):
        shop.turn()
    assert shop.snapshots() == []
    assert set(shop.asked()) == {ROBOTS}


# bad pages


def test_a_challenge_stops_the_crawl_and_what_was_read_is_kept(shop: Shop) -> None:
    challenged = shop.listed()[4]
    shop.fail(CHALLENGE, challenged)
    with pytest.raises(Challenged, match=challenged):
        shop.turn()
    assert shop.snapshots() == []
    assert shop.pages() == [*shop.listed()[:5], challenged]
    shop.recover()
    shop.log.clear()
    ended = shop.clock.now
    assert shop.turn().status == "written"
    assert shop.pages() == shop.listed()[4:]
    assert shop.log.times[0] - ended >= CHALLENGE_WAIT - ANSWER_SECONDS


def test_a_crawl_in_which_half_of_the_pages_cannot_be_read_makes_no_snapshot(shop: Shop) -> None:
    broken = shop.listed()[::2]
    shop.fail(UNPARSABLE, *broken)
    with pytest.raises(BadCrawl, match="4 of 8 new pages could not be read; the last: NotAWorkPage"):
        shop.turn()
    assert shop.snapshots() == []
    # the next try reads only the pages that failed
    shop.recover()
    shop.log.clear()
    shop.turn()
    assert shop.pages() == broken
    assert ([item.item_id for item in shop.snapshot().items], shop.snapshot().failures) == (shop.listed(), [])


def redirected(address: str) -> Act:
    return altered(status=302, headers={"Location": address}, body=b"")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (UNPARSABLE, "NotAWorkPage"),
        (REGION_BLOCKED, "RegionBlocked"),
        (GONE, "NotFound"),
        (DOWN, "Unavailable"),
        (redirected("https://example.com/"), "ForeignHost"),
    ],
    ids=["unparsable", "region-blocked", "gone", "down", "elsewhere"],
)
def test_a_page_that_fails_is_listed_as_a_failure_and_tried_again_the_next_day(
    shop: Shop, fault: Act, error: str
) -> None:
    bad = shop.listed()[3]
    shop.fail(fault, bad)
    assert shop.turn().failed == 1
    snapshot = shop.snapshot()
    assert [item.item_id for item in snapshot.items] == [item_id for item_id in shop.listed() if item_id != bad]
    [failure] = snapshot.failures
    assert (failure.item_id, failure.error.split(":")[0]) == (bad, error)
    assert failure.url == f"https://www.dlsite.com/home/work/=/product_id/{bad}.html"
    shop.recover()
    shop.log.clear()
    shop.turn(DAY_TWO)
    assert shop.pages() == [bad]
    snapshot = shop.snapshot(DAY_TWO)
    assert ([item.item_id for item in snapshot.items], snapshot.failures) == (shop.listed(), [])


@pytest.mark.parametrize("fault", [REGION_BLOCKED, GONE], ids=["region-blocked", "gone"])
def test_works_that_are_not_for_this_region_do_not_spoil_the_crawl(shop: Shop, fault: Act) -> None:
    hidden = shop.listed()[1:7]
    shop.fail(fault, *hidden)
    assert shop.turn().status == "written"
    assert [failure.item_id for failure in shop.snapshot().failures] == hidden


@pytest.mark.parametrize("fault", [REGION_BLOCKED, UNPARSABLE], ids=["region-blocked", "unparsable"])
def test_works_that_failed_the_day_before_do_not_spoil_a_day_with_nothing_new(stores: Stores, fault: Act) -> None:
    with serve(stores, 24) as shop:
        bad = shop.listed()[::4]
        shop.fail(fault, *bad)
        shop.turn()
        assert shop.turn(DAY_TWO).status == "written"
        assert [failure.item_id for failure in shop.snapshot(DAY_TWO).failures] == bad


def test_a_site_that_fails_page_after_page_is_left_alone(shop: Shop) -> None:
    shop.fail(UNPARSABLE, ANY_PAGE)
    with pytest.raises(BadCrawl):
        shop.turn()
    assert shop.pages() == shop.listed()[:TROUBLES_IN_A_ROW]
    assert shop.snapshots() == []


def test_a_shop_that_hides_every_work_from_this_region_makes_no_snapshot(shop: Shop) -> None:
    shop.fail(REGION_BLOCKED, ANY_PAGE)
    with pytest.raises(BadCrawl, match="8 of 8 new pages could not be read; the last: RegionBlocked"):
        shop.turn()
    assert shop.snapshots() == []


# bad objects in the bucket


def break_objects(shop: Shop, chosen: Callable[[str], bool], body: bytes = b"{ not JSON") -> None:
    for key in filter(chosen, shop.keys_in_bucket()):
        shop.stores.s3.put_object(Bucket=shop.stores.bucket, Key=key, Body=body)


@pytest.mark.parametrize("body", [b"{ not JSON", json.dumps({"schema_version": 99}).encode()], ids=["text", "version"])
def test_the_kept_pages_stand_in_for_a_snapshot_that_cannot_be_read(shop: Shop, body: bytes) -> None:
    shop.turn()
    break_objects(shop, lambda key: key.startswith("snapshots/"), body)
    shop.log.clear()
    outcome = shop.turn(DAY_TWO)
    assert (outcome.requests, shop.pages()) == (2, [])
    assert [item.item_id for item in shop.snapshot(DAY_TWO).items] == shop.listed()


def test_a_kept_page_that_cannot_be_read_is_fetched_again(shop: Shop) -> None:
    with pytest.raises(RuntimeError):
        shop.turn(request_id="a", fetcher=dying_at(4))
    spoilt = shop.listed()[0]
    break_objects(shop, lambda key: spoilt in key)
    shop.turn(request_id="a")
    assert shop.pages().count(spoilt) == 2
    assert [item.item_id for item in shop.snapshot().items] == shop.listed()


def test_progress_that_cannot_be_read_begins_the_crawl_anew_with_the_pages_kept(shop: Shop) -> None:
    with pytest.raises(RuntimeError):
        shop.turn(fetcher=dying_at(4))
    break_objects(shop, lambda key: "/pages/" not in key)
    assert shop.turn().status == "written"
    assert len(shop.pages()) == 8 + 1


def test_unfinished_work_lies_under_crawls_alone(shop: Shop) -> None:
    assert shop.turn(seconds=45).status == "continues"
    with pytest.raises(RuntimeError):
        shop.turn(request_id="a", fetcher=dying_at(1))
    shop.fail(UNPARSABLE, ANY_PAGE)
    with pytest.raises(BadCrawl):
        shop.turn(request_id="a")
    assert {key.split("/")[0] for key in shop.keys_in_bucket()} == {"crawls"}
