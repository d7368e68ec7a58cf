"""What comes to the address of Slack's presses: signed by Slack and not, whole and damaged."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError
from conftest import make_stores
from fuzz.damage import damaged_json
from fuzz.target import Target
from moto.server import ThreadedMotoServer
from slack_sdk.signature import SignatureVerifier

from feedback.actions import NotAsDocumented, Stores, take
from feedback.slack_request import RequestRefused, payload_of
from osusume.labels import Labels
from osusume.ledger import Ledger, Record
from osusume.messages import MENU, UNDO_RULE
from osusume.rules import Rules
from osusume.settings import FeedbackSettings
from samples.works import demo_works

ROOT = Path(__file__).parents[2]
SECRET = "signing-secret-of-the-fuzzer"
_STARTED = int(time.time())
"""One time for all inputs of a process, so that the same seed gives the same ones."""

WORK = demo_works()[0]
RECORD = Record(WORK, "recommended", "snapshots/a.json", 1764000000.0, 0.75, "v1")
NOWHERE = "http://127.0.0.1:9/actions/1"
Event = dict[str, Any]

PRESS: Event = {
    "type": "block_actions",
    "user": {"id": "U0OWNER", "username": "owner", "team_id": "T0LOCAL"},
    "team": {"id": "T0LOCAL", "domain": "osusume"},
    "enterprise": None,
    "channel": {"id": "C0LOCAL0001", "name": "osusume"},
    "container": {"type": "message", "message_ts": "1764000000.000100", "channel_id": "C0LOCAL0001"},
    "response_url": NOWHERE,
    "actions": [
        {
            "type": "button",
            "action_id": "interested",
            "block_id": "press",
            "value": WORK.item_id,
            "action_ts": "1764000001.5",
        }
    ],
}


def read_signed_press(content: bytes) -> None:
    """Take a payload that Slack signed, unless it is refused or cannot be stored, which rings the alarm."""
    with suppress(RequestRefused, NotAsDocumented, ClientError):
        payload = payload_of(_signed(urlencode({"payload": content}), int(time.time())), SECRET)
        telling = take(payload, *_settings_and_stores())
        json.dumps(asdict(telling))


def read_unsigned_request(content: bytes) -> None:
    """Look at an event whose parts do not fit each other: it is refused, or it is the one that was signed."""
    try:
        event = json.loads(content)
    except (ValueError, RecursionError):
        return
    if isinstance(event, dict) and isinstance(event.get("headers"), dict):  # an API passes on nothing else
        with suppress(RequestRefused):
            payload_of(event, SECRET)


def _signed(body: str, at: int) -> Event:
    timestamp = str(at)
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=timestamp, body=body)
    return {
        "version": "2.0",
        "rawPath": "/slack/interactions",
        "rawQueryString": "",
        "headers": {
            "content-type": "application/x-www-form-urlencoded",
            "x-slack-request-timestamp": timestamp,
            "x-slack-signature": signature,
        },
        "requestContext": {"http": {"method": "POST", "path": "/slack/interactions"}},
        "body": body,
        "isBase64Encoded": False,
    }


@cache
def _settings_and_stores() -> tuple[FeedbackSettings, Stores]:
    """Return settings, and stores of its own, which last as long as the process."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    stores = make_stores(endpoint_url=f"http://{host}:{port}")
    settings = FeedbackSettings.from_environment(
        {
            "ITEMS_TABLE": stores.items_table,
            "LABELS_TABLE": stores.labels_table,
            "SLACK_SIGNING_SECRET_PARAMETER": "/unused",
            "TIME_ZONE": "Asia/Tokyo",
        }
    )
    ledger = Ledger(stores.dynamodb, settings.items_table)
    ledger.record(RECORD)
    rules = Rules(stores.dynamodb, settings.items_table)
    return settings, Stores(Labels(stores.dynamodb, settings.labels_table), ledger, rules)


def _presses() -> Sequence[object]:
    _settings_and_stores()  # starting them is not part of what the first press takes
    unknown = {**PRESS, "actions": [{**PRESS["actions"][0], "action_id": "snooze"}]}
    other = {"type": "view_submission", "user": PRESS["user"], "team": PRESS["team"], "view": {"id": "V1"}}
    undo = {**PRESS, "actions": [{**PRESS["actions"][0], "action_id": UNDO_RULE, "value": "circle:a"}]}
    return [PRESS, PRESS, PRESS, _menu(), undo, unknown, other]


def _menu() -> dict[str, Any]:
    """Return a choice from the menu of the item."""
    selected = {"text": {"type": "plain_text", "text": "circle"}, "value": "circle"}
    action = {"type": "overflow", "action_id": f"{MENU}:{RECORD.item.item_id}", "block_id": "press"}
    return {**PRESS, "actions": [{**action, "selected_option": selected, "action_ts": "1764000001.000001"}]}


def _requests() -> Sequence[object]:
    real = json.loads((ROOT / "events" / "feedback.json").read_text())
    return [_signed(urlencode({"payload": json.dumps(PRESS)}), _STARTED), real]


TARGETS = (
    Target("signed press", 4, (), read_signed_press, _presses, damaged_json),
    Target("unsigned press", 3, (), read_unsigned_request, _requests, damaged_json),
)
