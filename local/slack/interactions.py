"""A button press as Slack sends it: the payload, its signature and its response_url."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from local.slack.channel import APP_ID, TEAM_DOMAIN, TEAM_ID, Json, Message, StoredChannel
from local.slack.methods import SlackError, contents_of, flag, merged

USES_OF_A_RESPONSE_URL = 5
SECONDS_OF_A_RESPONSE_URL = 30 * 60


def signed_interaction(payload: Mapping[str, object], secret: str, timestamp: float) -> tuple[dict[str, str], bytes]:
    """Return the headers and the form-encoded body of the request that sends `payload` to the app.

    `secret` is the app's signing secret, `timestamp` the time of sending in seconds since 1970. Tests use another
    secret to forge a press, and an older timestamp to age one.
    """
    body = urlencode({"payload": json.dumps(payload)}).encode()
    sent_at = str(int(timestamp))
    signature = hmac.new(secret.encode(), b"v0:" + sent_at.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {
        "Accept": "application/json,*/*",
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "X-Slack-Request-Timestamp": sent_at,
        "X-Slack-Signature": f"v0={signature}",
    }
    return headers, body


def block_actions(
    channel: StoredChannel,
    message: Message,
    button: Mapping[str, object],
    *,
    user_id: str,
    action_ts: str,
    response_url: str,
) -> Json:
    """Return the payload of a press of `button`, which `find_button` returned, in `message`.

    As with Slack the payload of a message that one user alone sees does not hold the message.
    """
    shown = ("action_id", "block_id", "text", "value", "style", "type", "selected_option")
    public = {} if message.visible_to else {"message": message.to_json()}
    return {
        "type": "block_actions",
        "user": {"id": user_id, "username": "owner", "name": "owner", "team_id": TEAM_ID},
        "api_app_id": APP_ID,
        "token": secrets.token_urlsafe(18),
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.channel_id,
            "is_ephemeral": message.visible_to is not None,
        },
        "trigger_id": f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**13)}.{secrets.token_hex(16)}",
        "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": channel.channel_id, "name": "osusume"},
        **public,
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [{**{name: button[name] for name in shown if name in button}, "action_ts": action_ts}],
    }


def find_button(
    message: Message, action_id: str, block_id: str | None = None, option: str | None = None
) -> Json | None:
    """Return the first button named `action_id` (in the block `block_id`, if given) with its block's id, or None.

    With an `option` it is the menu of that name, with this option selected.
    """
    for block in message.blocks:
        if block_id not in {None, block["block_id"]}:
            continue
        for element in (*block.get("elements", []), block.get("accessory") or {}):
            if element.get("type") == "button" and element.get("action_id") == action_id:
                return {**element, "block_id": block["block_id"]}
            if element.get("type") == "overflow" and element.get("action_id") == action_id:
                for selected in element["options"]:
                    if selected["value"] == option:
                        return {**element, "block_id": block["block_id"], "selected_option": selected}
    return None


@dataclass(slots=True)
class _ResponseUrl:
    message_ts: str
    user_id: str
    expires_at: float
    uses_left: int = USES_OF_A_RESPONSE_URL


class ResponseUrls:
    """The issued response_urls: each belongs to one press and works five times within 30 minutes."""

    def __init__(self, channel: StoredChannel) -> None:
        self._channel = channel
        self._urls: dict[str, _ResponseUrl] = {}
        self._lock = threading.Lock()

    def issue(self, message: Message, user_id: str, now: float) -> str:
        """Return the path of a new response_url for a press by `user_id` on `message`; `now` is in seconds."""
        path = f"/actions/{TEAM_ID}/{secrets.randbelow(10**13)}/{secrets.token_urlsafe(18)}"
        with self._lock:
            self._urls[path] = _ResponseUrl(message.ts, user_id, now + SECONDS_OF_A_RESPONSE_URL)
        return path

    def answer(self, path: str, arguments: Mapping[str, object], now: float) -> str | None:
        """Handle the app's request to `path`; return the `ts` of the message posted, changed or removed.

        `arguments` are decoded. Raises `SlackError`: `expired_url` or `used_url` when the URL is expired or used up.
        """
        url = self._use(path, now)
        contents = contents_of(arguments)
        message: Message | None
        if flag(arguments.get("delete_original")):
            message = self._channel.remove(url.message_ts)
        elif not contents.text and not contents.blocks:
            raise SlackError("no_text")
        elif flag(arguments.get("replace_original")):
            before = self._channel.find(url.message_ts)
            message = before and self._channel.change(before.ts, *merged(before, contents))
        else:
            in_channel = arguments.get("response_type") == "in_channel"
            message = self._channel.post(
                contents.text or "",
                contents.blocks or [],
                contents.metadata or None,
                visible_to=None if in_channel else url.user_id,
            )
        if message is None:
            raise SlackError("message_not_found")
        return message.ts

    def _use(self, path: str, now: float) -> _ResponseUrl:
        with self._lock:
            url = self._urls.get(path)
            if url is None or now > url.expires_at:
                raise SlackError("expired_url")
            if url.uses_left == 0:
                raise SlackError("used_url")
            url.uses_left -= 1
            return url
