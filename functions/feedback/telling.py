"""Tells Slack of a press: in the item's message, or to the one who pressed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from slack_sdk.webhook import WebhookClient

from feedback.actions import Stores, Telling
from feedback.press import show_label
from osusume.messages import item_metadata
from osusume.observability import follow, logger

SECONDS = 2
"""How long to wait for Slack's answer."""


class SlackUnavailable(Exception):
    """Raised when Slack takes no message now: Lambda invokes the function with the same event again."""


def tell(telling: Telling, stores: Stores, stack: str) -> None:
    """Tell Slack. Raises `SlackUnavailable`, and what SDK and stores raise when they do not answer."""
    slack = WebhookClient(telling.response_url, timeout=SECONDS, retry_handlers=[])
    if telling.message is not None:
        _send(slack, **telling.message)
        return
    record = stores.ledger.get([telling.item_id])[telling.item_id]
    follow(record.snapshot)
    metadata = item_metadata(record, stack)
    show_label(
        record,
        stores.labels,
        lambda text, blocks: _send(slack, text=text, blocks=blocks, metadata=metadata, replace_original=True),
    )
    logger.info("label shown", item_id=telling.item_id)


def _send(slack: WebhookClient, **message: Any) -> bool:
    """Send a message, and return False if Slack refuses it. Raises `SlackUnavailable`."""
    answer = slack.send(**message)
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.status_code >= 500:
        raise SlackUnavailable(f"{answer.status_code} {answer.body:.200}")
    # Slack reports a bad message in either way
    if answer.status_code != HTTPStatus.OK or '"ok":false' in answer.body.replace(" ", ""):
        logger.warning("the message was not rewritten", status=answer.status_code, error=answer.body)
        return False
    return True
