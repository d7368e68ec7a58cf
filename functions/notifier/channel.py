"""The Slack channel: posts messages and finds them again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

DEFAULT_WAIT_SECONDS = 30
MESSAGES_A_PAGE = 200  # Slack's advice for conversations.history

# errors after which, by https://docs.slack.dev/reference/methods/chat.postMessage, the message may have been posted
UNCLEAR_ERRORS = {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}

# fmt: off
# errors that concern this one message
MESSAGE_ERRORS = {
    "invalid_blocks", "invalid_blocks_format", "invalid_attachments", "invalid_metadata_format",
    "invalid_metadata_schema", "msg_too_long", "msg_blocks_too_long", "metadata_too_large",
    "metadata_must_be_sent_from_app", "no_text", "too_many_attachments", "too_many_contact_cards",
}

# errors that concern the channel or the token: the next message would get them too
CHANNEL_ERRORS = {
    "access_denied", "accesslimited", "account_inactive", "as_user_not_supported", "channel_is_archived",
    "channel_is_limited_access", "channel_not_found", "channel_type_not_supported", "deprecated_endpoint",
    "ekm_access_denied", "enterprise_is_restricted", "invalid_auth", "is_archived", "messages_tab_disabled",
    "method_deprecated", "missing_post_type", "missing_scope", "no_permission", "not_allowed_token_type",
    "not_authed", "not_in_channel", "org_login_required", "restricted_action",
    "restricted_action_non_threadable_channel", "restricted_action_read_only_channel",
    "restricted_action_thread_locked", "restricted_action_thread_only_channel",
    "slack_connect_canvas_sharing_blocked", "team_access_not_granted", "team_added_to_org", "team_not_found",
    "token_expired", "token_revoked", "two_factor_setup_required",
}
# fmt: on


class RateLimited(Exception):
    """Slack asks to wait `seconds`; nothing was posted."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Slack asks to wait {seconds:g} s")
        self.seconds = seconds


class Unclear(Exception):
    """A call failed, and it is unknown whether the message was posted."""


class MessageRefused(Exception):
    """Slack refuses this message; nothing was posted."""


class UnknownRefusal(MessageRefused):
    """Slack refuses this message for a reason that may be the message's or the channel's; nothing was posted."""


class SearchUnfinished(Exception):
    """Raised when time runs out and the message is not among those newer than the one named `reached`."""

    def __init__(self, reached: str) -> None:
        super().__init__(f"the channel was searched back to {reached}")
        self.reached = reached


class ChannelRefused(Exception):
    """Slack refuses every message; nothing was posted. The error's message names the remedy."""


