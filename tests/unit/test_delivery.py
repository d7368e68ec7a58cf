import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import Stores
from injector import Rule, slack_rule
from world import NOW, World

from notifier.channel import Channel, ChannelRefused
from notifier.delivery import Clock, Post, Undelivered
from osusume.ledger import Claim, Ledger, Record
from osusume.messages import item_message, item_metadata
from samples.works import demo_works

RECORDS = [Record(work, "recommended", "snapshots/a.json", NOW, 0.75, "v1") for work in demo_works()[:4]]
IDS = [record.item.item_id for record in RECORDS]
REFUSED = [{"type": "marquee"}]


class ItemsWorld(World):
    """A world with a record for each post, whose run ends at a set time."""

    ends_at = NOW + 600

    def seconds_left(self) -> float:
        return self.ends_at - self.now

    def statuses(self) -> list[str]:
        found = self.ledger.get(IDS)
        return [found[item_id].status for item_id in IDS]


@pytest.fixture
def world(stores: Stores) -> Iterator[ItemsWorld]:
    with ItemsWorld(stores, post_burst=2, post_interval=1) as world:
        for record in RECORDS:
            world.ledger.record(record)
        yield world


def post_of(record: Record) -> Post:
    text, blocks = item_message(record)
    spare = item_message(record, with_image=False)[1]
    return Post(record.item.item_id, record.recorded_at, text, blocks, item_metadata(record), spare)


POSTS = [post_of(record) for record in RECORDS]


def claim_by_another(world: ItemsWorld, seconds: float) -> Claim:
    claim = world.ledger.claim(IDS[0], seconds)
    assert isinstance(claim, Claim)
    return claim


def test_messages_are_posted_in_their_order_and_noted(world: ItemsWorld) -> None:
    assert world.deliver(POSTS[:2]) == 2
    assert world.posted() == IDS[:2]
    found = world.ledger.get(IDS[:1])[IDS[0]]
    assert isinstance(found, Record)
    assert (found.status, found.channel, found.ts) == ("posted", "C0LOCAL0001", world.slack.messages[0].ts)


def test_messages_delivered_again_are_not_posted_again(world: ItemsWorld) -> None:
    world.deliver(POSTS[:2])
    assert world.deliver(POSTS[:2]) == 0
    assert world.posted() == IDS[:2]


def test_nothing_to_deliver_needs_no_call(world: ItemsWorld) -> None:
    assert world.deliver([]) == 0
    assert world.slack.log == []


def test_a_rate_limit_is_waited_out(world: ItemsWorld) -> None:
    assert world.deliver(POSTS) == 4
    assert world.posted() == IDS
    assert world.sleeps == [1, 1]


@pytest.mark.parametrize("after_posting", [True, False], ids=["after posting", "before posting"])
@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}], ids=str)
def test_a_message_whose_fate_is_unclear_is_posted_once(
    world: ItemsWorld, after_posting: bool, fault: dict[str, Any]
) -> None:
    world.rules.append(slack_rule("chat.postMessage", after_posting=after_posting, **fault))
    assert world.deliver(POSTS[:2]) == 2
    assert sorted(map(str, world.posted())) == sorted(IDS[:2])
    assert world.statuses()[:2] == ["posted", "posted"]


def test_the_channel_is_searched_only_where_somebody_may_have_posted(world: ItemsWorld) -> None:
    world.deliver(POSTS[:2])
    assert "conversations.history" not in [call.method for call in world.slack.log]


def test_a_message_on_a_later_page_of_the_channel_is_found(world: ItemsWorld) -> None:
    claim_by_another(world, 5)
    world.channel().post(POSTS[0].text, POSTS[0].blocks, POSTS[0].metadata)
    for number in range(250):
        world.slack.channel.post(str(number), [], None)
    assert world.deliver(POSTS[:1]) == 1
    assert world.slack.posts == 1


def test_a_message_whose_image_cannot_be_fetched_is_posted_without_it(world: ItemsWorld) -> None:
    world.rules.append(slack_rule("chat.postMessage", error="invalid_blocks", details=["downloading image failed"]))
    assert world.deliver(POSTS[:1]) == 1
    assert world.posted() == IDS[:1]
    assert not any("accessory" in block for block in world.slack.messages[0].blocks)


def test_a_message_refused_for_good_does_not_hold_up_the_others_and_is_named(world: ItemsWorld) -> None:
    refused = replace(POSTS[0], blocks=REFUSED, spare_blocks=REFUSED)
    with pytest.raises(Undelivered, match=IDS[0]):
        world.deliver([refused, *POSTS[1:3]])
    assert world.posted() == IDS[1:3]
    assert world.statuses()[:3] == ["scored", "posted", "posted"]


def test_a_message_that_was_refused_is_posted_by_the_next_delivery(world: ItemsWorld) -> None:
    with pytest.raises(Undelivered):
        world.deliver([replace(POSTS[0], blocks=REFUSED, spare_blocks=None)])
    assert world.deliver(POSTS[:1]) == 1


