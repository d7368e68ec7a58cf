"""The whole stack on one machine, from the schedule to the stored press."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from feed_server import serve_feeds

from local.__main__ import main
from local.machine import BOT_TOKEN, NIGHT_SCHEDULE, SCHEDULE, SECOND_SCHEDULE, Machine, one_machine
from local.slack import as_text, duplicate_posts
from osusume.messages import INTERESTED, NOT_INTERESTED
from osusume.snapshots import Snapshot, snapshot_key
from osusume.wishes import Bought, Wishes, WishStore
from samples.works import demo_works, made_up_taste

MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)


def a_morning(machine: Machine, day: int = 1) -> str:
    """Run a day's crawl to its end and return the snapshot's key."""
    machine.begin_day(day, MORNING + timedelta(days=day - 1))
    machine.cloud.wait_until_idle(120)
    assert [i.error for i in machine.cloud.invocations if i.error] == []
    assert machine.cloud.delivery_errors == []
    return machine.snapshot_keys[-1]


def pages_read(machine: Machine) -> list[str]:
    return [path for _, path, _ in machine.site.log if "/work/=/product_id/" in path]


def posted_items(machine: Machine) -> list[str]:
    return sorted(message.item_id for message in machine.slack.messages if message.item_id)


def summaries(machine: Machine) -> int:
    return sum(message.item_id is None for message in machine.slack.messages)


def counts_of_summaries(machine: Machine) -> list[dict[str, Any]]:
    """Return the log lines that CloudWatch makes the metric SummariesPosted of."""
    events = machine.cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/osusume-notifier")["events"]
    return [json.loads(event["message"]) for event in events if '"SummariesPosted"' in event["message"]]


def lines(machine: Machine, function: str) -> list[dict[str, Any]]:
    """Return what a function logged as JSON while it handled events."""
    group = f"/aws/lambda/osusume-{function}"
    events = machine.cloud.client("logs").filter_log_events(logGroupName=group)["events"]
    logged = [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
    return [line for line in logged if "function_request_id" in line or "_aws" in line]


def test_the_demo_reads_and_posts_on_its_second_day_only_what_is_new(tmp_path: Path) -> None:
    assert main(["demo", "--no-serve", "--folder", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    first, second = summary["days"]
    assert second["fetched"] == second["new"] > 0
    assert second["requests"] == second["new"] + 2
    assert second["posted"] == second["recommended"] + second["explored"]
    assert first["posted"] > 0
    assert summary["duplicate_posts"] == 0
    assert {path.stem for path in (tmp_path / "logs").iterdir()} >= {"CrawlerFunction", "NotifierFunction"}


def test_a_crawl_that_does_not_fit_the_time_limit_calls_itself_and_its_key_is_in_every_log_until_the_night() -> None:
    # an answer may take a fifth of the limit, which leaves a busy machine enough time: a late one is requested again
    limits = {"CrawlerFunction": 15.0}
    with one_machine(crawl_delay=1.5, time_limits=limits, parameters={"ItemLimit": "20"}) as machine:
        key = a_morning(machine)
        turns = [i for i in machine.cloud.invocations if i.function == "CrawlerFunction"]
        assert len(turns) > 2
        assert [turn.trigger for turn in turns] == ["schedule"] + ["sdk"] * (len(turns) - 1)
        assert len(machine.snapshot_keys) == 1
        snapshot = machine.snapshot(key)
        assert snapshot.failures == []
        assert max(Counter(pages_read(machine)).values()) == 1
        assert len(pages_read(machine)) == len(snapshot.items)
        assert len(machine.site.log) == len(snapshot.items) + 2

        item_id = posted_items(machine)[0]
        assert machine.press(item_id, INTERESTED) == 200
        machine.cloud.fire_schedule(NIGHT_SCHEDULE)
        machine.cloud.wait_until_idle(60)
        for function in ("crawler", "notifier", "classifier", "feedback"):
            assert {line["snapshot"] for line in lines(machine, function)} == {key}
        crawled = {line["function_request_id"] for line in lines(machine, "crawler") if "message" in line}
        assert crawled == {turn.request_id for turn in turns}
        stored = next(line for line in lines(machine, "feedback") if line["message"] == "press stored")
        learned = [line for line in lines(machine, "trainer") if line.get("snapshot") == key]
        assert [item_id] == [stored["item_id"]] == learned[0]["item_ids"]


def test_an_event_delivered_five_times_twice_at_the_same_time_posts_each_item_once() -> None:
    with one_machine(crawl_delay=0.0, parameters={"ItemLimit": "30"}) as machine:
        key = a_morning(machine)
        items = posted_items(machine)
        for times in (1, 2, 1):
            machine.cloud.deliver_s3_event(key, times=times)
            machine.cloud.wait_until_idle(60)
        assert sum(i.function == "NotifierFunction" for i in machine.cloud.invocations) == 5
        assert posted_items(machine) == items
        assert duplicate_posts(machine.slack.log) == 0
        assert summaries(machine) == 1
        (counted,) = counts_of_summaries(machine)
        assert (counted["SummariesPosted"], counted["stack"], counted["service"]) == ([1.0], "osusume", "notifier")


def test_two_first_deliveries_at_the_same_time_post_each_item_once() -> None:
    with one_machine(crawl_delay=0.0, parameters={"ItemLimit": "30"}) as machine:
        bucket, s3 = machine.cloud.resources["Bucket"], machine.cloud.client("s3")
        a_morning(machine)
        body = s3.get_object(Bucket=bucket, Key=machine.snapshot_keys[0])["Body"].read()
    with one_machine() as machine:
        machine.cloud.client("s3").put_object(Bucket=bucket, Key="snapshots/dlsite/first.json", Body=body)
        machine.cloud.deliver_s3_event("snapshots/dlsite/first.json")
        machine.cloud.wait_until_idle(60)
        chosen = [r.item.item_id for r in machine.records_of("snapshots/dlsite/first.json") if r.choice != "passed"]
        assert sum(i.function == "NotifierFunction" for i in machine.cloud.invocations) == 2
        assert posted_items(machine) == sorted(chosen)
        assert summaries(machine) == 1


def test_two_sources_in_one_stack_make_a_snapshot_each_though_every_schedule_fires_twice() -> None:
    with serve_feeds() as feeds:
        feeds.publish(["波の便り", "雨の便り"])
        second = {"SecondSource": "feed", "Feeds": feeds.address(), "ItemLimit": "10"}
        with one_machine(crawl_delay=0.0, parameters=second) as machine:
            machine.begin_day(1, MORNING)
            machine.cloud.fire_schedule(SCHEDULE, MORNING)
            for _ in range(2):
                machine.cloud.fire_schedule(SECOND_SCHEDULE, MORNING)
            machine.cloud.wait_until_idle(60)
            sources = sorted(machine.snapshot(key).source for key in machine.snapshot_keys)
            records = [record for key in machine.snapshot_keys for record in machine.records_of(key)]
            assert [i.error for i in machine.cloud.invocations if i.error] == []
            assert sources == ["dlsite", "feed"]
            assert max(Counter(pages_read(machine)).values()) == feeds.asked() == 1
            assert posted_items(machine) == sorted(r.item.item_id for r in records if r.choice != "passed")
            assert summaries(machine) == 2


def test_a_snapshot_under_a_key_with_spaces_plus_signs_and_japanese_is_posted() -> None:
    with one_machine(crawl_delay=0.0, parameters={"ItemLimit": "10"}) as machine:
        bucket, s3 = machine.cloud.resources["Bucket"], machine.cloud.client("s3")
        key = a_morning(machine)
        again = "snapshots/dlsite/手で 置いた+もの.json"
        s3.copy_object(Bucket=bucket, Key=again, CopySource={"Bucket": bucket, "Key": key})
        machine.cloud.wait_until_idle(60)
        assert [i.error for i in machine.cloud.invocations if i.error] == []
        assert again in {(m.metadata or {}).get("event_payload", {}).get("snapshot") for m in machine.slack.messages}


def test_before_any_press_the_owners_words_choose_the_first_morning_and_are_marked_as_a_guess() -> None:
    works = demo_works()[:100]
    likes = {work.item_id: made_up_taste(work) for work in works}
    liked = [work for work in demo_works()[100:] if made_up_taste(work)]
    rate = sum(likes.values()) / len(likes)
    names = ["薄荷野すず", "糸杉谷なぎ", "三等客車の窓", "雨", "睡眠"]  # as `made_up_taste` says
    shares = []
    for wishes in (Wishes(names), Wishes(names, [Bought(work.title, work.attributes) for work in liked[:30]])):
        with one_machine(parameters={"MadeUpTaste": "ignore"}, retry_delays=(0.0, 0.0)) as machine:
            store = WishStore(machine.cloud.dynamodb(), machine.cloud.resources["ItemsTable"])
            assert store.replace(Wishes(), wishes)
            key = snapshot_key("demo", MORNING)
            body = json.dumps(Snapshot("demo", MORNING, works).to_json())
            machine.cloud.client("s3").put_object(Bucket=machine.cloud.resources["Bucket"], Key=key, Body=body)
            machine.cloud.wait_until_idle(120)
            wished = [record for record in machine.records_of(key) if record.why == "wished"]
            assert all("推測" in as_text(machine.slack.message(record.item.item_id)) for record in wished)
            shares.append(sum(likes[record.item.item_id] for record in wished) / len(wished))
    assert min(shares) >= 2 * rate  # tests/unit/test_first_morning.py compares the two, over several mornings


def test_without_a_learnt_taste_varied_works_are_posted_and_said_to_be_so() -> None:
    parameters = {"ItemLimit": "30", "MadeUpTaste": "ignore", "ExploredItemsADay": "4"}
    with one_machine(crawl_delay=0.0, parameters=parameters) as machine:
        records = machine.records_of(a_morning(machine))
        assert Counter(record.choice for record in records) == {"explored": 5, "passed": len(records) - 5}
        assert all(record.score is None for record in records)
        assert len(posted_items(machine)) == 5


def test_a_press_becomes_a_label_and_the_last_one_stands() -> None:
    with one_machine(crawl_delay=0.0, parameters={"ItemLimit": "10"}) as machine:
        a_morning(machine)
        item_id = posted_items(machine)[0]
        for action in (INTERESTED, NOT_INTERESTED):
            assert machine.press(item_id, action) == 200
        label = machine.labels.get(item_id)
        assert label is not None
        assert (label.is_interested, label.user_id, label.origin) == (False, "U0OWNER", "slack")
        assert "別に…" in str(machine.slack.message(item_id).blocks[2])


def test_a_press_of_somebody_else_is_not_a_label_where_users_are_named() -> None:
    parameters = {"ItemLimit": "10", "AllowedSlackUsers": "U0OWNER, U0PARTNER"}
    with one_machine(crawl_delay=0.0, parameters=parameters) as machine:
        a_morning(machine)
        item_id = posted_items(machine)[0]
        assert machine.press(item_id, INTERESTED, user_id="U0STRANGER") == 200
        assert machine.labels.get(item_id) is None
        assert machine.slack.ephemerals
        assert machine.press(item_id, INTERESTED, user_id="U0PARTNER") == 200
        assert machine.labels.get(item_id) is not None


def test_a_missing_secret_is_an_error_that_names_the_parameter_and_loses_nothing() -> None:
    with one_machine(crawl_delay=0.0, parameters={"ItemLimit": "10"}, retry_delays=(0.0, 0.0)) as machine:
        ssm = machine.cloud.client("ssm")
        ssm.delete_parameter(Name="/osusume/slack-bot-token")
        machine.begin_day(1, MORNING)
        machine.cloud.wait_until_idle(60)
        errors = [str((i.error or {}).get("errorMessage")) for i in machine.cloud.invocations if i.error]
        assert len(errors) == 3
        assert all("/osusume/slack-bot-token" in error and "python -m ops secrets" in error for error in errors)
        ssm.put_parameter(Name="/osusume/slack-bot-token", Value=BOT_TOKEN, Type="SecureString")
        machine.cloud.deliver_s3_event(machine.snapshot_keys[0])
        machine.cloud.wait_until_idle(60)
        chosen = [r for r in machine.records_of(machine.snapshot_keys[0]) if r.choice != "passed"]
        assert len(posted_items(machine)) == len(chosen) > 0
