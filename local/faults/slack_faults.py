"""What goes wrong between the functions and Slack."""

from __future__ import annotations

import json
import threading

from local.faults.fault import Fault, Hit, a_day_of, presses_of
from local.faults.happenings import answer_lost, answered, calls, json_answered, late, slack_error
from local.faults.wire import Act, Answer, Call, Forward, Rule
from local.faults.world import World

GROUP = "Slack"
_POST = calls("notifier", "slack:chat.postMessage")
_HISTORY = calls("notifier", "slack:conversations.history")
_RESPONSE_URL = calls("feedback", "slack:response_url")
_RATE_LIMITED = json_answered(429, {"ok": False, "error": "ratelimited"}, [("Retry-After", "1")])
_PAGE_OF_A_PROXY = answered(503, b"<html>Service Unavailable</html>", [("Content-Type", "text/html")])


def _posted_and_500(_call: Call, forward: Forward) -> Answer:
    forward()
    return Answer(500, [("Content-Type", "application/json")], b'{"ok": false, "error": "internal_error"}')


def _refused_for_good(on: World) -> int:
    """Let Slack refuse every message about the first item posted, then mend that and offer it again."""
    refused: list[str] = []
    lock = threading.Lock()

    def is_about_the_first(call: Call) -> bool:
        if not _POST(call):
            return False
        item_id = _item_id(call)
        with lock:
            if item_id and not refused:
                refused.append(item_id)
        return item_id in refused

    rule = Rule(is_about_the_first, slack_error("invalid_blocks"))
    on.a_day(2, [rule])
    on.a_day(1, [rule])
    on.machine.ledger.offer_again(refused[0])
    on.a_day(1)
    return len(rule.met)


def _item_id(call: Call) -> str | None:
    """Return the id of the item that a posted message is about."""
    item_id: str | None = json.loads(call.body)["metadata"]["event_payload"].get("item_id")
    return item_id


def _post_fault(name: str, injected: str, act: Act, times: float, *, is_quick: bool = False) -> Fault:
    return Fault(GROUP, name, injected, a_day_of(Hit(_POST, act, times)), is_quick=is_quick)


FAULTS = (
    _post_fault("slack-429", "429 with Retry-After of a second", _RATE_LIMITED, 3, is_quick=True),
    _post_fault("slack-500", "500 to a post, which did nothing", slack_error("internal_error", 500), 3),
    _post_fault("slack-500-posted", "500 to a post that was done", _posted_and_500, 2, is_quick=True),
    _post_fault("slack-proxy", "a proxy's page of HTML in place of an answer to a post", _PAGE_OF_A_PROXY, 2),
    _post_fault("slack-timeout", "time-out of a post that was done", late(1.0), 2),
    _post_fault("slack-broken", "connection broken after a post was done", answer_lost, 3),
    _post_fault("slack-no-channel", "`channel_not_found`, all day", slack_error("channel_not_found"), float("inf")),
    _post_fault("slack-revoked", "`token_revoked`, all day", slack_error("token_revoked"), float("inf")),
    _post_fault("slack-invalid-auth", "`invalid_auth`, once", slack_error("invalid_auth"), 1),
    Fault(
        GROUP,
        "slack-history-500",
        "a post's answer lost, then 500 to the look into the channel",
        a_day_of(Hit(_POST, answer_lost, 1), Hit(_HISTORY, slack_error("internal_error", 500), 2)),
        seconds=15,
    ),
    Fault(
        GROUP,
        "slack-refused",
        "`invalid_blocks` to every message about one item for two days, then mended and offered again",
        _refused_for_good,
        is_quick=True,
    ),
    Fault(
        GROUP,
        "slack-response-url-500",
        "500 to the rewriting of a message after a press",
        presses_of(Hit(_RESPONSE_URL, answered(500), 1)),
    ),
    Fault(
        GROUP,
        "slack-response-url-late",
        "time-out of the rewriting of a message after a press",
        presses_of(Hit(_RESPONSE_URL, late(1.5), 1)),
    ),
)
