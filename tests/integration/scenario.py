"""Everything that the stack may do, function by function, on one machine. Problems are returned, not raised.

The permission tests remove one permission at a time and expect a problem.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import requests
from _pytest.capture import CaptureResult

from local.cloud.access import REGION
from local.cloud.errors import FunctionError
from local.machine import ROOT, Machine, one_machine
from model.serving.head import Head
from model.serving.package import ENCODER, HEAD, read_card, sealed
from ops.__main__ import main
from osusume.heads import Heads, StoredHead
from osusume.labels import Label
from osusume.ledger import labelled_elsewhere
from osusume.messages import INTERESTED, MENU, NOT_INTERESTED, UNDO_RULE
from osusume.records import RULES_KEY
from osusume.snapshots import Snapshot, snapshot_key
from samples.works import demo_works

MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)
WORKS = 4
_CRAWLER_SECONDS = 3.0
_CRAWL_DELAY = 0.5  # so that a crawl of four works does not fit one turn
_mornings = (MORNING + timedelta(days=day) for day in count())
_presses_given = count(1)
_new_ids = (f"RJ09{number:06}" for number in count())

Step = Callable[[Machine], Iterator[str]]


@contextmanager
def machine_after_a_morning() -> Iterator[Machine]:
    """Start a machine with a promoted head, and run a first morning on it, whose crawl takes more than one turn."""
    with one_machine(
        crawl_delay=_CRAWL_DELAY,
        parameters={"ItemLimit": str(WORKS), "ExploredItemsADay": "2", "SecondSource": "dlsite"},
        time_limits={"CrawlerFunction": _CRAWLER_SECONDS},
        retry_delays=(0.0, 0.0),
    ) as machine:
        machine.site.days = (machine.site.days[0], WORKS)
        promote_another_head(machine)
        assert list(_a_crawl(machine, day=1, turns=2)) == []
        yield machine


def promote_another_head(machine: Machine) -> None:
    """Store and promote a head for the classifier's encoder that is not the one in its package."""
    starter = ROOT / "model" / "starter"
    head = Head.from_bytes((starter / HEAD).read_bytes())
    head = replace(head, bias=head.bias + 1.0)
    card = sealed(replace(read_card(starter), version="another"), head)
    heads = Heads(machine.cloud.client("s3"), machine.cloud.resources["Bucket"], card.files[ENCODER])
    heads.store(card.version, StoredHead(json.dumps(card.to_json()).encode(), head.to_bytes()))
    heads.promote(card.version)


def owners_environment(machine: Machine) -> dict[str, str]:
    """Return the environment of a user with keys to the account, whom this makes."""
    iam = machine.cloud.client("iam")
    iam.create_user(UserName="owner")
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_user_policy(UserName="owner", PolicyName="all", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="owner")["AccessKey"]
    return {
        "AWS_ENDPOINT_URL": machine.cloud.endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SLACK_API_URL": machine.slack.api_url,
    }


def operated(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    typed: str = "",
    fail: bool = False,
) -> CaptureResult[str]:
    """Run `python -m ops` with `typed` on its standard input, and return what it prints; it must `fail` or succeed."""
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    status = main(arguments)
    told = capsys.readouterr()
    assert status == int(fail), told
    return told


def problems_of(machine: Machine, function: str) -> list[str]:
    """Return what goes wrong in all that a function may do, up to the first step with a problem.

    The function starts anew, and every step brings its own snapshot or label, so that what ran before does not matter.
    """
    machine.cloud.kill(function)
    stored = set(machine.snapshot_keys)
    try:
        return next((problems for step in STEPS[function] if (problems := list(step(machine)))), [])
    finally:
        machine.cloud.wait_until_idle(60)
        machine.cloud.delivery_errors.clear()
        s3, bucket = machine.cloud.client("s3"), machine.cloud.resources["Bucket"]
        begun = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="crawls/").get("Contents", [])]
        for key in {*begun, *machine.snapshot_keys} - stored:
            s3.delete_object(Bucket=bucket, Key=key)


