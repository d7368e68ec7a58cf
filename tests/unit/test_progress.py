import json
from dataclasses import asdict
from typing import Any

import pytest
from conftest import Stores

from crawler.progress import Crawls, CrawlUnderWay, Progress
from crawler.sources import ListedItem
from osusume.items import Item, Section
from osusume.snapshots import Failure

DUE, NEXT_DUE = "2026-11-20T22:00:00+00:00", "2026-11-21T22:00:00+00:00"
ITEM = Item("RJ09000001", "dlsite", "https://www.dlsite.com/", "雨の図書館", sections=[Section(None, "雨。")])


def crawls(stores: Stores) -> Crawls:
    return Crawls(stores.s3, stores.bucket, "dlsite")


def handed_over(stores: Stores) -> Progress:
    """Return the progress of a turn that ended as it should."""
    turn = crawls(stores)
    progress = turn.begin(DUE, "a", now=0, held_until=900)
    progress.robots_txt, progress.listed = "", [ListedItem(ITEM.item_id, ITEM.url, ITEM.title)]
    progress.failures, progress.troubles = [Failure("RJ09000002", ITEM.url, "TimedOut: late")], 1
    progress.last_request_at, progress.not_before = 880.5, 1000.0
    progress.holder = ""
    turn.save(progress)
    return progress


def test_the_next_turn_goes_on_where_the_last_one_handed_over(stores: Stores) -> None:
    expected = handed_over(stores)
    expected.holder, expected.held_until = "b", 1800
    assert crawls(stores).begin(DUE, "b", now=900, held_until=1800) == expected


def test_a_new_crawl_keeps_the_pace_of_the_last_one_and_not_its_findings(stores: Stores) -> None:
    handed_over(stores)
    assert crawls(stores).begin(NEXT_DUE, "b", now=900, held_until=1800) == Progress(
        NEXT_DUE, last_request_at=880.5, not_before=1000.0, holder="b", held_until=1800
    )


def test_what_a_dead_invocation_saved_is_gone_on_with_as_if_it_had_just_sent_a_request(stores: Stores) -> None:
    turn = crawls(stores)
    progress = turn.begin(DUE, "a", now=0, held_until=900)
    progress.listed = [ListedItem(ITEM.item_id, ITEM.url, ITEM.title)]
    turn.save(progress)
    retry = crawls(stores).begin(DUE, "a", now=60, held_until=960)
    assert (retry.listed, retry.last_request_at) == (progress.listed, 60)


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
    [{"held_until": "soon"}, {"not_before": None}, {"last_request_at": []}, {"robots_txt": 0}, {"troubles": {}}],
    ids=str,
)
def test_progress_with_a_value_of_another_type_begins_the_crawl_anew(
    stores: Stores, changes: dict[str, object]
) -> None:
    stored = {**asdict(handed_over(stores)), **changes}
    stores.s3.put_object(Bucket=stores.bucket, Key="crawls/dlsite/crawl.json", Body=json.dumps(stored).encode())
    assert crawls(stores).begin(DUE, "b", now=900, held_until=1800).listed == []
