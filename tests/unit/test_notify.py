from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import Stores
from injector import slack_rule
from world import NOW, World

from local.slack import as_text
from notifier.channel import ChannelRefused
from notifier.delivery import Undelivered
from notifier.events import missed_snapshots, snapshots_of_the_same_day
from notifier.scoring import Prediction, Scores, ScoringFailed
from notifier.selection import select
from osusume.items import Item
from osusume.ledger import Claim, Decision, Entry, Ledger, Record
from osusume.snapshots import Failure, Snapshot
from samples.works import demo_works

WORKS = demo_works()[:12]
IDS = [work.item_id for work in WORKS]
GOOD = IDS[:3]
MONDAY, TUESDAY = "snapshots/dlsite/2025/11/24/220000Z.json", "snapshots/dlsite/2025/11/25/220000Z.json"


class Crash(Exception):
    """Where the process dies."""


class DyingLedger(Ledger):
    """A ledger whose process dies before the write number `writes_left + 1`, or right after it."""

    writes_left = 0
    after = False

    def record(self, entry: Entry) -> bool:
        self._count()
        written = super().record(entry)
        self._die_after()
        return written

    def posted(self, claim: Claim, channel: str, ts: str) -> None:
        self._count()
        super().posted(claim, channel, ts)
        self._die_after()

    def _count(self) -> None:
        self.writes_left -= 1
        if self.writes_left < 0 and not self.after:
            raise Crash

    def _die_after(self) -> None:
        if self.writes_left < 0:
            raise Crash


def score(items: Sequence[Item]) -> Scores:
    """Score the first three works high and the others by their place, all under the threshold."""
    scores = {item.item_id: 0.9 if item.item_id in GOOD else IDS.index(item.item_id) / 40 for item in items}
    return Scores("v1", 0.5, {item_id: Prediction(found, []) for item_id, found in scores.items()})


def score_fails(_items: Sequence[Item]) -> Scores:
    raise ScoringFailed("the classifier answered 503")


def score_nothing(items: Sequence[Item]) -> Scores:
    return Scores("starter", None, {item.item_id: Prediction(None, []) for item in items})


class NotifierWorld(World):
    """A world whose classifier scores as `score` does."""

    score = staticmethod(score)

    def choices(self) -> dict[str, str]:
        return {item_id: record.choice for item_id, record in self.ledger.get(IDS).items()}


def snapshot_of(works: Sequence[Item], **parts: Any) -> Snapshot:
    return Snapshot("dlsite", datetime(2025, 11, 24, 22, tzinfo=UTC), list(works), **parts)


def failures_of(item_ids: Sequence[str]) -> list[Failure]:
    return [Failure(item_id, "https://www.dlsite.com/", "503") for item_id in item_ids]


@pytest.fixture
def world(stores: Stores) -> Iterator[NotifierWorld]:
    with NotifierWorld(stores, post_burst=100) as world:
        yield world


def test_the_recommended_and_a_few_explored_items_are_posted(world: NotifierWorld) -> None:
    run = world.notify(MONDAY, WORKS)
    assert (run.listed, run.new, run.recommended, run.explored, run.passed) == (12, 12, 3, 2, 7)
    posted = world.posted()
    assert set(GOOD) < set(posted)
    assert len(posted) == 5


def test_the_best_is_posted_first_and_the_summary_last(world: NotifierWorld) -> None:
    world.notify(MONDAY, WORKS)
    order = [message.item_id for message in world.slack.messages]
    assert set(order[:3]) == set(GOOD)
    assert order[-1] is None


def test_a_second_call_posts_nothing_and_counts_the_same(world: NotifierWorld) -> None:
    first = world.notify(MONDAY, WORKS)
    calls = len(world.slack.log)
    assert replace(world.notify(MONDAY, WORKS), recorded_at=first.recorded_at) == first
    assert len(world.slack.log) == calls


def test_known_items_are_not_scored_again(world: NotifierWorld) -> None:
    asked: list[str] = []

    def watched(items: Sequence[Item]) -> Scores:
        asked.extend(item.item_id for item in items)
        return score(items)

    world.notify(MONDAY, WORKS[:8], score=watched)
    world.notify(TUESDAY, WORKS[4:], score=watched)
    assert sorted(asked) == sorted(IDS)


def test_an_item_in_the_ledger_is_not_new_though_no_snapshot_had_it(world: NotifierWorld) -> None:
    world.ledger.record(Record(WORKS[0], "passed", "annotation", NOW))
    run = world.notify(MONDAY, WORKS[:1])
    assert run.new == 0
    assert world.posted() == []


