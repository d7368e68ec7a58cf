"""Presses as they should not come: out of order, forged, stale, foreign, too large, repeated."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from injector import Rule, calls, late

from faults.fault import Fault
from faults.harness import Harness
from local.slack import Message, signed_interaction
from local.slack.channel import as_ts
from local.slack.interactions import block_actions, find_button
from osusume.messages import INTERESTED, NOT_INTERESTED

GROUP = "Presses"
ORDERS, PRESSES = 4, 10
REPLAY_SECONDS = 301
OVERSIZED = (300_000, 5_900_000, 6_300_000, 10_600_000)
"""Bytes around what Slack sends at most, what Lambda takes and what the API takes."""


def _ten_in_a_second(on: Harness) -> int:
    """Press ten times within a second, in four orders of arrival, some at the same time."""
    order = random.Random(10)  # noqa: S311  # shuffles presses
    message = on.newest_message()
    for _ in range(ORDERS):
        begins = time.time()
        presses = [(begins + number / PRESSES, number % 2 == 0) for number in range(PRESSES)]
        order.shuffle(presses)
        with ThreadPoolExecutor(4) as several:
            taken = several.map(lambda press: on.press(message, _action(press[1]), at=press[0]), presses)
            missed = [press for press, was_taken in zip(presses, taken, strict=True) if not was_taken]
        for at, is_interested in missed:  # cold starts at once can outlast Slack's three seconds
            on.press(message, _action(is_interested), at=at)
    return ORDERS * PRESSES


def _action(is_interested: bool) -> str:
    return INTERESTED if is_interested else NOT_INTERESTED


def _payload(on: Harness, message: Message, action_id: str = NOT_INTERESTED) -> dict[str, Any]:
    """Return what Slack sends of a press now."""
    button = find_button(message, action_id)
    assert button is not None  # every item's message has both
    slack = on.machine.slack
    url = slack.address + slack.response_urls.issue(message, "U0OWNER", time.time())
    return block_actions(
        slack.channel, message, button, user_id="U0OWNER", action_ts=as_ts(time.time()), response_url=url
    )


def _send(
    on: Harness, payload: dict[str, Any], *, secret: str | None = None, age: float = 0.0, signature: str | None = None
) -> int:
    """Send a press, signed with a secret (by default the right one) `age` seconds ago; return the HTTP status."""
    signed, body = signed_interaction(payload, secret or on.machine.slack.signing_secret, time.time() - age)
    url = f"{on.machine.cloud.api_url}/slack/interactions"
    if signature is not None:
        signed["X-Slack-Signature"] = signature
    return requests.post(url, data=body, headers=signed, timeout=30).status_code


def _must_be_refused(statuses: list[int]) -> int:
    if taken := [status for status in statuses if status < 400]:
        raise AssertionError(f"{len(taken)} presses were taken that should be refused")
    return len(statuses)


def _forged(on: Harness) -> int:
    payload = _payload(on, on.newest_message())
    unsigned = requests.post(
        f"{on.machine.cloud.api_url}/slack/interactions", data={"payload": json.dumps(payload)}, timeout=30
    ).status_code
    wrong = [_send(on, payload, secret=secret) for secret in ("guessed", on.machine.slack.bot_token)]
    strange = [_send(on, payload, signature=signature) for signature in ("", "v0=", "v0=é")]
    return _must_be_refused([unsigned, *wrong, *strange])


def _replayed(on: Harness) -> int:
    """Send an old press again, signed as it was."""
    message = on.newest_message()
    on.press_until_taken(message)
    statuses = [_send(on, _payload(on, message), age=age) for age in (REPLAY_SECONDS, 86_400, -REPLAY_SECONDS)]
    return _must_be_refused(statuses)


def _other_workspace(on: Harness) -> int:
    """Send a press that is signed right and comes from a channel of another workspace."""
    payload = _payload(on, on.newest_message())
    payload["team"] = {"id": "T0ELSEWHERE", "domain": "elsewhere"}
    payload["channel"] = {"id": "C0ELSEWHERE", "name": "elsewhere"}
    payload["container"]["channel_id"] = "C0ELSEWHERE"
    _send(on, payload)
    return 1


def _oversized(on: Harness) -> int:
    """Send presses with far too much in them, unsigned but the first."""
    payload = _payload(on, on.newest_message())
    payload["api_app_id"] = "x" * OVERSIZED[0]
    payload["actions"][0]["value"] = "RJ" + "9" * 100_000
    _send(on, payload)
    padded = [{"type": "block_actions", "padding": "x" * size} for size in OVERSIZED[1:]]
    return 1 + _must_be_refused([_send(on, payload, secret="guessed") for payload in padded])  # a wrong one


def _repeated(on: Harness) -> int:
    """Let a press be answered too late for Slack, and the very same press come once more."""
    message = on.newest_message()
    at = time.time()
    rule = Rule(calls("feedback", "slack:response_url"), late(3.5), times=1)
    slow = Rule(calls("feedback", "dynamodb:GetItem"), late(0.9), times=3)
    on.wire.rules = [rule, slow]
    on.press(message, at=at)
    on.wire.rules = []
    on.press(message, at=at)
    on.press(message, at=at)
    return 3


FAULTS = (
    Fault(
        GROUP, "press-order", "ten presses within a second, in any order of arrival", _ten_in_a_second, is_quick=True
    ),
    Fault(
        GROUP,
        "press-forged",
        "forged: unsigned, signed with another secret, malformed signatures",
        _forged,
        is_quick=True,
    ),
    Fault(GROUP, "press-replayed", "replayed after five minutes, after a day, and from the future", _replayed),
    Fault(GROUP, "press-elsewhere", "from another workspace, signed right", _other_workspace),
    Fault(GROUP, "press-oversized", "oversized: 0.3 to 10.6 MB", _oversized),
    Fault(GROUP, "press-repeated", "repeated by Slack after a time-out", _repeated, seconds=8),
)
