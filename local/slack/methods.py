"""The Web API methods that this project calls, and the errors that Slack answers them with."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from local.slack.blocks import as_slack_keeps, block_errors
from local.slack.channel import (
    BOT_ID,
    BOT_USER_ID,
    TEAM_DOMAIN,
    TEAM_ID,
    Json,
    Message,
    StoredChannel,
)

Arguments = Mapping[str, object]

TEXT_CHARACTERS = 40_000
BLOCKS_CHARACTERS = 13_000
"""Not documented: users met `msg_blocks_too_long` from about 13,200 characters of JSON on (slackapi/bolt-js#2509)."""
METADATA_CHARACTERS = 8_000
"""Slack says that there is a limit and not which: this one is a guess on the safe side."""
MOST_IN_A_PAGE = 999


class SlackError(Exception):
    """An answer with `"ok": false`: Slack's name of the error, the details it gives for it, the seconds to wait."""

    def __init__(self, error: str, details: list[str] | None = None, retry_after: int | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.details = details or []
        self.retry_after = retry_after

    def to_json(self) -> Json:
        """Return the body of the answer."""
        answer: Json = {"ok": False, "error": self.error}
        if self.details:
            answer["errors"] = self.details
            answer["response_metadata"] = {"messages": [f"[ERROR] {detail}" for detail in self.details]}
        return answer


class MethodResponse(NamedTuple):
    """What a call that worked gives: the body, and the `ts` of the message that it posted or changed."""

    body: Json
    ts: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """A message's contents as a call gives them; None stands for an argument that the call does not have."""

    text: str | None
    blocks: list[Json] | None
    metadata: Json | None
    warnings: list[str]


def decoded(arguments: Arguments) -> dict[str, object]:
    """Return the arguments with `blocks` and `metadata` as JSON values: in a form, Slack takes them as JSON texts."""
    return {
        name: _from_json(value, f"invalid_{name}_format") if name in {"blocks", "metadata"} else value
        for name, value in arguments.items()
    }


def contents_of(arguments: Arguments) -> Contents:
    """Return the text, blocks and metadata of a call's decoded arguments.

    Raises `SlackError` for those that Slack does not take. Metadata of an event type with other characters than
    letters, digits, `_` and `-` is not an error to Slack: it drops the metadata and posts (slackapi/bolt-python#863).
    """
    text, blocks, metadata = (arguments.get(name) for name in ("text", "blocks", "metadata"))
    if text is not None and not isinstance(text, str):
        raise SlackError("invalid_arguments", ["must be a string [json-pointer:/text]"])
    if text is not None and len(text) > TEXT_CHARACTERS:
        raise SlackError("msg_too_long")
    if blocks is not None and (errors := block_errors(blocks)):
        raise SlackError("invalid_blocks", errors)
    kept_blocks = as_slack_keeps(blocks) if isinstance(blocks, list) else None
    if len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) > BLOCKS_CHARACTERS:
        raise SlackError("msg_blocks_too_long")
    kept_metadata = None if metadata is None else _metadata(metadata)
    dropped = bool(metadata) and not kept_metadata
    return Contents(text, kept_blocks, kept_metadata, ["invalid_metadata_schema"] if dropped else [])


def _metadata(metadata: object) -> Json:
    if metadata == {}:  # how chat.update is told to remove what was there
        return {}
    event_type = metadata.get("event_type") if isinstance(metadata, dict) else None
    event_payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
    if not isinstance(event_type, str) or not event_type or not isinstance(event_payload, dict):
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(event_payload, ensure_ascii=False)) > METADATA_CHARACTERS:
        raise SlackError("metadata_too_large")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", event_type):
        return {}
    return {"event_type": event_type, "event_payload": event_payload}


