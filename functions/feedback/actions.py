"""What each button and menu does, and what Slack is told of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from feedback.press import Press, PressRefused, record_of, set_rule, store_press, undo_rule
from feedback.slack_request import Payload, RequestRefused
from osusume.labels import Labels
from osusume.ledger import Ledger
from osusume.messages import MENU, UNDO_RULE, VERDICTS, WHY, rule_message, why_message
from osusume.observability import logger
from osusume.rules import Rules
from osusume.settings import FeedbackSettings


@dataclass(frozen=True, slots=True)
class Stores:
    """What presses are stored in."""

    labels: Labels
    ledger: Ledger
    rules: Rules


@dataclass(frozen=True, slots=True)
class Telling:
    """What to tell Slack at `response_url`: `message`, or else to show the label of `item_id` in its message."""

    response_url: str
    item_id: str = ""
    message: dict[str, Any] | None = None


class NotAsDocumented(Exception):
    """Raised when a payload that Slack signed lacks what Slack says that it has."""


def take(
    payload: Payload, settings: FeedbackSettings, stores: Stores, since_receipt: Callable[[], float] | None = None
) -> Telling:
    """Do what a press asks for, and return what Slack is to be told.

    `since_receipt` returns the seconds since the press was received, which its label keeps.

    Raises `NotAsDocumented`, and `RequestRefused` for what is no press.
    """
    try:
        if payload["type"] != "block_actions":
            raise RequestRefused(404, "not the press of a button")
        return _take(payload, settings, stores, since_receipt)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, ArithmeticError) as error:
        raise NotAsDocumented(f"{type(error).__name__} {error}") from error


def _take(
    payload: Payload, settings: FeedbackSettings, stores: Stores, since_receipt: Callable[[], float] | None
) -> Telling:
    action, url = payload["actions"][0], payload["response_url"]
    action_id, user_id = action["action_id"], payload["user"]["id"]
    allowed = settings.allowed_users

    def press(item_id: str = "", is_interested: bool | None = None) -> Press:
        return Press(item_id, is_interested, user_id, action["action_ts"], payload["channel"]["id"])

    replace_original = False
    try:
        if action_id in VERDICTS:
            pressed = press(action["value"], VERDICTS[action_id])
            record = store_press(pressed, stores.labels, stores.ledger, allowed, settings.time_zone, since_receipt)
            return Telling(url, item_id=record.item.item_id)
        if action_id.startswith(f"{MENU}:"):
            pressed, kind = press(action_id.removeprefix(f"{MENU}:")), action["selected_option"]["value"]
            if kind == WHY:
                told = why_message(record_of(pressed, stores.ledger, allowed))
            else:
                told = rule_message(set_rule(pressed, kind, stores.rules, stores.ledger, allowed))
        elif action_id == UNDO_RULE:
            told = rule_message(undo_rule(action["value"], press(), stores.rules, allowed))
            # the message of the rule itself is replaced, a report is not
            replace_original = payload["container"].get("is_ephemeral") is True
        else:
            told = "このボタンはもう使えません。", []
            logger.warning("unknown action", action_id=action_id)
    except PressRefused as error:
        logger.warning("press refused", reason=str(error), user_id=user_id)
        told, replace_original = (str(error), []), False
    text, blocks = told
    shown: dict[str, Any] = {"blocks": blocks} if blocks else {}
    message = {"text": text, **shown, "response_type": "ephemeral", "replace_original": replace_original}
    return Telling(url, message=message)