@pytest.mark.parametrize(
    ("changes", "error"), [({"channel_id": "C0OTHER"}, "channel_not_found"), ({"token": "xoxb-old"}, "invalid_auth")]
)
def test_a_channel_that_refuses_everything_ends_the_delivery_with_the_remedy(
    world: ItemsWorld, changes: dict[str, Any], error: str
) -> None:
    with pytest.raises(ChannelRefused, match=f"{error}: check that the bot is in the channel"):
        world.deliver(POSTS, channel=world.channel(**changes))
    assert len(world.slack.log) == 1
    assert set(world.statuses()) == {"scored"}
    assert world.sleeps == []


def test_a_message_that_stays_unclear_is_left_to_the_next_delivery(world: ItemsWorld) -> None:
    world.rules.append(slack_rule("chat.postMessage", times=2, status=500))
    with pytest.raises(Undelivered, match=IDS[0]):
        world.deliver(POSTS[:1])
    assert world.posted() == []
    world.deliver(POSTS[:1])
    assert world.posted() == IDS[:1]


def test_a_claim_of_somebody_who_died_is_taken_over_when_it_runs_out(world: ItemsWorld) -> None:
    claim_by_another(world, 5)
    assert world.deliver(POSTS[:2]) == 2
    assert world.posted() == [IDS[1], IDS[0]]
    assert NOW + 5 < world.now < NOW + 8


def test_a_message_of_somebody_who_died_after_posting_is_found_not_posted(world: ItemsWorld) -> None:
    claim_by_another(world, 5)
    ts = world.channel().post(POSTS[0].text, POSTS[0].blocks, POSTS[0].metadata)
    assert world.deliver(POSTS[:1]) == 1
    assert [message.ts for message in world.slack.messages] == [ts]
    assert world.statuses()[0] == "posted"


def test_a_message_that_somebody_else_posts_meanwhile_is_left_to_them(world: ItemsWorld) -> None:
    claim = claim_by_another(world, 60)

    def sleep(seconds: float) -> None:
        world.now += seconds
        world.ledger.posted(claim, "C0LOCAL0001", "1764000000.000100")

    clock = replace(world.clock, sleep=sleep)
    assert world.deliver(POSTS[:1], clock=clock) == 0
    assert world.slack.posts == 0


def test_messages_for_which_no_time_is_left_are_left_to_the_next_delivery(world: ItemsWorld) -> None:
    world.ends_at = NOW + 3
    with pytest.raises(Undelivered, match=f"no time left for {IDS[1]} and 0 more"):
        world.deliver(POSTS[:2], clock=replace(world.clock, remaining=iter([9.0, 3.0]).__next__))
    assert world.posted() == IDS[:1]
    assert world.statuses()[:2] == ["posted", "scored"]


def test_a_claim_that_outlasts_the_run_ends_it(world: ItemsWorld) -> None:
    claim_by_another(world, 60)
    world.ends_at = NOW + 20
    with pytest.raises(Undelivered, match="no time left"):
        world.deliver(POSTS[:1])
    assert world.slack.posts == 0


def test_deliveries_at_the_same_time_post_each_message_once(world: ItemsWorld) -> None:
    world.slack.rate_limit = type(world.slack.rate_limit)(30, 1)
    clock = Clock(time.time, lambda seconds: time.sleep(seconds / 50), lambda: 600)
    counts: list[int] = []

    def run() -> None:
        ledger = Ledger(world.stores.dynamodb, world.stores.items_table)
        counts.append(world.deliver(POSTS, ledger=ledger, claim_seconds=30, clock=clock))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 4
    assert sorted(map(str, world.posted())) == sorted(IDS)


# refusals for reasons that nobody knows


def poisoned(item_id: str, times: int = 99, error: str = "invalid_arguments") -> Rule:
    return slack_rule("chat.postMessage", times=times, error=error, about=item_id)


@pytest.mark.parametrize("error", ["invalid_arguments", "something_new", "as_of_tomorrow"])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_one_message_that_is_refused_for_an_unknown_reason_does_not_hold_up_the_others(
    world: ItemsWorld, error: str, place: int
) -> None:
    world.rules.append(poisoned(IDS[place], error=error))
    with pytest.raises(Undelivered, match=IDS[place]):
        world.deliver(POSTS)
    assert world.posted() == [item_id for item_id in IDS if item_id != IDS[place]]


def test_two_messages_that_are_refused_for_an_unknown_reason_do_not_hold_up_the_others(world: ItemsWorld) -> None:
    world.rules.extend([poisoned(IDS[0]), poisoned(IDS[1])])
    with pytest.raises(Undelivered):
        world.deliver(POSTS)
    assert world.posted() == IDS[2:]


def test_a_message_refused_for_an_unknown_reason_is_given_up_after_as_many_runs_as_another(
    world: ItemsWorld,
) -> None:
    world.rules.append(poisoned(IDS[0]))
    for number in range(1, 3):
        with pytest.raises(Undelivered):
            world.deliver([POSTS[0], POSTS[number]])
    assert world.deliver([POSTS[0], POSTS[3]]) == 1
    assert world.statuses() == ["refused", "posted", "posted", "posted"]


