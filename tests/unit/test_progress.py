import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from conftest import Stores

from crawler.progress import Crawls, CrawlUnderWay, Pace, Progress
from crawler.sources import ListedItem, SourceError
from osusume.items import Item, Section
from osusume.snapshots import Failure

HOST = "www.dlsite.com"
DUE, NEXT_DUE = "2026-11-20T22:00:00+00:00", "2026-11-21T22:00:00+00:00"
ITEM = Item("RJ09000001", "dlsite", "https://www.dlsite.com/", "雨の図書館", sections=[Section(None, "雨。")])


def crawls(stores: Stores) -> Crawls:
    return Crawls(stores.s3, stores.bucket, "dlsite")


def handed_over(stores: Stores) -> Progress:
    """Return the progress of a turn that ended as it should."""
    turn = crawls(stores)
    progress = turn.begin(DUE, "a", now=0, held_until=900)
    progress.listed = [ListedItem(ITEM.item_id, ITEM.url, ITEM.title)]
    progress.failures, progress.troubles = [Failure("RJ09000002", ITEM.url, "TimedOut: late")], 1
    progress.paces = {HOST: Pace("", 880.5, 1000.0)}
    progress.holder = ""
    turn.save(progress)
    return progress


def test_the_next_turn_goes_on_where_the_last_one_handed_over(stores: Stores) -> None:
    expected = handed_over(stores)
    expected.holder, expected.held_until = "b", 1800
    assert crawls(stores).begin(DUE, "b", now=900, held_until=1800) == expected


def test_a_new_crawl_keeps_the_pace_of_the_last_one_and_owes_what_that_one_listed(stores: Stores) -> None:
    listed = handed_over(stores).listed
    assert crawls(stores).begin(NEXT_DUE, "b", now=900, held_until=1800) == Progress(
        NEXT_DUE, {HOST: Pace(None, 880.5, 1000.0)}, holder="b", held_until=1800, owed=listed
    )


def test_a_crawl_whose_invocation_died_is_resumed_as_if_a_request_had_just_been_sent(stores: Stores) -> None:
    turn = crawls(stores)
    progress = turn.begin(DUE, "a", now=0, held_until=900)
    progress.listed = [ListedItem(ITEM.item_id, ITEM.url, ITEM.title)]
    progress.paces = {HOST: Pace("", 3.0)}
    turn.save(progress)
    retry = crawls(stores).begin(DUE, "a", now=60, held_until=960)
    assert (retry.listed, retry.paces) == (progress.listed, {HOST: Pace("", 60)})


def test_a_crawl_stored_when_sources_had_one_host_keeps_its_pace_and_what_it_owes(stores: Stores) -> None:
    stored = asdict(handed_over(stores))
    older = {**{name: stored[name] for name in ("due_at", "listed", "failures")}, "not_before": 1000.0}
    stores.s3.put_object(Bucket=stores.bucket, Key="crawls/dlsite/crawl.json", Body=json.dumps(older).encode())
    taken_up = crawls(stores).begin(NEXT_DUE, "b", now=900, held_until=1800)
    assert (taken_up.owed, taken_up.paces) == (
        [ListedItem(ITEM.item_id, ITEM.url, ITEM.title)],
        {"": Pace(None, None, 1000.0)},
    )


def test_of_two_that_take_up_a_crawl_at_the_same_moment_one_leaves_it_alone(stores: Stores) -> None:
    handed_over(stores)
    first, second = crawls(stores), crawls(stores)
    progress = first.begin(DUE, "b", now=900, held_until=1800)
    second.begin(DUE, "c", now=1801, held_until=2700)
    with pytest.raises(CrawlUnderWay):
        first.save(progress)


def test_of_two_that_begin_the_very_first_crawl_at_the_same_moment_one_leaves_it_alone(stores: Stores) -> None:
    first, second = crawls(stores), crawls(stores)
    first.save(Progress(DUE, holder="a"))
    with pytest.raises(CrawlUnderWay):
        second.save(Progress(DUE, holder="b"))


def test_a_page_comes_back_as_it_was_kept(stores: Stores) -> None:
    crawls(stores).keep_page(ITEM.item_id, ITEM)
    assert crawls(stores).page(ITEM.item_id) == ITEM


def test_a_page_never_read_is_not_there(stores: Stores) -> None:
    assert crawls(stores).page(ITEM.item_id) is None