def _a_crawl_that_finds_nothing_new(machine: Machine) -> Iterator[str]:
    yield from _a_crawl(machine, day=1, turns=1)


def _a_crawl_of_new_works(machine: Machine) -> Iterator[str]:
    yield from _a_crawl(machine, day=2, turns=2)


def _a_crawl(machine: Machine, *, day: int, turns: int) -> Iterator[str]:
    """Crawl the shop as of a day; only works that no snapshot holds take more than one turn."""
    before = len(machine.cloud.invocations)
    keys = machine.snapshot_keys
    machine.begin_day(day, next(_mornings))
    machine.cloud.wait_until_idle(120)
    yield from _errors(machine, before)
    taken = sum(each.function == "CrawlerFunction" for each in machine.cloud.invocations[before:])
    if (taken > 1) != (turns > 1):
        yield f"the crawl took {taken} turns"
    if len(machine.snapshot_keys) != len(keys) + 1:
        yield "there is no new snapshot"


def _a_new_snapshot(machine: Machine) -> Iterator[str]:
    """Give the notifier a snapshot of new works."""
    before, posts = len(machine.cloud.invocations), machine.slack.posts
    items = [replace(item, item_id=next(_new_ids)) for item in demo_works()[:WORKS]]
    due_at = next(_mornings)
    key = snapshot_key(items[0].source, due_at)
    body = json.dumps(Snapshot(items[0].source, due_at, items).to_json())
    machine.cloud.client("s3").put_object(Bucket=machine.cloud.resources["Bucket"], Key=key, Body=body)
    machine.cloud.wait_until_idle(60)
    yield from _errors(machine, before)
    versions = {record.model_version for record in machine.records_of(key)}
    if not versions or not all(version.startswith("another-") for version in versions):
        yield f"items were scored by {versions}, not by the promoted head"
    if machine.slack.posts < posts + 2:
        yield "no item and no summary was posted"


def warm_up(machine: Machine) -> None:
    """Start the feedback function: Slack waits three seconds for a press, and a busy machine may need longer."""
    requests.post(f"{machine.cloud.api_url}/slack/interactions", data="payload={}", timeout=30)
    machine.cloud.wait_until_idle(60)  # the API gives up after three seconds too, and the function goes on


def _presses(machine: Machine) -> Iterator[str]:
    machine.cloud.dynamodb().Table(machine.cloud.resources["ItemsTable"]).delete_item(Key={"item_id": RULES_KEY})
    warm_up(machine)
    message = next(message for message in machine.slack.messages if message.item_id)
    assert message.item_id
    for action in (INTERESTED, NOT_INTERESTED):
        status = machine.press(message.ts, action)
        if status != 200:
            yield f"a press was answered {status}"
    label = machine.labels.get(message.item_id)
    if label is None or label.is_interested:
        yield "the last press is not the label"
    late = machine.press(message.ts, INTERESTED, at=MORNING.timestamp())
    if late != 200:
        yield f"a late press was answered {late}"
    told = len(machine.slack.ephemerals)
    machine.press(message.ts, f"{MENU}:{message.item_id}", option="pause")
    if not any(rule.is_set for rule in machine.rules.all()):
        yield "the rule is not stored"
        return
    if len(machine.slack.ephemerals) == told:
        yield "the owner was not told of the rule"
        return
    machine.press(machine.slack.ephemerals[-1].ts, UNDO_RULE)
    if machine.rules.all()[-1].is_set:
        yield "the rule is not undone"


def _a_deleted_snapshot(machine: Machine) -> Iterator[str]:
    event = next(i.event for i in machine.cloud.invocations if i.function == "NotifierFunction")
    event = deepcopy(event)
    event["Records"][0]["s3"]["object"]["key"] = "snapshots/dlsite/2026/01/01/000000Z.json"
    try:
        machine.cloud.invoke("NotifierFunction", event)
    except FunctionError as error:
        yield f"the event of a deleted snapshot: {error}"


def _a_dead_letter_of_the_crawler(machine: Machine) -> Iterator[str]:
    waiting = dead_letters(machine)
    machine.cloud.invoke_async("CrawlerFunction", {"scheduled_at": "never"})
    yield from _one_more_dead_letter(machine, waiting)


