"""The stack learns from signed presses, night by night, with no hand. `make learning` runs a month of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from local.machine import ROOT, Machine, one_machine
from model.dataset import read_examples
from model.learning.examples import Example
from osusume.messages import INTERESTED, NOT_INTERESTED
from osusume.records import Record
from osusume.snapshots import Snapshot, snapshot_key

DAYS, WORKS_A_DAY = int(os.environ.get("LEARNING_DAYS", "6")), 15
JSER = ROOT.parent / "shared" / "data" / "jser_platform.jsonl"
BEGIN = datetime(2026, 4, 1, 22, tzinfo=UTC)  # fixed, since the draws depend on it


@pytest.fixture(name="machine")
def _machine() -> Iterator[Machine]:
    with one_machine(parameters={"MadeUpTaste": "ignore"}, retry_delays=(0.0, 0.0)) as started:
        yield started


def a_morning(machine: Machine, day: int, examples: list[Example]) -> list[Record]:
    """Bring a day's works as the crawler does, and return their records once they are posted."""
    due_at = BEGIN + timedelta(days=day)
    key = snapshot_key("jser", due_at)
    body = json.dumps(Snapshot("jser", due_at, [each.item for each in examples]).to_json())
    machine.cloud.client("s3").put_object(Bucket=machine.cloud.resources["Bucket"], Key=key, Body=body)
    machine.cloud.wait_until_idle(120)
    return machine.records_of(key)


def an_evening(machine: Machine, likes: dict[str, bool]) -> None:
    """Press a button under every message that has none yet, as an owner does who answers all."""
    for message in machine.slack.messages:
        if message.item_id and machine.labels.get(message.item_id) is None:
            answer = machine.slack.press(message.ts, INTERESTED if likes[message.item_id] else NOT_INTERESTED)
            assert answer.status_code == 200


def a_night(machine: Machine) -> None:
    machine.cloud.fire_schedule("TrainerFunctionEveryNight")
    machine.cloud.wait_until_idle(120)
    machine.cloud.kill("ClassifierFunction")  # no process of Lambda's lives until the next morning


@pytest.mark.skipif(not JSER.exists(), reason="../shared is missing")
def test_days_of_presses_end_with_a_head_that_the_gate_promoted(machine: Machine) -> None:
    examples = read_examples(JSER)
    Random(1).shuffle(examples)  # noqa: S311
    likes = {each.item.item_id: each.is_interested for each in examples}
    records: list[Record] = []
    for day in range(DAYS):
        records += a_morning(machine, day, examples[day * WORKS_A_DAY : (day + 1) * WORKS_A_DAY])
        an_evening(machine, likes)
        a_night(machine)
    assert [i for i in machine.cloud.invocations if i.error] == []
    decisions = machine.ledger.decisions()
    last = records[-WORKS_A_DAY:]
    versions = {record.model_version for record in last}
    assert versions == {decision.version for decision in decisions[:-1] if decision.action == "promote"} & versions
    assert len(versions) == 1
    shown = [record for record in records if record.choice != "passed"]
    assert {record.why for record in shown} == {"varied", "recommended", "uncertain", "random"}
    assert all(0 < record.probability <= 1 and record.candidates == WORKS_A_DAY for record in shown)
    assert all((record.threshold is None) == (record.score is None) for record in records)
    promoted = [decision.version for decision in decisions if decision.action == "promote"]
    assert len(promoted) > 2
    # the third head is the first that the gate compared with another
    scored = [record for record in shown if record.score is not None]
    assert {(record.first_guess, record.model_version in promoted[:2]) for record in scored} == {
        (True, True),
        (False, False),
    }
    if DAYS < 30:
        return
    # it has learned: of what it recommended in the last ten days, more are liked than of all works
    late = [record for record in records[-10 * WORKS_A_DAY :] if record.choice == "recommended"]
    share = sum(likes[record.item.item_id] for record in late) / len(late)
    assert share > 2 * sum(likes.values()) / len(likes)