class Channel:
    """One Slack channel, by its id. A call of Slack's API may take `call_seconds`."""

    def __init__(self, token: str, channel_id: str, api_url: str, call_seconds: float) -> None:
        # The SDK's own handlers would post a message twice after a broken connection, and wait for a rate limit longer
        # than a claim lasts.
        self._client = WebClient(token=token, base_url=api_url, timeout=call_seconds, retry_handlers=[])  # type: ignore[arg-type]  # urllib takes fractions too
        self.channel_id = channel_id
        self.call_seconds = call_seconds

    def post(self, text: str, blocks: list[dict[str, Any]], metadata: dict[str, Any]) -> str:
        """Post a message and return its ts.

        Raises `RateLimited`, `MessageRefused` or `ChannelRefused` if it was not posted, `Unclear` if that is unknown.
        """
        answer = self._ask(
            "chat_postMessage", text=text, blocks=blocks, metadata=metadata, unfurl_links=False, unfurl_media=False
        )
        ts = _text(answer, "ts")
        if not ts:
            raise Unclear("chat_postMessage: the answer has no ts")
        return ts

    def rewrite(self, ts: str, text: str, blocks: list[dict[str, Any]], metadata: dict[str, Any]) -> None:
        """Replace the contents of the message named `ts`. Raises as `post` does."""
        self._ask("chat_update", ts=ts, text=text, blocks=blocks, metadata=metadata)

    def delete(self, ts: str) -> None:
        """Delete the message named `ts`. Raises as `post` does."""
        self._ask("chat_delete", ts=ts)

    def find(
        self, metadata: dict[str, Any], since: float, before: str = "", is_over: Callable[[], bool] = lambda: False
    ) -> str | None:
        """Return the ts of the newest message with this metadata, None if there is none.

        Searches the messages posted after `since`, in seconds since the epoch, and before the one named `before`.
        Raises `SearchUnfinished` if `is_over` becomes true during the search, and as `post` does.
        """
        for page in self._pages(since, before):
            found = next((ts for message in page if (ts := _ts_of(message, metadata))), None)
            if found:
                return found
            if is_over():
                raise SearchUnfinished(_text(page[-1], "ts") if page else before)
        return None

    def copies(self, metadata: dict[str, Any], since: float) -> list[str]:
        """Return the ts of each message with this metadata that was posted after `since`. Raises as `post` does."""
        return [ts for page in self._pages(since, "") for message in page if (ts := _ts_of(message, metadata))]

    def _pages(self, since: float, before: str) -> Iterator[list[object]]:
        cursor, seen = "", {""}
        until = {"latest": before} if before else {}
        while True:
            answer = self._ask(
                "conversations_history",
                include_all_metadata=True,
                oldest=f"{since:.6f}",
                limit=MESSAGES_A_PAGE,
                cursor=cursor,
                **until,
            )
            messages = answer.get("messages")
            if not isinstance(messages, list):
                raise Unclear("conversations_history: the answer has no messages")
            yield messages
            cursor = _text(answer.get("response_metadata"), "next_cursor")
            if not cursor:
                return
            if cursor in seen:
                raise Unclear("conversations_history: the answers repeat the same page")
            seen.add(cursor)

    def _ask(self, method: str, **arguments: Any) -> dict[str, object]:
        try:
            answer: SlackResponse = getattr(self._client, method)(channel=self.channel_id, **arguments)
        except SlackApiError as error:
            raise _explained(error, method, self.channel_id) from error
        except (SlackClientError, OSError, HTTPException, ValueError, AttributeError, RecursionError) as error:
            # slack_sdk expects an object: a list has no `get`
            raise Unclear(f"{method}: {type(error).__name__} {error}") from error
        return _object(answer.data)


def _ts_of(message: object, metadata: dict[str, Any]) -> str:
    """Return a message's ts if it has this metadata, else an empty text.

    The first versions put no stack into the metadata.
    """
    payload = _object(_object(message).get("metadata")).get("event_payload")
    wanted = metadata["event_payload"]
    nameless = {name: value for name, value in wanted.items() if name != "stack"}
    return _text(message, "ts") if payload in (wanted, nameless) else ""


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object, name: str) -> str:
    """Return the text called `name` in an object of an answer, empty if there is none."""
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
    # if an answer is not Slack's JSON, slack_sdk gives a sentence instead of a code
    if response.status_code != 200 or code in UNCLEAR_ERRORS or not re.fullmatch("[a-z_0-9]+", code):
        return Unclear(f"{method}: {code}")
    is_unknown = method == "chat_postMessage" and code not in CHANNEL_ERRORS
    if code in MESSAGE_ERRORS or is_unknown:
        details = _object(answer.get("response_metadata")).get("messages")
        refusal = MessageRefused if code in MESSAGE_ERRORS else UnknownRefusal
        return refusal(f"{method}: {code} {' '.join(map(str, details)) if isinstance(details, list) else ''}".strip())
    return ChannelRefused(
        f"{method} to {channel_id}: {code}: check that the bot is in the channel, that its token is the current one,"
        " and that it has the scopes chat:write and channels:history (groups:history where the channel is private)"
    )