def _from_json(value: object, error: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value else None
    except ValueError:
        raise SlackError(error) from None


def _post_message(channel: StoredChannel, arguments: Arguments, _address: str) -> MethodResponse:
    contents = contents_of(arguments)
    if not (contents.text or "").strip() and not contents.blocks:
        raise SlackError("no_text")
    message = channel.post(contents.text or "", contents.blocks or [], contents.metadata or None)
    return _message_answer(channel, message, contents.warnings)


def _update(channel: StoredChannel, arguments: Arguments, _address: str) -> MethodResponse:
    before = _named_message(channel, arguments, "ts")
    contents = contents_of(arguments)
    if contents.text is None and contents.blocks is None and contents.metadata is None:
        raise SlackError("no_text")
    message = channel.change(before.ts, *merged(before, contents))
    if message is None:
        raise SlackError("message_not_found")
    answer = _message_answer(channel, message, contents.warnings)
    return MethodResponse({**answer.body, "text": message.text}, message.ts)


def _delete(channel: StoredChannel, arguments: Arguments, _address: str) -> MethodResponse:
    message = _named_message(channel, arguments, "ts")
    channel.remove(message.ts)
    return MethodResponse({"ok": True, "channel": channel.channel_id, "ts": message.ts})


def merged(before: Message, contents: Contents) -> tuple[str, list[Json], Json | None]:
    """Return the text, blocks and metadata of a message that is changed to `contents`.

    As Slack documents it: a new text without blocks takes the old blocks away; metadata stays unless given.
    """
    text = before.text if contents.text is None else contents.text
    blocks = contents.blocks
    if blocks is None:
        blocks = before.blocks if contents.text is None else []
    metadata = before.metadata if contents.metadata is None else contents.metadata or None
    return text, blocks, metadata


def _message_answer(channel: StoredChannel, message: Message, warnings: list[str]) -> MethodResponse:
    body: Json = {"ok": True, "channel": channel.channel_id, "ts": message.ts, "message": message.to_json()}
    if warnings:
        body |= {"warning": ",".join(warnings), "response_metadata": {"warnings": warnings}}
    return MethodResponse(body, message.ts)


def _history(channel: StoredChannel, arguments: Arguments, _address: str) -> MethodResponse:
    oldest = _time(arguments, "oldest", "invalid_ts_oldest") or Decimal(0)
    latest = _time(arguments, "latest", "invalid_ts_latest") or Decimal("Infinity")
    first = _cursor(arguments.get("cursor"))
    inclusive = flag(arguments.get("inclusive"))
    limit = _limit(arguments.get("limit"))

    def asked_for(message: Message) -> bool:
        ts = Decimal(message.ts)
        in_time = oldest <= ts <= latest if inclusive else oldest < ts < latest
        return in_time and ts <= first

    found = [message for message in reversed(channel.messages) if asked_for(message)]
    page, rest = found[:limit], found[limit:]
    with_payload = flag(arguments.get("include_all_metadata"))
    body: Json = {
        "ok": True,
        "messages": [_as_history_shows(message, with_payload=with_payload) for message in page],
        "has_more": bool(rest),
        "pin_count": 0,
    }
    if rest:
        cursor = base64.b64encode(f"next_ts:{rest[0].ts}".encode()).decode()
        body["response_metadata"] = {"next_cursor": cursor}
    return MethodResponse(body)


def _as_history_shows(message: Message, *, with_payload: bool) -> Json:
    shown = message.to_json()
    if "metadata" in shown and not with_payload:
        # An event that the app's manifest does not declare keeps its type alone (slackapi/python-slack-sdk#1501).
        shown["metadata"] = {"event_type": shown["metadata"]["event_type"], "event_payload": {}}
    return shown


def _time(arguments: Arguments, name: str, error: str) -> Decimal | None:
    value = arguments.get(name)
    if value is None or str(value) in {"", "now"}:
        return None
    try:
        time = Decimal(str(value))
    except InvalidOperation:
        raise SlackError(error) from None
    if not time.is_finite():
        raise SlackError(error)
    return time


def _cursor(value: object) -> Decimal:
    if value is None or value == "":
        return Decimal("Infinity")
    try:
        name, _, ts = base64.b64decode(str(value), validate=True).decode().partition(":")
        if name != "next_ts":
            raise SlackError("invalid_cursor")
        return Decimal(ts)
    except (binascii.Error, UnicodeDecodeError, InvalidOperation):
        raise SlackError("invalid_cursor") from None


def _limit(value: object) -> int:
    if value is None or value == "":
        return 100
    text = str(value)
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise SlackError("invalid_limit")
    return min(int(text), MOST_IN_A_PAGE)


def flag(value: object) -> bool:
    """Return whether an argument says yes, in any of the ways that Slack takes for it."""
    return value is True or str(value).lower() in {"1", "true"}


def _auth_test(_channel: StoredChannel, _arguments: Arguments, address: str) -> MethodResponse:
    return MethodResponse(
        {
            "ok": True,
            "url": address,
            "team": TEAM_DOMAIN,
            "user": "osusume",
            "team_id": TEAM_ID,
            "user_id": BOT_USER_ID,
            "bot_id": BOT_ID,
            "is_enterprise_install": False,
        }
    )


def _info(channel: StoredChannel, _arguments: Arguments, _address: str) -> MethodResponse:
    shown = {"id": channel.channel_id, "name": "osusume", "is_private": False, "is_member": channel.has_app}
    return MethodResponse({"ok": True, "channel": shown})


def _permalink(channel: StoredChannel, arguments: Arguments, address: str) -> MethodResponse:
    message = _named_message(channel, arguments, "message_ts")
    anchor = message.ts.replace(".", "")
    return MethodResponse({"ok": True, "channel": channel.channel_id, "permalink": f"{address}#p{anchor}"})


def _named_message(channel: StoredChannel, arguments: Arguments, name: str) -> Message:
    ts = arguments.get(name)
    if ts is None:
        raise SlackError("invalid_arguments", [f"missing required field: {name}"])
    message = channel.find(str(ts))
    if message is None:
        ephemeral = any(message.ts == str(ts) for message in channel.ephemerals)
        raise SlackError("cant_update_message" if ephemeral else "message_not_found")
    return message


METHODS: dict[str, Callable[[StoredChannel, Arguments, str], MethodResponse]] = {
    "auth.test": _auth_test,
    "chat.delete": _delete,
    "chat.getPermalink": _permalink,
    "chat.postMessage": _post_message,
    "chat.update": _update,
    "conversations.history": _history,
    "conversations.info": _info,
}
"""The methods by name: each takes the channel, decoded arguments and the page's address; raises `SlackError`."""

METHODS_OF_A_CHANNEL = frozenset(METHODS) - {"auth.test"}
