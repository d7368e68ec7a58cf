"""Measures the cold start of the feedback function beside that of a plain Bolt adapter with boto3's resource."""

from __future__ import annotations

import base64
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from local.machine import ROOT, Machine
from local.slack import Message, signed_interaction
from local.slack.channel import as_ts
from local.slack.interactions import block_actions, find_button
from osusume.messages import INTERESTED

HERE = Path(__file__).parent
REPETITIONS = 7
HANDLERS = {
    "feedback, cold start to 200: plain Bolt and boto3's resource": "plain_bolt.handler",
    "feedback, cold start to 200: ours": "feedback.app.handler",
}


def cold_starts(machine: Machine) -> dict[str, float]:
    """Return milliseconds of processor time, by what starts: from the start of a process until a press is answered.

    Each is the median of several new processes, which take turns. The first one of each, which may write bytecode,
    does not count.
    """
    taken: dict[str, list[float]] = {what: [] for what in HANDLERS}
    for repetition in range(REPETITIONS + 1):
        for what, handler in HANDLERS.items():
            milliseconds = _one_start(machine, handler)
            if repetition:
                taken[what].append(milliseconds)
    machine.cloud.wait_until_idle(180)
    return {what: statistics.median(each) for what, each in taken.items()}


def _one_start(machine: Machine, handler: str) -> float:
    environment = machine.cloud.environment("FeedbackFunction")
    path = os.pathsep.join((environment["PYTHONPATH"], str(HERE)))
    started = subprocess.run(  # our own file
        [sys.executable, str(HERE / "one_process.py"), handler],
        env={**environment, "PYTHONPATH": path, "SLACK_SIGNING_SECRET": machine.slack.signing_secret},
        input=json.dumps(_event(machine, machine.slack.messages[0])),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if started.returncode:
        raise RuntimeError(f"{handler} did not answer a press:\n{started.stderr}{started.stdout}")
    return float(started.stdout.split()[-1]) * 1000


def _event(machine: Machine, message: Message) -> dict[str, object]:
    """Return the event of a press of an item's button, as the HTTP API gives it."""
    slack, now = machine.slack, time.time()
    button = find_button(message, INTERESTED)
    if button is None:
        raise RuntimeError(f"message {message.ts} has no buttons")
    url = slack.address + slack.response_urls.issue(message, "U0OWNER", now)
    payload = block_actions(slack.channel, message, button, user_id="U0OWNER", action_ts=as_ts(now), response_url=url)
    headers, body = signed_interaction(payload, slack.signing_secret, now)
    event: dict[str, Any] = json.loads((ROOT / "events" / "feedback.json").read_text())
    event["requestContext"]["timeEpoch"] = int(now * 1000)
    lower = {name.lower(): value for name, value in headers.items()}
    return {**event, "headers": lower, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
