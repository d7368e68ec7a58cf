"""A short run of everything the stack is allowed to do; what goes wrong in it is returned, not raised.

The permission tests take one permission away at a time and want to see it here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from botocore.exceptions import ClientError

from local.cloud import AccessDenied, CloudError, FunctionError
from local.machine import ROOT, Machine, one_machine
from model.serving.head import Head
from model.serving.package import ENCODER, HEAD, read_card, sealed
from osusume.heads import Heads, StoredHead
from osusume.messages import INTERESTED, NOT_INTERESTED

MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)
CRAWLER_SECONDS = 3.0
CRAWL_DELAY = 0.5  # so that a crawl of six works does not fit one turn
WORKS = 6
FUNCTIONS = ("Crawler", "Notifier", "Classifier", "Feedback")

Edit = Callable[[dict[str, Any]], None]


def problems_of_a_run(edit: Edit | None = None) -> list[str]:
    """Return what goes wrong in a run with the transformed template changed by `edit`; nothing goes wrong with none."""
    with one_machine(
        crawl_delay=CRAWL_DELAY,
        parameters={"ItemLimit": str(WORKS), "ExploredItemsADay": "2"},
        time_limits={"CrawlerFunction": CRAWLER_SECONDS},
        retry_delays=(0.0, 0.0),
        edit=edit,
    ) as machine:
        for step in (_morning, _promoted_head, _presses, _a_deleted_snapshot, _dead_letters, _logs):
            if problems := list(step(machine)):
                return problems
        return list(machine.cloud.delivery_errors)


def promote_another_head(machine: Machine, name: str = "another") -> str:
    """Store and promote a head for the classifier's encoder that is not the one in its package; return its version."""
    starter = ROOT / "model" / "starter"
    head = Head.from_bytes((starter / HEAD).read_bytes())
    head = replace(head, bias=head.bias + 1.0)
    card = sealed(replace(read_card(starter), version=name), head)
    heads = Heads(machine.cloud.client("s3"), machine.cloud.resources["Bucket"], card.files[ENCODER])
    heads.store(card.version, StoredHead(json.dumps(card.to_json()).encode(), head.to_bytes()))
    heads.promote(card.version)
    return card.version


def _morning(machine: Machine) -> Iterator[str]:
    promote_another_head(machine)
    try:
        machine.begin_day(1, MORNING)
    except AccessDenied as error:
        yield str(error)
        return
    machine.cloud.wait_until_idle(120)
    yield from _errors(machine)
    crawls = [invocation for invocation in machine.cloud.invocations if invocation.function == "CrawlerFunction"]
    if len(crawls) < 2:
        yield "the crawl did not call itself"
    if not machine.snapshot_keys:
        yield "there is no snapshot"
    elif machine.slack.posts < 2:
        yield "no item and no summary was posted"
    else:
        machine.begin_day(1, MORNING + timedelta(days=1))
        machine.cloud.wait_until_idle(60)
        yield from _errors(machine)
        if len(machine.snapshot_keys) != 2:
            yield "there is no second snapshot"
        if len(machine.site.log) != 2:
            yield "the second crawl read pages again"


def _promoted_head(machine: Machine) -> Iterator[str]:
    versions = {record.model_version for record in machine.records_of(machine.snapshot_keys[0])}
    if not versions or not all(version.startswith("another-") for version in versions):
        yield f"items were scored by {versions}, not by the promoted head"


def warm_up(machine: Machine) -> None:
    """Start the feedback function: Slack waits three seconds for a press, a busy machine may start it for longer."""
    requests.post(f"{machine.cloud.api_url}/slack/interactions", data="payload={}", timeout=30)


def _presses(machine: Machine) -> Iterator[str]:
    warm_up(machine)
    message = next(message for message in machine.slack.messages if message.item_id)
    assert message.item_id
    for action in (INTERESTED, NOT_INTERESTED):
        answer = machine.slack.press(message.ts, action)
        if answer.status_code != 200:
            yield f"a press was answered {answer.status_code}"
    label = machine.labels.get(message.item_id)
    if label is None or label.is_interested:
        yield "the last press is not the label"
    late = machine.slack.press(message.ts, INTERESTED, at=MORNING.timestamp())
    if late.status_code != 200:
        yield f"a late press was answered {late.status_code}"


def _a_deleted_snapshot(machine: Machine) -> Iterator[str]:
    event = next(i.event for i in machine.cloud.invocations if i.function == "NotifierFunction")
    event = json.loads(json.dumps(event).replace(machine.snapshot_keys[0], "snapshots/dlsite/2026/01/01/000000Z.json"))
    try:
        machine.cloud.invoke("NotifierFunction", event)
    except FunctionError as error:
        yield f"the event of a deleted snapshot: {error}"


def _dead_letters(machine: Machine) -> Iterator[str]:
    """Events that fail for good end in the queue."""
    machine.cloud.invoke_async("CrawlerFunction", {"scheduled_at": "never"})
    bucket = machine.cloud.resources["Bucket"]
    machine.cloud.client("s3").put_object(Bucket=bucket, Key="snapshots/dlsite/broken.json", Body=b"{")
    machine.cloud.wait_until_idle(60)
    yield from machine.cloud.delivery_errors
    waiting = _dead_letter_count(machine)
    if waiting != 2:
        yield f"{waiting} of 2 failed events are in the dead-letter queue"


def _logs(machine: Machine) -> Iterator[str]:
    logs = machine.cloud.client("logs")
    for function in FUNCTIONS:
        group = f"/aws/lambda/{machine.cloud.resources[f'{function}Function']}"
        try:
            if not logs.filter_log_events(logGroupName=group)["events"]:
                yield f"{group} is empty"
        except ClientError as error:
            yield f"{group}: {error}"


def _errors(machine: Machine) -> Iterator[str]:
    for invocation in machine.cloud.invocations:
        if invocation.error:
            yield f"{invocation.function}: {invocation.error.get('errorMessage')}"
    yield from machine.cloud.delivery_errors


def _dead_letter_count(machine: Machine) -> int:
    queue = machine.cloud.resources["DeadLetters"]
    attributes = machine.cloud.client("sqs").get_queue_attributes(
        QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


def dead_letters_of_a_schedule_that_may_not_invoke(edit: Edit) -> int:
    """Return how many dead letters a firing of the schedule leaves; -1 where it may not even write one."""
    with one_machine(edit=edit) as machine:
        try:
            machine.begin_day(1, MORNING)
        except AccessDenied as error:
            return -1 if "dead-letter" in str(error) else _dead_letter_count(machine)
        except CloudError:
            return -1
        return 0
