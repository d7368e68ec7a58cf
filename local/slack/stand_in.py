"""The stand-in itself: what Slack knows, what it was asked, and the owner's presses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests
from werkzeug import Response

from local.slack.channel import Json, Message, RateLimit, StoredChannel, as_ts, item_id_of
from local.slack.interactions import ResponseUrls, block_actions, find_button, signed_interaction


@dataclass(frozen=True, slots=True)
class Call:
    """A call that was served.

    `method` is the Web API's or `response_url`. `status` is the HTTP status, `error` Slack's name of what was wrong,
    None where nothing was. `ts` names the message that the call posted, changed or removed; `at` is the time of the
    answer in seconds since 1970.
    """

    method: str
    arguments: Mapping[str, object]
    status: int
    error: str | None
    ts: str | None
    at: float


@dataclass(frozen=True, slots=True)
class FailedPress:
    """A press that the app did not take, for which Slack shows a warning; `status` is None where no answer came.

    `at` is when it failed, in seconds since 1970.
    """

    message_ts: str
    action_id: str
    status: int | None
    reason: str
    at: float


def duplicate_posts(log: list[Call]) -> int:
    """Return how many of the messages posted were about an item that an earlier message was about already."""
    posted = [item_id_of(call.arguments.get("metadata")) for call in log if _posted(call)]
    item_ids = [item_id for item_id in posted if item_id is not None]
    return len(item_ids) - len(set(item_ids))


def _posted(call: Call) -> bool:
    return call.method == "chat.postMessage" and call.ts is not None


class Slack:
    """A workspace with one channel, one bot and one owner.

    `interactions_url` is where presses go; it can be set once the app's address is known. `log` and `failed_presses`
    are plain lists to read. `intercept` may change the answer to each call: it gets the path, the body, and a function
    that serves the call. `address` has no slash at its end, `page_address` is where the owner watches the channel.
    `image_hosts` names, by host, the addresses that stand in for where images are: Slack fetches images itself, and the
    page fetches them from there. `scopes` are the bot token's. `side_panel`, where set, returns the HTML that the page
    shows beside the channel.
    """

    def __init__(
        self,
        *,
        bot_token: str,
        signing_secret: str,
        channel: str,
        interactions_url: str | None,
        clock: Callable[[], float],
        rate_limit: RateLimit,
        press_timeout: float,
    ) -> None:
        self.bot_token = bot_token
        self.interactions_url = interactions_url
        self.address = ""
        self.page_address = ""
        self.side_panel: Callable[[], str] | None = None
        self.image_hosts: dict[str, str] = {}
        self.channel = StoredChannel(channel, clock)
        self.clock = clock
        self.rate_limit = rate_limit
        self.response_urls = ResponseUrls(self.channel)
        self.log: list[Call] = []
        self.failed_presses: list[FailedPress] = []
        self.intercept = _undisturbed
        self.signing_secret = signing_secret
        self.scopes = ["chat:write", "channels:history", "groups:history", "channels:read", "groups:read"]
        self._press_timeout = press_timeout

    @property
    def api_url(self) -> str:
        """What slack_sdk takes as `base_url`."""
        return f"{self.address}/api/"

    @property
    def messages(self) -> list[Message]:
        """The channel's messages as they stand now, oldest first."""
        return self.channel.messages

    @property
    def ephemerals(self) -> list[Message]:
        """The messages shown to one user alone, oldest first."""
        return self.channel.ephemerals

    @property
    def posts(self) -> int:
        """How many messages were posted by `chat.postMessage`, counted from the log."""
        return sum(_posted(call) for call in self.log)

    def message(self, name: str) -> Message:
        """Return the message whose `ts` or item id is `name`, the newest of several; LookupError without one."""
        for message in reversed([*self.ephemerals, *self.messages]):
            if name in {message.ts, message.item_id}:
                return message
        raise LookupError(f"the channel has no message with the ts or the item id {name!r}")

    def press(
        self,
        message: str,
        action_id: str,
        user_id: str = "U0OWNER",
        at: float | None = None,
        block_id: str | None = None,
        option: str | None = None,
    ) -> requests.Response:
        """Press a button of the message whose `ts` or item id is given and return the app's answer.

        With `option`, the value of an option, it selects that one of the menu named `action_id`.

        `at`, in seconds since 1970, is when the button was pressed, for a press that arrives late; it is sent and
        signed now. Like Slack this waits three seconds (`press_timeout`) and asks once. An answer other than 200 and no
        answer are kept in `failed_presses`, and no answer is raised as `requests.RequestException`. LookupError names
        what the channel lacks, RuntimeError says that `interactions_url` is missing.
        """
        if self.interactions_url is None:
            raise RuntimeError("nobody takes presses: set interactions_url to the address of POST /slack/interactions")
        pressed = self.message(message)
        button = find_button(pressed, action_id, block_id, option)
        if button is None:
            raise LookupError(f"message {pressed.ts} has no button with the action id {action_id!r}")
        payload = self._payload(pressed, button, user_id, self.clock() if at is None else at)
        headers, body = signed_interaction(payload, self.signing_secret, self.clock())
        try:
            answer = _post(self.interactions_url, headers, body, self._press_timeout)
        except requests.RequestException as error:
            self._remember_failure(pressed, action_id, None, type(error).__name__)
            raise
        if answer.status_code != requests.codes.ok:
            self._remember_failure(pressed, action_id, answer.status_code, answer.text[:200])
        return answer

    def _remember_failure(self, pressed: Message, action_id: str, status: int | None, reason: str) -> None:
        self.failed_presses.append(FailedPress(pressed.ts, action_id, status, reason, self.clock()))

    def _payload(self, message: Message, button: Json, user_id: str, at: float) -> Json:
        response_url = self.address + self.response_urls.issue(message, user_id, self.clock())
        return block_actions(
            self.channel, message, button, user_id=user_id, action_ts=as_ts(at), response_url=response_url
        )


def _undisturbed(_path: str, _body: bytes, serve: Callable[[], Response]) -> Response:
    return serve()


def _post(url: str, headers: dict[str, str], body: bytes, timeout: float) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # the app is on this machine: no proxy, no .netrc
        return session.post(url, headers=headers, data=body, timeout=timeout, allow_redirects=False)