def test_an_item_that_a_snapshot_lists_twice_is_posted_once(world: NotifierWorld) -> None:
    assert world.notify(MONDAY, [WORKS[0], WORKS[0]]).new == 1
    assert world.posted() == [IDS[0]]


def test_an_older_snapshot_that_arrives_later_brings_what_it_alone_has(world: NotifierWorld) -> None:
    world.notify(TUESDAY, WORKS[1:], explored_items_a_day=0)
    run = world.notify(MONDAY, WORKS[:6], explored_items_a_day=0)
    assert (run.new, run.recommended) == (1, 1)
    assert sorted(world.posted()) == sorted(GOOD)
    assert len(world.summaries()) == 2


@pytest.mark.parametrize("works", [WORKS, []], ids=["known works", "no works"])
def test_a_snapshot_without_anything_new_has_its_summary_too(world: NotifierWorld, works: list[Item]) -> None:
    world.notify(MONDAY, WORKS)
    assert world.notify(TUESDAY, works).new == 0
    assert f"{len(works)}件を確認 · 新着 0件" in as_text(world.summaries()[1])


def test_a_summary_counts_what_could_not_be_read(world: NotifierWorld) -> None:
    run = world.notify(MONDAY, snapshot_of(WORKS, failures=failures_of(["RJ01999990", "RJ01999991"])))
    assert (run.listed, run.failed) == (14, 2)
    assert "2件は読み取れませんでした" in as_text(world.summaries()[0])


def test_no_more_than_the_cap_are_recommended(world: NotifierWorld) -> None:
    run = world.notify(MONDAY, WORKS, max_posts=2)
    assert (run.recommended, run.explored) == (2, 2)


def test_the_owners_threshold_counts_instead_of_the_models(world: NotifierWorld) -> None:
    assert world.notify(MONDAY, WORKS, threshold=0.2).recommended == 7


def test_a_model_without_taste_has_varied_items_explored(world: NotifierWorld) -> None:
    run = world.notify(MONDAY, WORKS, score=score_nothing, threshold=0.2)
    assert (run.recommended, run.explored, run.has_taste) == (0, 5, False)
    assert len(world.posted()) == 5
    assert "まだ好みを学習していません" in as_text(world.summaries()[0])


def test_a_record_keeps_why_its_item_is_shown_and_how_likely_that_was(world: NotifierWorld) -> None:
    world.notify(MONDAY, WORKS)
    records = world.ledger.get(work.item_id for work in WORKS).values()
    assert {(record.threshold, record.candidates) for record in records} == {(0.5, len(WORKS))}
    assert {record.why for record in records if record.choice == "recommended"} == {"recommended"}
    assert {record.why for record in records if record.choice == "explored"} == {"uncertain", "random"}
    assert all((record.probability > 0) == (record.choice != "passed") for record in records)


def test_a_summary_tells_what_was_decided_in_the_night_before_it_and_not_later(world: NotifierWorld) -> None:
    at = datetime.fromtimestamp(world.now - 1800, UTC).isoformat(timespec="seconds")
    world.ledger.decide(Decision(at, "promote", "Promoted.", "night-1", 40, 12))
    world.notify(MONDAY, WORKS)
    world.now += 86_400
    world.notify(TUESDAY, WORKS)
    assert ["学び直しました" in as_text(said) for said in world.summaries()] == [True, False]


def test_a_run_that_cannot_be_scored_records_and_posts_nothing(world: NotifierWorld) -> None:
    with pytest.raises(ScoringFailed):
        world.notify(MONDAY, WORKS, score=score_fails)
    assert world.choices() == {}
    assert world.slack.log == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("writes", [0, 5, 12, 13, 15, 18])
def test_a_run_that_dies_anywhere_ends_as_an_undisturbed_one(world: NotifierWorld, writes: int, after: bool) -> None:
    # 12 items and the run are recorded, 5 messages and the summary noted as posted: 19 writes
    dying = DyingLedger(world.stores.dynamodb, world.stores.items_table, world)
    dying.writes_left, dying.after = writes, after
    with pytest.raises(Crash):
        world.notify(MONDAY, WORKS, ledger=dying)
    run = world.notify(MONDAY, WORKS)
    assert (run.new, run.recommended, run.explored, run.passed) == (12, 3, 2, 7)
    assert set(world.posted()) == {item_id for item_id, choice in world.choices().items() if choice != "passed"}
    assert len(world.summaries()) == 1


