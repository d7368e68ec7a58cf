from dataclasses import replace

from conftest import Stores

from osusume.items import Item, Section
from osusume.ledger import Claim, Ledger, Reason, Record, Report, Run, Unfinished

ITEM = Item(
    item_id="RJ01000001",
    source="dlsite",
    url="https://www.dlsite.com/home/work/=/product_id/RJ01000001.html",
    title="雨の図書館",
    price=880,
    attributes={"voice_actors": ["星野しずく"]},
    sections=[Section("あらすじ", "雨の日にだけ開く図書館。")],
)
RECORD = Record(ITEM, "recommended", "snapshots/a.json", 1000.0, 0.875, "v1", [Reason("title", "雨", 0.125)])


def ledger_at(stores: Stores, now: float) -> Ledger:
    return Ledger(stores.dynamodb, stores.items_table, clock=lambda: now)


def claimed(ledger: Ledger, record_id: str = ITEM.item_id, seconds: float = 60) -> Claim:
    claim = ledger.claim(record_id, seconds)
    assert isinstance(claim, Claim)
    return claim


def test_a_record_comes_back_as_it_was_written(stores: Stores) -> None:
    ledger = ledger_at(stores, 1000)
    assert ledger.record(RECORD)
    assert ledger.get([ITEM.item_id, "RJ01999999"]) == {ITEM.item_id: RECORD}


def test_an_item_with_a_record_is_never_recorded_again(stores: Stores) -> None:
    ledger = ledger_at(stores, 1000)
    ledger.record(RECORD)
    assert not ledger.record(Record(ITEM, "passed", "snapshots/b.json", 2000.0))
    assert ledger.get([ITEM.item_id]) == {ITEM.item_id: RECORD}


def test_more_records_than_one_request_takes_are_found(stores: Stores) -> None:
    ledger = ledger_at(stores, 1000)
    ids = [f"RJ{number:08}" for number in range(150)]
    for item_id in ids:
        ledger.record(Record(Item(item_id, "dlsite", ITEM.url, "x"), "passed", "snapshots/a.json", 1000.0))
    assert sorted(ledger.get(ids)) == ids


def test_a_record_is_claimed_by_one_alone(stores: Stores) -> None:
    ledger = ledger_at(stores, 1000)
    ledger.record(RECORD)
    assert not claimed(ledger).taken_over
    assert ledger.claim(ITEM.item_id, 60) == "posting"


def test_a_claim_that_ran_out_is_taken_over_and_says_so(stores: Stores) -> None:
    ledger_at(stores, 1000).record(RECORD)
    claimed(ledger_at(stores, 1000), seconds=60)
    assert claimed(ledger_at(stores, 1061)).taken_over


def test_a_claim_given_back_is_free_again(stores: Stores) -> None:
    ledger = ledger_at(stores, 1000)
    ledger.record(RECORD)
    ledger.release(claimed(ledger))
    assert not claimed(ledger).taken_over


def test_a_claim_taken_over_and_given_back_still_says_that_the_message_may_be_there(stores: Stores) -> None:
    ledger_at(stores, 1000).record(RECORD)
    claimed(ledger_at(stores, 1000))
    later = ledger_at(stores, 1061)
    later.release(claimed(later))
    assert claimed(later).taken_over


def test_a_posted_record_names_its_message_and_is_not_claimed_again(stores: Stores) -> None:
    ledger = ledger_at(stores, 1000)
    ledger.record(RECORD)
    ledger.posted(claimed(ledger), "C0TEST", "1000.000100")
    found = ledger.get([ITEM.item_id])[ITEM.item_id]
    assert isinstance(found, Record)
    assert (found.status, found.channel, found.ts) == ("posted", "C0TEST", "1000.000100")
    assert ledger.claim(ITEM.item_id, 60) == "posted"


def test_a_holder_whose_claim_was_taken_over_changes_nothing(stores: Stores) -> None:
    first = ledger_at(stores, 1000)
    first.record(RECORD)
    late = claimed(first)
    second = ledger_at(stores, 1061)
    second.posted(claimed(second), "C0TEST", "1061.000100")
    first.release(late)
    assert second.claim(ITEM.item_id, 60) == "posted"


def test_what_is_to_be_posted_is_unfinished_until_it_is(stores: Stores) -> None:
    ledger = ledger_at(stores, 1000)
    ledger.record(RECORD)
    ledger.record(Record(Item("RJ01000002", "dlsite", ITEM.url, "x"), "passed", "snapshots/a.json", 1000.0))
    run = Run("snapshots/a.json", 1000.0, listed=2, failed=0, new=2, recommended=1, explored=0, passed=1)
    run = replace(run, long_wait=864_000, head_unusable=True, crawled_at=999.5)
    ledger.record(run)
    report = Report("2026-W47", 1000.0, ["title"])
    ledger.record(report)
    assert [list(entries) for entries in ledger.unfinished()] == [[ITEM.item_id], [run.snapshot], [report.week]]
    ledger.posted(claimed(ledger), "C0TEST", "1000.000100")
    assert ledger.unfinished() == Unfinished({}, {run.snapshot: run}, {report.week: report})
    assert ledger.runs([run.snapshot]) == {run.snapshot: run}
    assert ledger.get([run.record_id]) == {}
