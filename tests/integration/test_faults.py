"""A pick of what `make faults` does: after each fault nothing is lost, doubled or left halfway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.crash import SWEEPS, Step, crash, recorded
from faults.fault import Fault
from faults.harness import Harness, Settings, harness
from faults.load import reached_load
from faults.rows import Row
from faults.runner import FAULTS
from faults.table import wrong
from injector import Rule, at, rules_of, slow

STEPS = [
    ("crash-crawler", "s3:PutObject snapshots", "killed before"),
    ("crash-crawler", "s3:PutObject crawls/dlsite/crawl.json", "answer lost"),
    ("crash-notifier", "dynamodb:UpdateItem", "killed after"),
    ("crash-notifier", "slack:chat.postMessage", "killed after"),
    ("crash-feedback", "dynamodb:PutItem", "killed before"),
]


@pytest.fixture(scope="module")
def on() -> Iterator[Harness]:
    with harness() as started:
        yield started


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.is_quick and f.settings == Settings()], ids=lambda f: f.name)
def test_nothing_is_lost_or_doubled_after(fault: Fault, on: Harness) -> None:
    assert wrong([fault.row(on)]) == []


@pytest.mark.parametrize(("name", "operation", "moment"), STEPS)
def test_nothing_is_lost_or_doubled_when_a_function_breaks_at(
    name: str, operation: str, moment: str, on: Harness
) -> None:
    sweep = next(sweep for sweep in SWEEPS if sweep.name == name)
    step = next(step for step in recorded(on, sweep) if step.operation.startswith(operation))
    rows: dict[str, Row] = {}
    crash(on, sweep, step, moment, rows)
    assert wrong(rows.values()) == []
    assert [row.times for row in rows.values()] == [1]


def test_a_machine_too_slow_for_the_short_turns_of_a_sweep_loses_nothing(on: Harness) -> None:
    sweep = next(sweep for sweep in SWEEPS if sweep.name == "crash-crawler")
    on.time_limits = dict(sweep.settings.time_limits)
    rules_of(on.machine.site).append(Rule(at("/works/"), slow(on.time_limits[sweep.function] / 10)))
    step = Step("s3:GetObject crawls/dlsite/crawl.json", 1)
    rows: dict[str, Row] = {}
    crash(on, sweep, step, "killed before", rows)
    rules_of(on.machine.site).clear()
    on.time_limits = {}
    assert wrong(rows.values()) == []


def test_a_work_that_is_not_posted_counts_as_lost(on: Harness) -> None:
    audit = on.observe(lambda world: world.put_on_sale(1))
    assert audit.lost == 1
    assert on.observe(lambda world: world.a_day(0)).is_clean


def test_a_work_that_is_posted_twice_counts_as_doubled(on: Harness) -> None:
    message = on.newest_message()
    channel = on.machine.slack.channel
    again = channel.post(message.text, message.blocks, message.metadata)
    audit = on.observe(lambda _: None)
    channel.remove(again.ts)
    assert audit.doubled == 1


def test_a_press_whose_label_is_not_there_counts_as_lost(on: Harness) -> None:
    item_id = str(on.newest_message().item_id)
    on.pressed[item_id] = [*on.pressed.get(item_id, []), (2e9, True)]
    audit = on.observe(lambda _: None)
    on.pressed[item_id].pop()
    assert audit.presses_lost == 1


def test_a_load_that_was_not_reached_says_so_in_its_name() -> None:
    assert reached_load(1000, 49.8) == "1,000 presses, 50 a second"
    assert reached_load(1000, 29.3) == "1,000 presses, 29 a second: did not reach 50 a second"