def test_a_run_that_dies_while_recording_chooses_the_same_when_it_goes_on(world: NotifierWorld) -> None:
    dying = DyingLedger(world.stores.dynamodb, world.stores.items_table, world)
    dying.writes_left = 6
    with pytest.raises(Crash):
        world.notify(MONDAY, WORKS, ledger=dying)
    world.notify(MONDAY, WORKS)
    scores = {item_id: prediction.score for item_id, prediction in score(WORKS).predictions.items()}
    selected = select(WORKS, scores, 0.5, 30, 2, seed=MONDAY)
    assert world.choices() == {item_id: found.choice for item_id, found in selected.items()}


def test_what_a_run_left_unposted_is_posted_by_the_next(world: NotifierWorld) -> None:
    dying = DyingLedger(world.stores.dynamodb, world.stores.items_table, world)
    dying.writes_left = 14
    with pytest.raises(Crash):
        world.notify(MONDAY, WORKS[:8], ledger=dying)
    world.notify(TUESDAY, WORKS[8:])
    assert set(world.posted()) == {item_id for item_id, choice in world.choices().items() if choice != "passed"}
    assert len(world.summaries()) == 2


REFUSED_ONCE = slack_rule("chat.postMessage", times=2, error="invalid_blocks")  # with its image, and without


def test_a_message_that_slack_refuses_holds_up_none_of_the_others(world: NotifierWorld) -> None:
    world.rules.append(replace(REFUSED_ONCE))
    with pytest.raises(Undelivered):
        world.notify(MONDAY, WORKS)
    assert len(world.posted()) == 4
    world.notify(MONDAY, WORKS)
    assert len(world.posted()) == 5
    assert len(world.summaries()) == 1


def refused_in_three_runs(world: NotifierWorld) -> str:
    """Let Slack refuse the best item until it is given up, and return its id."""
    for _ in range(2):
        world.rules.append(replace(REFUSED_ONCE))
        with pytest.raises(Undelivered):
            world.notify(MONDAY, WORKS)
    world.rules.append(replace(REFUSED_ONCE))
    world.notify(MONDAY, WORKS)
    (given_up,) = [item_id for item_id in GOOD if item_id not in world.posted()]
    return given_up


def test_a_message_that_slack_refuses_in_three_runs_is_given_up_and_the_summary_says_so(world: NotifierWorld) -> None:
    given_up = refused_in_three_runs(world)
    (summary,) = world.summaries()
    assert f"投稿をあきらめました: {given_up}" in str(summary.blocks)
    assert not any(world.ledger.unfinished())


def test_a_message_given_up_troubles_no_later_run(world: NotifierWorld) -> None:
    given_up = refused_in_three_runs(world)
    world.notify(TUESDAY, WORKS)
    assert given_up not in world.posted()
    assert "あきらめました" not in str(world.summaries()[-1].blocks)


def test_a_message_given_up_is_posted_once_it_is_offered_again(world: NotifierWorld) -> None:
    given_up = refused_in_three_runs(world)
    assert world.ledger.offer_again(given_up)
    world.notify(TUESDAY, WORKS)
    assert given_up in world.posted()
    assert not world.ledger.offer_again(given_up)


# the summary


def test_a_summary_says_that_works_may_have_been_missed(world: NotifierWorld) -> None:
    world.notify(MONDAY, snapshot_of(WORKS, gap=True))
    world.notify(TUESDAY, WORKS)
    assert ["見逃した作品があるかもしれません" in as_text(said) for said in world.summaries()] == [True, False]


def test_a_summary_says_for_how_long_the_shop_asked_to_wait(world: NotifierWorld) -> None:
    world.notify(MONDAY, snapshot_of(WORKS, long_wait=864_000))
    assert "お店に10日待つように求められました" in as_text(world.summaries()[0])


def test_a_summary_says_that_the_promoted_head_could_not_be_read(world: NotifierWorld) -> None:
    unusable = replace(score(WORKS), head_unusable=True)
    world.notify(MONDAY, WORKS, score=lambda _items: unusable)
    world.notify(TUESDAY, WORKS)
    assert ["学習した好みを読み込めず" in as_text(said) for said in world.summaries()] == [True, False]


@pytest.mark.parametrize("number", [1, 25, 300, 2_000])
def test_a_summary_names_every_work_that_was_given_up_and_counts_what_fits_no_message(
    world: NotifierWorld, number: int
) -> None:
    names = [f"RJ018{place:05}" for place in range(number)]
    world.notify(MONDAY, snapshot_of(WORKS, given_up=failures_of(names)))
    said = as_text(world.summaries()[0])
    assert f"7日続けて読み取れなかった{number}件をあきらめました" in said
    assert all(name in said for name in names[:400])
    assert ("ほか1600件" in said) == (number == 2_000)


