"""Tries each part of a deployed stack once: the shop, the classifier, Slack, a press."""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

import requests
from slack_sdk.signature import SignatureVerifier

from ops.slack_secrets import name_of, stored_secret
from ops.stack import DeployedStack
from osusume.errors import UserError
from osusume.messages import INTERESTED

_CRAWL_SECONDS = 300
_PRESS_SECONDS = 30
TEST_ITEM = "smoke-test"


def read_a_work(stack: DeployedStack) -> str:
    """Let the crawler read one work of the shop. Raises `UserError`."""
    answer = stack.invoke("CrawlerFunction", {"check": True}, _CRAWL_SECONDS)
    if answer["status"] == "under_way":
        return "the shop: a crawl reads it just now"
    return f"the shop: read {answer['item_id']} {answer['title']}"


def score_and_post(stack: DeployedStack) -> str:
    """Let the notifier score a work through the API and say so in Slack. Raises `UserError`."""
    answer = stack.invoke("NotifierFunction", {"check": True}, _CRAWL_SECONDS)
    channel = stack.parameter("SlackChannelId")
    return f"the classifier answers (model {answer['model_version']}), and a message is in the channel {channel}"


def press(stack: DeployedStack, address: str, within: float) -> str:
    """Send a press of a work that does not exist, signed as Slack signs it. Raises `UserError`."""
    secret = stored_secret(stack.session, name_of("signing-secret", stack.name, dict(stack.parameters)))
    if not secret:
        raise UserError("a press: the signing secret is not stored; run 'python -m ops secrets'")
    now = str(int(time.time()))
    action = {"type": "button", "action_id": INTERESTED, "block_id": "b", "value": TEST_ITEM, "action_ts": f"{now}.0"}
    payload = {
        "type": "block_actions",
        "user": {"id": "U0SMOKETEST", "team_id": "T0SMOKETEST"},
        "team": {"id": "T0SMOKETEST"},
        "channel": {"id": stack.parameter("SlackChannelId")},
        "container": {"type": "message", "is_ephemeral": False},
        "response_url": address,  # which refuses what is not signed: no message, and no failure that rings an alarm
        "actions": [action],
    }
    body = urlencode({"payload": json.dumps(payload)})
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": now,
        "X-Slack-Signature": str(SignatureVerifier(secret).generate_signature(timestamp=now, body=body)),
    }
    started = time.monotonic()
    try:
        answer = requests.post(address, data=body, headers=headers, timeout=_PRESS_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        raise UserError(f"a press: {address} does not answer ({type(error).__name__})") from error
    seconds = time.monotonic() - started
    if answer.status_code == requests.codes.unauthorized:
        raise UserError("a press: refused, the function does not read the signing secret that is stored; read its log")
    if answer.status_code == requests.codes.service_unavailable:
        raise UserError("a press: no answer within the 3 s that Slack waits; try again, and see docs/operations.md")
    if answer.status_code != requests.codes.ok:
        raise UserError(
            f"a press: answered {answer.status_code} {answer.text:.200}; read the log of the feedback function"
        )
    if stack.labels.get(TEST_ITEM):
        raise UserError(f"a press of a work that does not exist left the label {TEST_ITEM}")
    if seconds > within:
        raise UserError(f"a press: answered after {seconds:.1f} s; Slack waits 3 s, and {within:g} s are allowed here")
    return f"a press: answered after {seconds:.1f} s, and it left no label"
