"""Alarms reach the channel in plain words, once, and so does their end."""

from __future__ import annotations

import copy
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from conftest import read_template

from notifier.alarms import changes, is_about_alarms
from notifier.events import InvalidEvent
from ops.__main__ import command_line
from osusume.messages import ALARMS, alarm_message

EVENT: Any = json.loads((Path(__file__).parents[2] / "events" / "alarm.json").read_text("utf-8"))


def changed(**parts: str) -> Any:
    event = copy.deepcopy(EVENT)
    sns = event["Records"][0]["Sns"]
    sns["Message"] = json.dumps({**json.loads(sns["Message"]), **parts})
    return event


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("osusume-ApiErrors-1AB2C", "ApiErrors"),
        ("my-osusume-dev-ApiErrors-q1w2", "ApiErrors"),
        ("by hand", "by hand"),
    ],
)
def test_an_alarm_is_known_by_its_name_in_the_template(name: str, said: str) -> None:
    (change,) = changes(changed(AlarmName=name))
    assert (change.name, change.is_over) == (said, False)
    assert change.at.isoformat() == "2026-04-01T22:10:00+00:00"


def test_an_alarm_is_over_only_if_it_rang() -> None:
    assert [each.is_over for each in changes(changed(NewStateValue="OK", OldStateValue="ALARM"))] == [True]
    assert changes(changed(NewStateValue="OK", OldStateValue="INSUFFICIENT_DATA")) == []
    assert changes(changed(NewStateValue="INSUFFICIENT_DATA", OldStateValue="ALARM")) == []


@pytest.mark.parametrize("message", ["", "[]", "1", "{}", '{"NewStateValue": "ALARM"}', "null"])
def test_a_notification_about_something_else_is_refused(message: str) -> None:
    event = copy.deepcopy(EVENT)
    event["Records"][0]["Sns"]["Message"] = message
    assert is_about_alarms(event)
    with pytest.raises(InvalidEvent):
        changes(event)


@pytest.mark.parametrize("event", [None, [], {}, {"Records": None}, {"Records": [1]}, {"Records": [{"s3": {}}]}])
def test_another_event_is_not_about_alarms(event: Any) -> None:
    assert not is_about_alarms(event)


def alarms() -> dict[str, Any]:
    resources = read_template()["Resources"]
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == "AWS::CloudWatch::Alarm"}


def test_every_alarm_of_the_template_has_words_and_tells_of_its_end() -> None:
    assert set(ALARMS) == set(alarms()) == {"SummaryMissing", "DeadLettersWaiting", "ApiErrors"}
    assert all(alarm["OKActions"] == alarm["AlarmActions"] for alarm in alarms().values())


def test_every_command_that_a_message_names_exists() -> None:
    parser = command_line()
    named = [line for _, step in ALARMS.values() for line in re.findall(r"python -m ops ([a-z -]+[a-z])", step)]
    assert named
    assert all(parser.parse_args(shlex.split(line)) for line in named)


def test_a_message_says_what_to_do_and_its_end_what_is_over() -> None:
    rings, _ = alarm_message("DeadLettersWaiting", is_over=False)
    over, blocks = alarm_message("DeadLettersWaiting", is_over=True)
    assert rings.startswith("🚨")
    assert over.startswith("✅")
    assert "python -m ops dead-letters list" in str(alarm_message("DeadLettersWaiting", is_over=False)[1])
    assert "次にすること" not in str(blocks)
    assert "docs/operations.md" in str(alarm_message("SomethingNew", is_over=False)[1])