def test_an_unknown_refusal_of_every_message_is_the_channels_and_gives_up_none(world: ItemsWorld) -> None:
    world.rules.append(slack_rule("chat.postMessage", times=999, error="something_new"))
    for _ in range(5):
        with pytest.raises(ChannelRefused, match="every message"):
            world.deliver(POSTS)
    assert set(world.statuses()) == {"scored"}
    world.rules.clear()
    assert world.deliver(POSTS) == 4


def test_a_channel_that_breaks_halfway_gives_up_nothing_that_comes_after(world: ItemsWorld) -> None:
    for _ in range(5):
        world.rules[:] = [poisoned(item_id) for item_id in IDS[1:]]
        with pytest.raises(ChannelRefused, match=f"from {IDS[1]} on"):
            world.deliver(POSTS)
    assert world.statuses() == ["posted", "scored", "scored", "scored"]


def test_a_rate_limit_without_a_wait_is_not_met_again_at_once(world: ItemsWorld) -> None:
    world.rules.append(slack_rule("chat.postMessage", status=429, retry_after=0))
    assert world.deliver(POSTS[:1]) == 1
    assert world.sleeps == [1]


def test_a_lone_message_that_is_refused_for_an_unknown_reason_is_left_and_not_given_up(world: ItemsWorld) -> None:
    world.rules.append(poisoned(IDS[0]))
    for _ in range(5):
        with pytest.raises(Undelivered):
            world.deliver(POSTS[:1])
    assert world.statuses()[0] == "scored"


# waits and searches


def slow_channel(world: ItemsWorld) -> Channel:
    class Slow(Channel):
        def _ask(self, method: str, **arguments: Any) -> dict[str, object]:
            world.now += 2
            return super()._ask(method, **arguments)

    return world.channel(Slow)


def test_a_wait_longer_than_the_time_left_ends_the_run_at_once(world: ItemsWorld) -> None:
    world.rules.append(slack_rule("chat.postMessage", status=429, retry_after=3600))
    with pytest.raises(Undelivered, match="3600 s"):
        world.deliver(POSTS)
    assert (world.sleeps, set(world.statuses())) == ([], {"scored"})
    assert world.deliver(POSTS) == 4


def test_a_search_that_outlasts_its_claim_is_resumed_where_it_ended(world: ItemsWorld) -> None:
    claim_by_another(world, 5)
    ts = world.channel().post(POSTS[0].text, POSTS[0].blocks, POSTS[0].metadata)
    for number in range(2_100):
        world.slack.channel.post(str(number), [], None)
    world.now += 6
    assert world.deliver(POSTS[:1], channel=slow_channel(world)) == 1
    assert world.slack.posts == 1
    assert world.ledger.get(IDS[:1])[IDS[0]].ts == ts
    looks = sum(call.method == "conversations.history" for call in world.slack.log)
    assert looks <= 2_100 / 200 + 3


def test_a_search_that_runs_out_of_time_is_resumed_by_the_next_run(world: ItemsWorld) -> None:
    claim_by_another(world, 5)
    for number in range(2_100):
        world.slack.channel.post(str(number), [], None)
    slow = slow_channel(world)
    for _ in range(5):
        world.ends_at = world.now + 20
        try:
            world.deliver(POSTS[:1], channel=slow)
        except Undelivered:
            continue
        break
    assert world.posted().count(IDS[0]) == 1


def test_a_post_that_returns_after_its_claim_ran_out_leaves_one_copy(world: ItemsWorld) -> None:
    other: list[int] = []

    class Late(Channel):
        def post(self, text: str, blocks: list[dict[str, Any]], metadata: dict[str, Any]) -> str:
            if not other:  # Slack takes a while, and meanwhile somebody takes the message over and posts it
                other.append(0)
                world.now += 13
                other[0] = world.deliver(POSTS[:1])
                world.now += 1
            return super().post(text, blocks, metadata)

    late = world.channel(Late)
    world.deliver(POSTS[:1], channel=late)
    assert other == [1]
    (message,) = world.slack.messages
    assert world.ledger.get(IDS[:1])[IDS[0]].ts == message.ts


def test_the_message_of_another_stack_is_not_taken_for_ones_own(world: ItemsWorld) -> None:
    claim_by_another(world, 5)
    metadata = item_metadata(RECORDS[0], "theirs")
    world.channel().post(POSTS[0].text, POSTS[0].blocks, metadata)
    world.now += 6
    own = replace(POSTS[0], metadata=item_metadata(RECORDS[0], "ours"))
    assert world.deliver([own]) == 1
    assert world.slack.posts == 2


def test_a_message_from_before_stacks_had_names_is_ones_own(world: ItemsWorld) -> None:
    claim_by_another(world, 5)
    world.channel().post(POSTS[0].text, POSTS[0].blocks, item_metadata(RECORDS[0]))
    world.now += 6
    assert world.deliver([replace(POSTS[0], metadata=item_metadata(RECORDS[0], "ours"))]) == 1
    assert world.slack.posts == 1
