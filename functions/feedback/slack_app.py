"""The Slack app: which action calls which function, and how Slack is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.parse import parse_qs

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext
from slack_bolt import Ack, App
from slack_bolt.adapter.aws_lambda import SlackRequestHandler
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackClientError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.webhook import WebhookClient

from feedback.press import Press, PressRefused, record_of, set_rule, show_label, store_press, undo_rule
from osusume.labels import Labels
from osusume.ledger import Ledger
from osusume.messages import MENU, UNDO_RULE, VERDICTS, WHY, Block, item_metadata, rule_message, why_message
from osusume.observability import logger
from osusume.rules import Rules
from osusume.settings import FeedbackSettings

Event = dict[str, Any]
Response = dict[str, Any]

UPDATE_SECONDS = 1
"""Slack waits three seconds for the answer to a press; the label is stored by then, so a message may stay as it is."""


def refusal(event: Event, signing_secret: str) -> Response | None:
    """Return the refusal of a request that is not Slack's or is malformed, None for a valid one.

    Bolt can verify the signature too, but it parses the payload first and fails on one that is cut off.
    """
    try:
        body = APIGatewayProxyEventV2(event).decoded_body or ""
        signed = SignatureVerifier(signing_secret).is_valid_request(body, event.get("headers") or {})
    except (AttributeError, TypeError, ValueError, OverflowError):
        # a body that is not a text or not UTF-8, a timestamp that is not a float, a signature that is not ASCII
        signed = False
    if not signed:
        return _answer(401, "not signed by Slack with this app's signing secret within the last five minutes")
    try:
        payload = json.loads(parse_qs(body, strict_parsing=True)["payload"][0])
    except (KeyError, ValueError, RecursionError):
        return _answer(400, "no readable payload: this address is for Slack's interactivity alone")
    return None if isinstance(payload, dict) else _answer(400, "the payload is not a JSON object")


def slack_app(
    settings: FeedbackSettings, labels: Labels, ledger: Ledger, rules: Rules
) -> Callable[[Event, LambdaContext], Response]:
    """Return the function that answers valid requests, with 500 if a press was not stored."""
    app = App(
        process_before_response=True,  # Lambda stops when it has answered, so the label is stored before that
        request_verification_enabled=False,
        authorize=_authorize,
    )

    def press(body: dict[str, Any], ack: Ack) -> None:
        action = body["actions"][0]
        pressed = _press_of(body, action["value"], VERDICTS[action["action_id"]])
        try:
            record = store_press(pressed, labels, ledger, settings.allowed_users, settings.time_zone)
        except PressRefused as error:
            logger.warning("press refused", item_id=pressed.item_id, user_id=pressed.user_id)
            _send(body, text=str(error), response_type="ephemeral", replace_original=False)
        else:
            metadata = item_metadata(record, settings.stack)
            show_label(
                record,
                labels,
                lambda text, blocks: _send(body, text=text, blocks=blocks, metadata=metadata, replace_original=True),
            )
        ack()

    def menu(body: dict[str, Any], ack: Ack) -> None:
        action = body["actions"][0]
        item_id, kind = action["action_id"].removeprefix(f"{MENU}:"), action["selected_option"]["value"]
        pressed = _press_of(body, item_id)
        if kind == WHY:
            _tell(body, lambda: why_message(record_of(pressed, ledger, settings.allowed_users)))
        else:
            _tell(body, lambda: rule_message(set_rule(pressed, kind, rules, ledger, settings.allowed_users)))
        ack()

    def undo(body: dict[str, Any], ack: Ack) -> None:
        key, pressed = body["actions"][0]["value"], _press_of(body, "")
        # the message of the rule itself is replaced, a report is not
        is_own = body["container"].get("is_ephemeral") is True
        allowed = settings.allowed_users
        _tell(body, lambda: rule_message(undo_rule(key, pressed, rules, allowed)), replace_original=is_own)
        ack()

    def unknown_action(body: dict[str, Any], ack: Ack) -> None:
        logger.warning("unknown action", action_id=body["actions"][0].get("action_id"))
        _send(body, text="このボタンはもう使えません。", response_type="ephemeral", replace_original=False)
        ack()

    for action_id in VERDICTS:
        app.action(action_id)(press)
    app.action(re.compile(f"^{MENU}:"))(menu)
    app.action(UNDO_RULE)(undo)
    app.action(re.compile(""))(unknown_action)
    bolt: Callable[[Event, LambdaContext], Response] = SlackRequestHandler(app).handle

    def answer(event: Event, context: LambdaContext) -> Response:
        try:
            return bolt(event, context)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # Bolt reads the payload's parts without checking their types
            return _answer(500, f"the payload is not as Slack documents it: {type(error).__name__} {error}")

    return answer


def _press_of(body: dict[str, Any], item_id: str, is_interested: bool | None = None) -> Press:
    action = body["actions"][0]
    return Press(item_id, is_interested, body["user"]["id"], action["action_ts"], body["channel"]["id"])


def _tell(
    body: dict[str, Any], answer: Callable[[], tuple[str, list[Block]]], *, replace_original: bool = False
) -> None:
    """Send the answer, or its refusal, to the one who pressed."""
    try:
        text, blocks = answer()
    except PressRefused as error:
        logger.warning("press refused", reason=str(error), user_id=body["user"]["id"])
        _send(body, text=str(error), response_type="ephemeral", replace_original=False)
        return
    _send(body, text=text, blocks=blocks, response_type="ephemeral", replace_original=replace_original)


def _authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
    # presses are answered at their response_url, which needs no token
    return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id)


def _send(body: dict[str, Any], **message: Any) -> bool:
    """Answer a press in Slack, and return False if Slack refuses the message.

    Any other failure is only logged, because the label is stored.
    """
    try:
        answer = WebhookClient(body["response_url"], timeout=UPDATE_SECONDS, retry_handlers=[]).send(**message)
    except (SlackClientError, OSError, HTTPException) as error:
        logger.warning("the message was not rewritten", error=f"{type(error).__name__} {error}")
        return True
    # Slack reports a bad message in either way
    refused = 400 <= answer.status_code < 500 or '"ok":false' in answer.body.replace(" ", "")
    if refused or answer.status_code != 200:
        logger.warning("the message was not rewritten", status=answer.status_code, error=answer.body)
    return not refused


def _answer(status: int, error: str) -> Response:
    logger.warning("request refused", status=status, error=error)
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"error": error}),
    }
