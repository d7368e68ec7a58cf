"""The weekly report: written by the trainer, posted once with the next morning's works, printed by `python -m ops`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from scenario import operated, owners_environment, warm_up

from local.machine import Machine, one_machine
from local.slack import as_text
from osusume.messages import UNDO_RULE
from osusume.records import Run
from osusume.rules import Rule
from osusume.snapshots import Snapshot, snapshot_key
from samples.works import demo_works

MORNING = datetime(2026, 4, 1, 22, tzinfo=UTC)


@pytest.fixture(scope="module", name="machine")
def _machine() -> Iterator[Machine]:
    with one_machine(parameters={"MadeUpTaste": "ignore"}, retry_delays=(0.0, 0.0)) as machine:
        yield machine


def a_morning(machine: Machine, day: int) -> None:
    works = demo_works()[day * 3 : day * 3 + 3]
    due_at = MORNING + timedelta(days=day)
    body = json.dumps(Snapshot("demo", due_at, works).to_json())
    key = snapshot_key("demo", due_at)
    machine.cloud.client("s3").put_object(Bucket=machine.cloud.resources["Bucket"], Key=key, Body=body)
    machine.cloud.wait_until_idle(60)


def test_the_report_comes_once_with_the_next_morning_and_shows_rules_to_undo(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in owners_environment(machine).items():
        monkeypatch.setenv(name, value)
    assert "no run in the last whole week" in operated(monkeypatch, capsys, "report", fail=True).err

    machine.ledger.record(Run("snapshots/demo/of-last-week.json", time.time() - 7 * 86_400, 9, 0, 9, 5, 3, 1))
    machine.rules.store(Rule("circle", "星屑工房", "1.0"))
    assert "週のまとめ" in operated(monkeypatch, capsys, "report").out  # which records nothing
    assert machine.ledger.unfinished().reports == {}
    for _ in range(2):
        machine.cloud.fire_schedule("TrainerFunctionEveryNight")
        machine.cloud.wait_until_idle(120)
    for day in range(2):
        a_morning(machine, day)
    reports = [message for message in machine.slack.messages if "週のまとめ" in message.text]
    assert len(reports) == 1
    assert "サークル「星屑工房」" in as_text(reports[0])
    warm_up(machine)
    assert machine.press(reports[0].ts, UNDO_RULE) == 200
    assert not machine.rules.all()[0].is_set
