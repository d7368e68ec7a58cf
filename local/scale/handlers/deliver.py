"""The notifier for the owner that an event names: its own handler with that owner's settings and ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from local.scale.handlers.owner import Calls, Owner
from notifier import app
from osusume.ledger import Ledger

_calls = Calls()


def _begin(model: Any, **_: object) -> None:
    _calls.begin(model.name)


def _end(**_: object) -> None:
    _calls.end()


for _client in (app.s3, app.ssm, app.dynamodb.meta.client):
    _client.meta.events.register("before-call", _begin)
    _client.meta.events.register("after-call", _end)


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Deliver to one owner: {"channel", "api_url", "threshold", "notification"}, the last one S3's of the snapshot."""
    owner = Owner(event["channel"])
    app.settings = replace(
        app.settings,
        items_table=owner.items_table,
        slack_bot_token_parameter=owner.token_parameter,
        slack_channel_id=owner.channel,
        slack_api_url=event["api_url"],
        threshold=event["threshold"],
        stack=owner.channel,
    )
    app.ledger = Ledger(app.dynamodb, owner.items_table)
    _calls.clear()
    app.handler(event["notification"], context)
    _calls.tell()
