"""The feedback function for the owner in whose channel a button was pressed, with that owner's stores."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from typing import Any, cast
from urllib.parse import parse_qs

from aws_lambda_powertools.utilities.typing import LambdaContext

from feedback import app
from feedback.actions import Stores
from feedback.aws import Aws, Database
from local.scale.handlers.owner import Calls, Owner
from osusume.labels import Labels
from osusume.ledger import Ledger
from osusume.rules import Rules


class _OwnersAws(Aws):
    """AWS as the feedback function calls it, with the calls counted and the owner named to the second invocation."""

    channel = ""

    def __init__(self) -> None:
        super().__init__()
        self.calls = Calls()

    def invoke_later(self, function_name: str, event: dict[str, Any]) -> None:
        super().invoke_later(function_name, {**event, "channel": self.channel})

    def _post(self, service: str, path: str, headers: dict[str, str], arguments: dict[str, Any]) -> bytes:
        self.calls.begin(headers.get("X-Amz-Target", "Invoke").rpartition(".")[2])
        answer = super()._post(service, path, headers, arguments)
        self.calls.end()
        return answer


_aws = _OwnersAws()
app.aws = _aws


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a press, or tell Slack of one, as the feedback function's own handler does.

    The channel in an unverified press only chooses the stores; the handler verifies it before it reads or writes one.
    """
    _aws.channel = event.pop("channel", "") or _channel_of(event)
    owner = Owner(_aws.channel)
    database = cast("Any", Database(_aws))
    app.settings = replace(
        app.settings, items_table=owner.items_table, labels_table=owner.labels_table, stack=owner.channel
    )
    app.stores = Stores(
        Labels(database, owner.labels_table), Ledger(database, owner.items_table), Rules(database, owner.items_table)
    )
    _aws.calls.clear()
    answer = app.handler(event, context)
    _aws.calls.tell()
    return answer


def _channel_of(event: dict[str, Any]) -> str:
    body = event["body"]
    form = parse_qs(b64decode(body).decode() if event["isBase64Encoded"] else body)
    return str(json.loads(form["payload"][0])["channel"]["id"])