def _a_dead_letter_of_the_notifier(machine: Machine) -> Iterator[str]:
    waiting = dead_letters(machine)
    bucket = machine.cloud.resources["Bucket"]
    machine.cloud.client("s3").put_object(Bucket=bucket, Key="snapshots/dlsite/broken.json", Body=b"{")
    yield from _one_more_dead_letter(machine, waiting)


def _a_dead_letter_of_the_feedback_function(machine: Machine) -> Iterator[str]:
    waiting = dead_letters(machine)
    machine.cloud.invoke_async("FeedbackFunction", {"tell": {}})
    yield from _one_more_dead_letter(machine, waiting)


def _one_more_dead_letter(machine: Machine, before: int) -> Iterator[str]:
    machine.cloud.wait_until_idle(60)
    yield from machine.cloud.delivery_errors
    if dead_letters(machine) != before + 1:
        yield "the failed event is not in the dead-letter queue"


def _errors(machine: Machine, first: int) -> Iterator[str]:
    for invocation in machine.cloud.invocations[first:]:
        if invocation.error:
            yield f"{invocation.function}: {invocation.error.get('errorMessage')}"
    yield from machine.cloud.delivery_errors


def _logs(function: str) -> Step:
    """Return a step that looks whether the function could write what it has logged so far."""

    def step(machine: Machine) -> Iterator[str]:
        group = f"/aws/lambda/{machine.cloud.resources[function]}"
        if not machine.cloud.client("logs").filter_log_events(logGroupName=group)["events"]:
            yield f"{group} is empty"
        yield from machine.cloud.delivery_errors

    return step


def dead_letters(machine: Machine) -> int:
    """Return the number of events in the dead-letter queue."""
    attributes = machine.cloud.client("sqs").get_queue_attributes(
        QueueUrl=machine.cloud.resources["DeadLetters"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


def _a_night(machine: Machine) -> Iterator[str]:
    """Give the trainer labels of both kinds that no night has seen, and let it learn."""
    before = len(machine.cloud.invocations)
    for number, item in enumerate(demo_works()[:24]):
        machine.ledger.record(labelled_elsewhere(item, 1.0))
        action_ts = f"{MORNING.timestamp() + next(_presses_given)}"
        machine.labels.store(Label(item.item_id, number % 3 == 0, "U1", action_ts, "2026-04-01 07:00:00"))
    machine.labels.store(Label(next(_new_ids), None, "U1", f"{next(_presses_given)}", ""))  # something new
    machine.cloud.fire_schedule("TrainerFunctionEveryNight")
    machine.cloud.wait_until_idle(120)
    yield from _errors(machine, before)
    decision = machine.ledger.last_decision()
    if decision is None or datetime.fromisoformat(decision.at) < datetime.now(UTC) - timedelta(minutes=2):
        yield "the night's decision is not in the ledger"


def _a_dead_letter_of_the_trainer(machine: Machine) -> Iterator[str]:
    waiting = dead_letters(machine)
    machine.cloud.invoke_async("TrainerFunction", ["no event"])
    yield from _one_more_dead_letter(machine, waiting)


# what takes longest comes last: a missing permission is mostly noticed before
STEPS: dict[str, tuple[Step, ...]] = {
    "CrawlerFunction": (
        _a_dead_letter_of_the_crawler,
        _logs("CrawlerFunction"),
        _a_crawl_that_finds_nothing_new,
        _a_crawl_of_new_works,
    ),
    "NotifierFunction": (
        _a_deleted_snapshot,
        _a_dead_letter_of_the_notifier,
        _a_new_snapshot,
        _logs("NotifierFunction"),
    ),
    "ClassifierFunction": (_a_new_snapshot, _logs("ClassifierFunction")),
    "FeedbackFunction": (_presses, _a_dead_letter_of_the_feedback_function, _logs("FeedbackFunction")),
    "TrainerFunction": (_a_dead_letter_of_the_trainer, _logs("TrainerFunction"), _a_night),
}
