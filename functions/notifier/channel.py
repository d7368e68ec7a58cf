"""The Slack channel: posting a message, and finding one again."""

from __future__ import annotations

import re
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

DEFAULT_WAIT_SECONDS = 30
MESSAGES_A_PAGE = 200  # Slack's advice for conversations.history

# errors after which, by https://docs.slack.dev/reference/methods/chat.postMessage, the message may have been posted
UNCLEAR_ERRORS = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}

# errors that are of this one message; any other is of the channel or the token, and the next message would meet it too
MESSAGE_ERRORS = {
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_too_long",
    "msg_blocks_too_long",
    "metadata_too_large",
    "no_text",
}


class RateLimited(Exception):
    """Slack asks to wait `seconds`; nothing was posted."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Slack asks to wait {seconds:g} s")
        self.seconds = seconds


class Unclear(Exception):
    """A call failed in a way that does not tell whether the message was posted."""


class MessageRefused(Exception):
    """Slack refuses this message; nothing was posted."""


class ChannelRefused(Exception):
    """Slack refuses every message; nothing was posted. The message says what to mend."""


class Channel:
    """One Slack channel, by its id. A call of Slack's API may take `call_seconds`."""

    def __init__(self, token: str, channel_id: str, api_url: str, call_seconds: float) -> None:
        # The SDK's own handlers send a message again after a broken connection, which would post it twice, and wait out
        # a rate limit for longer than a claim lasts.
        self._client = WebClient(token=token, base_url=api_url, timeout=call_seconds, retry_handlers=[])  # type: ignore[arg-type]  # urllib takes fractions too
        self.channel_id = channel_id
        self.call_seconds = call_seconds

    def post(self, text: str, blocks: list[dict[str, Any]], metadata: dict[str, Any]) -> str:
        """Post a message and return its ts.

        Raises `RateLimited`, `MessageRefused` or `ChannelRefused` where it was surely not posted, else `Unclear`.
        """
        answer = self._ask(
            "chat_postMessage", text=text, blocks=blocks, metadata=metadata, unfurl_links=False, unfurl_media=False
        )
        ts = _text(answer, "ts")
        if not ts:
            raise Unclear("chat_postMessage: the answer has no ts")
        return ts

    def find(self, metadata: dict[str, Any], since: float) -> str | None:
        """Return the ts of the message with this metadata, None where there is none.

        Only what was posted after `since`, in seconds since the epoch, is looked at. Raises as `post` does.
        """
        cursor, seen = "", {""}
        while True:
            answer = self._ask(
                "conversations_history",
                include_all_metadata=True,
                oldest=f"{since:.6f}",
                limit=MESSAGES_A_PAGE,
                cursor=cursor,
            )
            messages = answer.get("messages")
            if not isinstance(messages, list):
                raise Unclear("conversations_history: the answer has no messages")
            for message in messages:
                found = _object(_object(message).get("metadata"))
                if found.get("event_payload") == metadata["event_payload"] and (ts := _text(message, "ts")):
                    return ts
            cursor = _text(answer.get("response_metadata"), "next_cursor")
            if not cursor:
                return None
            if cursor in seen:
                raise Unclear("conversations_history: the answers name the same page over and over")
            seen.add(cursor)

    def _ask(self, method: str, **arguments: Any) -> dict[str, object]:
        try:
            answer: SlackResponse = getattr(self._client, method)(channel=self.channel_id, **arguments)
        except SlackApiError as error:
            raise _explained(error, method, self.channel_id) from error
        except (SlackClientError, OSError, HTTPException, ValueError, AttributeError, RecursionError) as error:
            # slack_sdk takes any JSON for an object: a list has no `get`
            raise Unclear(f"{method}: {type(error).__name__} {error}") from error
        return _object(answer.data)


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object, name: str) -> str:
    """Return the text called `name` in an object of an answer, empty where there is none."""
    text = _object(value).get(name)
    return text if isinstance(text, str) else ""


def _explained(error: SlackApiError, method: str, channel_id: str) -> Exception:
    response = error.response
    answer = _object(response.data)
    code = _text(answer, "error") or f"HTTP {response.status_code}"
    if response.status_code == 429 or code in {"ratelimited", "rate_limited"}:
        headers = {name.lower(): value for name, value in response.headers.items()}
        wait = str(headers.get("retry-after", ""))
        return RateLimited(float(wait) if wait.isdecimal() else DEFAULT_WAIT_SECONDS)
    # where an answer is not Slack's JSON, slack_sdk puts a sentence in place of the code
    if response.status_code != 200 or code in UNCLEAR_ERRORS or not re.fullmatch("[a-z_0-9]+", code):
        return Unclear(f"{method}: {code}")
    if code in MESSAGE_ERRORS:
        details = _object(answer.get("response_metadata")).get("messages")
        return MessageRefused(
            f"{method}: {code} {' '.join(map(str, details)) if isinstance(details, list) else ''}".strip()
        )
    return ChannelRefused(
        f"{method} to {channel_id}: {code}: check that the bot is in the channel, that its token is the current one,"
        " and that it has the scopes chat:write and channels:history (groups:history where the channel is private)"
    )
