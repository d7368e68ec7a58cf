"""Tells the owner in the channel that an alarm of CloudWatch rings, and that it is over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.data_classes import SNSEvent

from notifier.channel import Channel
from notifier.events import InvalidEvent
from osusume.messages import alarm_message, alarm_metadata

RINGS, IS_OVER = "ALARM", "OK"
_NAMED_BY_CLOUDFORMATION = re.compile(r"-([A-Za-z0-9]+)-[A-Za-z0-9]+$")
_LOOK_BACK = 3_600.0
"""From so many seconds before a change its message is looked for: CloudWatch's clock and Slack's may differ."""


@dataclass(frozen=True, slots=True)
class Change:
    """An alarm that began to ring or is over; `name` is its name in the template, `at` when it changed."""

    name: str
    is_over: bool
    at: datetime


def is_about_alarms(event: Any) -> bool:
    """Return whether an event comes from the topic of the alarms."""
    records = event.get("Records") if isinstance(event, dict) else None
    return isinstance(records, list) and any(isinstance(each, dict) and "Sns" in each for each in records)


def changes(event: Any) -> list[Change]:
    """Return the alarms of an event that began to ring or are over. Raises `InvalidEvent`.

    An alarm that is over without having rung, as all are after a deployment, is left out.
    """
    try:
        found = [json.loads(record.sns.message) for record in SNSEvent(event).records]
        return [
            Change(_name(said["AlarmName"]), said["NewStateValue"] == IS_OVER, _time(said["StateChangeTime"]))
            for said in found
            if said["NewStateValue"] == RINGS or (said["NewStateValue"] == IS_OVER and said["OldStateValue"] == RINGS)
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidEvent(f"the event is no notification about alarms: {type(error).__name__} {error}") from error


def tell(changed: Iterable[Change], channel: Channel, stack: str) -> None:
    """Post a message for each change, unless the channel has it: SNS may deliver a notification twice.

    Raises as `Channel.post` does.
    """
    for change in changed:
        metadata = alarm_metadata(change.name, change.at.isoformat(), stack)
        if channel.find(metadata, change.at.timestamp() - _LOOK_BACK) is None:
            channel.post(*alarm_message(change.name, is_over=change.is_over), metadata)


def _name(name: str) -> str:
    """Return the name in the template of an alarm that CloudFormation named."""
    found = _NAMED_BY_CLOUDFORMATION.search(name)
    return found[1] if found else name


def _time(text: str) -> datetime:
    """Return the time of a change, which CloudWatch writes as 2026-04-01T22:00:00.000+0000."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