def test_a_save_whose_answer_is_lost_and_that_the_client_sends_again_is_one_save(stores: Stores) -> None:
    def send_twice(params: dict[str, Any], **_: object) -> None:
        # as after a broken connection: the first time did its work, and the second meets it
        stores.s3.meta.events.unregister("before-call.s3.PutObject", send_twice)
        stores.s3.put_object(Bucket=stores.bucket, Key="crawls/dlsite/crawl.json", Body=params["body"])

    turn = crawls(stores)
    progress = turn.begin(DUE, "a", now=0, held_until=900)
    stores.s3.meta.events.register("before-call.s3.PutObject", send_twice)
    progress.troubles = 1
    turn.save(progress)
    progress.troubles = 2
    turn.save(progress)
    assert crawls(stores).begin(DUE, "a", now=1, held_until=901).troubles == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"held_until": "soon"},
        {"paces": {HOST: {"not_before": None}}},
        {"paces": {HOST: {"last_request_at": []}}},
        {"paces": {HOST: {"robots_txt": 0}}},
        {"paces": {HOST: {"unknown": 0}}},
        {"paces": []},
        {"documents": {"https://example.com/feed": {"etag": 0}}},
        {"documents": {"https://example.com/feed": {"item_ids": [0]}}},
        {"documents_read": [0]},
        {"troubles": {}},
        {"owed": 1},
        {"found": [None]},
        {"given_up": 7},
        {"doubtful": [{}]},
        {"deaths": ["RJ09000001"]},
        {"deaths": {"RJ09000001": "two"}},
        {"in_flight": None},
        {"pages_listed": "1"},
    ],
    ids=str,
)
def test_progress_with_a_value_of_another_type_begins_the_crawl_anew(
    stores: Stores, changes: dict[str, object]
) -> None:
    stored = {**asdict(handed_over(stores)), **changes}
    stores.s3.put_object(Bucket=stores.bucket, Key="crawls/dlsite/crawl.json", Body=json.dumps(stored).encode())
    assert crawls(stores).begin(DUE, "b", now=900, held_until=1800).listed == []


def test_a_second_delivery_of_one_event_takes_the_crawl_over_from_the_first(stores: Stores) -> None:
    first, second = crawls(stores), crawls(stores)
    progress = first.begin(DUE, "a", now=0, held_until=900)
    taken_over = second.begin(DUE, "a", now=0, held_until=900)
    with pytest.raises(CrawlUnderWay):
        first.save(progress)
    second.save(taken_over)


def test_a_page_that_an_older_parser_read_is_read_again_from_what_was_kept(stores: Stores) -> None:
    crawls(stores).keep_page(ITEM.item_id, ITEM, "<p>雨</p>", ITEM.url, parser_version=2)
    better = replace(ITEM, price=100)

    def parse(html: str, url: str) -> Item:
        assert (html, url) == ("<p>雨</p>", ITEM.url)
        return better

    assert crawls(stores).page(ITEM.item_id, parse, parser_version=2) == ITEM
    assert crawls(stores).page(ITEM.item_id, parse, parser_version=3) == better


def test_a_kept_page_that_a_better_parser_refuses_is_not_there(stores: Stores) -> None:
    crawls(stores).keep_page(ITEM.item_id, ITEM, "<p>雨</p>", ITEM.url, parser_version=2)

    def refuse(html: str, url: str) -> Item:
        raise SourceError

    assert crawls(stores).page(ITEM.item_id, refuse, parser_version=3) is None


@pytest.mark.parametrize("page", ["!!", "AAAA", None, 7], ids=str)
def test_a_kept_page_that_was_damaged_is_not_there(stores: Stores, page: object) -> None:
    value = {"item": ITEM.to_json(), "parser_version": 1, "url": ITEM.url, "page": page}
    key = f"crawls/dlsite/pages/{ITEM.item_id}.json"
    stores.s3.put_object(Bucket=stores.bucket, Key=key, Body=json.dumps(value).encode())
    assert crawls(stores).page(ITEM.item_id, lambda *_: ITEM, parser_version=2) is None


def test_a_page_kept_before_pages_were_kept_whole_is_there(stores: Stores) -> None:
    key = f"crawls/dlsite/pages/{ITEM.item_id}.json"
    stores.s3.put_object(Bucket=stores.bucket, Key=key, Body=json.dumps(ITEM.to_json()).encode())
    assert crawls(stores).page(ITEM.item_id, lambda *_: ITEM, parser_version=9) == ITEM
    assert list(crawls(stores).kept()) == [ITEM.item_id]
