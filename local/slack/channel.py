"""The stand-in's only channel: its messages, their timestamps, and the rate limit for new ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

TEAM_ID = "T0LOCAL"
TEAM_DOMAIN = "osusume-local"
BOT_USER_ID = "U0BOT"
BOT_ID = "B0LOCAL"
APP_ID = "A0LOCAL"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """The current version of a message.

    `ts` names it, `posted_at` is in seconds since 1970, `edited` is the time stamp of the last change or None.
    `visible_to` is the only user who sees it, None for the whole channel.
    """

    ts: str
    text: str
    blocks: list[Json]
    metadata: Json | None
    posted_at: float
    edited: str | None = None
    visible_to: str | None = None

    @property
    def item_id(self) -> str | None:
        """The item that the message's metadata names."""
        return item_id_of(self.metadata)

    def to_json(self) -> Json:
        """Return the message as in Slack's API and interaction payloads."""
        message: Json = {
            "user": BOT_USER_ID,
            "type": "message",
            "ts": self.ts,
            "bot_id": BOT_ID,
            "app_id": APP_ID,
            "text": self.text,
            "team": TEAM_ID,
        }
        if self.edited:
            message["edited"] = {"user": BOT_USER_ID, "ts": self.edited}
        if self.blocks:
            message["blocks"] = self.blocks
        if self.metadata:
            message["metadata"] = self.metadata
        return message


def item_id_of(metadata: object) -> str | None:
    """Return the `item_id` in the event payload of a message's metadata, None where there is none."""
    payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
    item_id = payload.get("item_id") if isinstance(payload, dict) else None
    return item_id if isinstance(item_id, str) else None


class StoredChannel:
    """The messages of one channel, safe to use from several threads; `clock` gives seconds since 1970.

    `keep(ts, message)`, if set, is called for each public message that is posted, changed or removed (None), before
    the change is visible. `has_app` says whether the app is a member.
    """

    def __init__(self, channel_id: str, clock: Callable[[], float]) -> None:
        self.channel_id = channel_id
        self._clock = clock
        self._lock = threading.Lock()
        self._messages: dict[str, Message] = {}
        self._ephemerals: list[Message] = []
        self._last_microsecond = 0
        self.keep: Callable[[str, Message | None], None] | None = None
        self.has_app = True

    @property
    def messages(self) -> list[Message]:
        """The messages that everyone sees, oldest first."""
        with self._lock:
            return list(self._messages.values())

    @property
    def ephemerals(self) -> list[Message]:
        """The messages that only one user sees, oldest first."""
        with self._lock:
            return list(self._ephemerals)

    def find(self, ts: str) -> Message | None:
        """Return the message named `ts`, one that a single user sees too, None if the channel has none."""
        with self._lock:
            return self._messages.get(ts) or next((one for one in self._ephemerals if one.ts == ts), None)

    def restore(self, messages: Iterable[Message]) -> None:
        """Add an earlier channel's messages unchanged, oldest first."""
        with self._lock:
            for message in messages:
                self._messages[message.ts] = message
                for ts in (message.ts, message.edited or message.ts):
                    self._last_microsecond = max(self._last_microsecond, round(float(ts) * 1_000_000))

    def post(self, text: str, blocks: list[Json], metadata: Json | None, visible_to: str | None = None) -> Message:
        """Add a message with a new `ts` and return it."""
        with self._lock:
            message = Message(self._next_ts(), text, blocks, metadata, self._clock(), visible_to=visible_to)
            if visible_to is None:
                self._set(message.ts, message)
            else:
                self._ephemerals.append(message)
            return message

    def change(self, ts: str, text: str, blocks: list[Json], metadata: Json | None) -> Message | None:
        """Change the message named `ts` and return it, None if the channel has none."""
        with self._lock:
            contents: dict[str, Any] = {"text": text, "blocks": blocks, "metadata": metadata}
            for index, ephemeral in enumerate(self._ephemerals):
                if ephemeral.ts == ts:
                    self._ephemerals[index] = replace(ephemeral, **contents, edited=self._next_ts())
                    return self._ephemerals[index]
            if ts not in self._messages:
                return None
            changed = replace(self._messages[ts], **contents, edited=self._next_ts())
            self._set(ts, changed)
            return changed

    def remove(self, ts: str) -> Message | None:
        """Remove the message named `ts` and return it, None if the channel has none."""
        with self._lock:
            removed = self._messages.get(ts)
            if removed:
                self._set(ts, None)
            return removed

    def _set(self, ts: str, message: Message | None) -> None:
        if self.keep:
            self.keep(ts, message)
        if message:
            self._messages[ts] = message
        else:
            del self._messages[ts]

    def _next_ts(self) -> str:
        # Timestamps must stay unique within one microsecond, and when the clock is set back.
        self._last_microsecond = max(self._last_microsecond + 1, int(self._clock() * 1_000_000))
        return as_ts(self._last_microsecond / 1_000_000)


def as_ts(seconds: float) -> str:
    """Return a time in seconds since 1970 in Slack's form.

    >>> as_ts(1764000000.0001)
    '1764000000.000100'
    """
    return f"{seconds:.6f}"


class RateLimit:
    """Slack's limit on posting: `burst` messages at once, then one every `interval` seconds."""

    def __init__(self, burst: int, interval: float) -> None:
        self._burst = burst
        self._interval = interval
        self._paid_until = 0.0
        self._lock = threading.Lock()

    def seconds_to_wait(self, now: float) -> float:
        """Take one slot and return 0, or return the seconds from `now` until the next slot is free."""
        with self._lock:
            paid_until = max(self._paid_until, now) + self._interval
            excess = paid_until - now - self._burst * self._interval
            if excess > 1e-6:  # rounding errors
                return excess
            self._paid_until = paid_until
            return 0.0