def test_the_summary_is_posted_though_an_item_is_refused_for_an_unknown_reason(world: NotifierWorld) -> None:
    world.rules.append(slack_rule("chat.postMessage", times=99, error="invalid_arguments", about=GOOD[0]))
    for key in (MONDAY, TUESDAY):
        with pytest.raises(Undelivered):
            world.notify(key, WORKS)
    assert len(world.posted()) == 4
    assert len(world.summaries()) == 2


def test_an_item_refused_for_an_unknown_reason_alone_is_given_up_since_the_summary_is_not(world: NotifierWorld) -> None:
    world.rules.append(slack_rule("chat.postMessage", times=99, error="invalid_arguments", about=GOOD[0]))
    for number, key in enumerate((MONDAY, TUESDAY)):
        with pytest.raises(Undelivered):
            world.notify(key, WORKS[:1])
        assert len(world.summaries()) == number + 1
    world.notify("snapshots/dlsite/2025/11/26/220000Z.json", WORKS[:1])
    assert f"投稿をあきらめました: {GOOD[0]}" in as_text(world.summaries()[-1])
    assert not any(world.ledger.unfinished())


def test_a_channel_that_refuses_for_an_unknown_reason_for_days_gives_up_nothing(world: NotifierWorld) -> None:
    world.rules.append(slack_rule("chat.postMessage", times=999, error="something_new"))
    for day in range(20, 27):
        with pytest.raises(ChannelRefused):
            world.notify(f"snapshots/dlsite/2025/11/{day}/220000Z.json", WORKS)
    world.rules.clear()
    world.notify(MONDAY, WORKS)
    assert len(world.posted()) == 5
    assert len(world.summaries()) == 7
    assert "あきらめ" not in str([message.blocks for message in world.slack.messages])


def test_what_was_scored_before_is_posted_while_the_classifier_is_down(world: NotifierWorld) -> None:
    dying = DyingLedger(world.stores.dynamodb, world.stores.items_table, world)
    dying.writes_left = 9
    with pytest.raises(Crash):
        world.notify(MONDAY, WORKS[:8], ledger=dying)
    assert len(world.posted()) == 1

    with pytest.raises(ScoringFailed):
        world.notify(TUESDAY, WORKS[8:], score=score_fails)
    assert len(world.posted()) == 5
    assert len(world.summaries()) == 1


# exploring


NOON = "snapshots/dlsite/2025/11/24/030000Z.json"


def test_two_runs_of_one_day_share_the_items_to_explore(world: NotifierWorld) -> None:
    first = world.notify(NOON, WORKS[:7], same_day=[MONDAY])
    second = world.notify(MONDAY, WORKS, same_day=[NOON])
    assert (first.explored, second.explored) == (2, 0)


def test_a_run_explores_what_an_earlier_one_of_its_day_left(world: NotifierWorld) -> None:
    first = world.notify(NOON, WORKS[:4], explored_items_a_day=3)
    second = world.notify(MONDAY, WORKS, explored_items_a_day=3, same_day=[NOON])
    assert (first.explored, second.explored) == (1, 2)


def test_a_run_that_is_repeated_explores_nothing_more(world: NotifierWorld) -> None:
    first = world.notify(NOON, WORKS, same_day=[MONDAY])
    assert world.notify(NOON, WORKS, same_day=[MONDAY]).explored == first.explored == 2


# what no run has heard of


def test_the_days_snapshots_are_those_of_the_owners_day() -> None:
    keys = ["snapshots/dlsite/2025/11/23/150000Z.json", NOON, MONDAY, TUESDAY, "snapshots/dlsite/other.json"]
    tokyo, utc = ZoneInfo("Asia/Tokyo"), ZoneInfo("UTC")
    assert snapshots_of_the_same_day(NOON, keys, tokyo) == [keys[0]]
    assert snapshots_of_the_same_day(NOON, keys, utc) == [MONDAY]
    assert snapshots_of_the_same_day("snapshots/dlsite/other.json", keys, utc) == []


def test_a_snapshot_is_missed_when_no_run_has_come_of_it(world: NotifierWorld) -> None:
    world.notify(NOON, WORKS[:2])
    assert missed_snapshots(TUESDAY, [NOON, MONDAY, TUESDAY], world.ledger) == [MONDAY]
    world.notify(MONDAY, WORKS[:2])
    assert missed_snapshots(TUESDAY, [NOON, MONDAY, TUESDAY], world.ledger) == []
