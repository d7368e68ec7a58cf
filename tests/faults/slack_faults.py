"""What goes wrong between the functions and Slack."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from functools import partial

from injector import (
    Act,
    Call,
    Forward,
    Rule,
    answer_lost,
    answered,
    calls,
    json_answered,
    killed_before,
    late,
    slack_error,
)
from werkzeug import Response

from faults.classifier_faults import SHORT_OF_TIME
from faults.fault import Fault, a_day_of, presses_of
from faults.harness import Harness, Settings
from osusume.snapshots import snapshot_key

GROUP = "Slack"
EXPLORED = 2
EXPLORING = Settings(parameters=(("Threshold", "1"), ("ExploredItemsADay", str(EXPLORED))))
_POST = calls("notifier", "slack:chat.postMessage")
_HISTORY = calls("notifier", "slack:conversations.history")
_RESPONSE_URL = calls("feedback", "slack:response_url")
_RATE_LIMITED = json_answered(429, {"ok": False, "error": "ratelimited"}, [("Retry-After", "1")])
_PAGE_OF_A_PROXY = answered(503, b"<html>Service Unavailable</html>", [("Content-Type", "text/html")])


def _posted_and_500(_call: Call, forward: Forward) -> Response:
    forward()
    return Response(b'{"ok": false, "error": "internal_error"}', 500, [("Content-Type", "application/json")])


def _refused_for_good(on: Harness, code: str = "invalid_blocks") -> int:
    """Let Slack refuse every message about the first item posted, then mend that and offer it again.

    All other messages, the run's summary too, are to be posted on the same day.
    """
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

    rule = Rule(is_about_the_first, slack_error(code))
    before = len(on.machine.slack.messages)
    on.a_day(3, [rule])
    others = [message.item_id for message in on.machine.slack.messages[before:]]
    if len(others) != 3 or others.count(None) != 1:
        raise AssertionError(f"instead of 2 items and a summary {len(others)} messages were posted")
    on.a_day(1, [rule])
    on.machine.ledger.offer_again(refused[0])
    on.a_day(1)
    return rule.met


def _told_to_wait_long(on: Harness) -> int:
    """Let Slack ask for a wait longer than the notifier has time, all day: it is to end at once, and not to sleep."""
    rule = Rule(_POST, json_answered(429, {"ok": False, "error": "ratelimited"}, [("Retry-After", "100000")]))
    before = len(on.machine.cloud.invocations)
    on.a_day(2, [rule])
    if any("timed out" in str(run.error) for run in on.machine.cloud.invocations[before:]):
        raise AssertionError("the notifier slept until it was killed")
    on.a_day(1)
    return rule.met


def _scored_and_then_no_classifier(on: Harness) -> int:
    """Let items be scored on a day without Slack, and the next day be without a classifier: they are posted then."""
    before = len(on.machine.slack.messages)
    away = Rule(_POST, slack_error("channel_not_found"))
    on.a_day(2, [away])
    no_classifier = Rule(calls("notifier", "classifier:"), json_answered(503, {"message": "Service Unavailable"}))
    on.a_day(1, [no_classifier])
    posted = sum(message.item_id is not None for message in on.machine.slack.messages[before:])
    if posted != 2:
        raise AssertionError(f"{posted} of the 2 items that were scored the day before were posted")
    on.a_day(1)
    return away.met + no_classifier.met


def _two_stacks(on: Harness) -> int:
    """Let another stack's summary of the same morning be in the channel when the notifier dies before its own."""
    key = snapshot_key("dlsite", on.morning + timedelta(days=1))
    last = next(message for message in reversed(on.machine.slack.messages) if not message.item_id)
    metadata = last.metadata or {}
    payload = {name: key if name == "snapshot" else "another" for name in metadata["event_payload"]}
    others = on.machine.slack.channel.post(last.text, last.blocks, {**metadata, "event_payload": payload})
    rule = Rule(lambda call: _POST(call) and _item_id(call) is None, killed_before(on.machine.cloud.kill), times=1)
    on.a_day(1, [rule])
    on.machine.slack.channel.remove(others.ts)
    on.a_day(1)
    return rule.met


def _two_runs_a_day(on: Harness) -> int:
    """Let the schedule fire in the morning and six hours later, with new works each time."""
    before = len(on.machine.slack.messages)
    on.begin_day(4)
    on.settle()
    on.begin_day(4, at=on.morning + timedelta(hours=6))
    on.settle()
    explored = sum(message.item_id is not None for message in on.machine.slack.messages[before:])
    if explored > EXPLORED:
        raise AssertionError(f"{explored} items were explored in a day, where {EXPLORED} are wanted")
    return 2


def _item_id(call: Call) -> str | None:
    """Return the id of the item that a posted message is about."""
    item_id: str | None = json.loads(call.body)["metadata"]["event_payload"].get("item_id")
    return item_id


def _post_fault(name: str, injected: str, act: Act, times: float, *, is_quick: bool = False) -> Fault:
    return Fault(GROUP, name, injected, a_day_of(Rule(_POST, act, times)), is_quick=is_quick)


FAULTS = (
    _post_fault("slack-429", "429 with Retry-After of a second", _RATE_LIMITED, 3),
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
        a_day_of(Rule(_POST, answer_lost, 1), Rule(_HISTORY, slack_error("internal_error", 500), 2)),
        seconds=15,
    ),
    Fault(
        GROUP,
        "slack-refused",
        "`invalid_blocks` to every message about one item for two days, then mended and offered again",
        _refused_for_good,
    ),
    Fault(
        GROUP,
        "slack-unknown-error",
        "`invalid_arguments` to every message about one item for two days, then mended and offered again",
        partial(_refused_for_good, code="invalid_arguments"),
        seconds=10,
    ),
    Fault(
        GROUP,
        "slack-429-long",
        "429 with a Retry-After longer than the notifier's time, all day",
        _told_to_wait_long,
        SHORT_OF_TIME,
        seconds=20,
    ),
    Fault(
        GROUP,
        "slack-then-classifier",
        "a day without Slack, then one without the classifier",
        _scored_and_then_no_classifier,
        seconds=60,
    ),
    Fault(GROUP, "slack-two-stacks", "another stack's summary in the channel when the notifier dies", _two_stacks),
    Fault(
        GROUP,
        "slack-explored",
        f"two runs a day where {EXPLORED} items a day are to be explored",
        _two_runs_a_day,
        EXPLORING,
        seconds=8,
    ),
    Fault(
        GROUP,
        "slack-response-url-500",
        "500 to the rewriting of a message after a press",
        presses_of(Rule(_RESPONSE_URL, answered(500), 1)),
    ),
    Fault(
        GROUP,
        "slack-response-url-late",
        "time-out of the rewriting of a message after a press",
        presses_of(Rule(_RESPONSE_URL, late(1.5), 1)),
    ),
)
