"""Lambda handler of the feedback function, called by Slack when a button is pressed, and by itself to tell Slack."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from typing import Any, cast

from aws_lambda_powertools.utilities.typing import LambdaContext

from feedback.actions import Stores, Telling, take
from feedback.aws import Aws, Database
from feedback.slack_request import Payload, RequestRefused, payload_of
from osusume.labels import Labels
from osusume.ledger import Ledger
from osusume.observability import logger
from osusume.rules import Rules
from osusume.secrets import KeptSecret
from osusume.settings import FeedbackSettings

settings = FeedbackSettings.from_environment(os.environ)
aws = Aws()
dynamodb = cast("Any", Database(aws))  # has of boto3's resource what the stores use here
stores = Stores(
    Labels(dynamodb, settings.labels_table),
    Ledger(dynamodb, settings.items_table),
    Rules(dynamodb, settings.items_table),
)
secret = KeptSecret(aws, settings.slack_signing_secret_parameter)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request from Slack: 200 once the press is stored, 400, 401 or 404 if it is not a press from Slack.

    Slack is told the rest by a second invocation, with the event {"tell": ...}, which no request can bring about.
    """
    if "tell" in event:
        _tell(Telling(**event["tell"]))
        return {}

    def since_receipt() -> float:
        received_at: float = event["requestContext"]["timeEpoch"] / 1000
        return max(0.0, time.time() - received_at)

    try:
        telling = take(_payload(event), settings, stores, since_receipt)
    except RequestRefused as error:
        logger.warning("request refused", status=error.status, error=str(error))
        return {
            "statusCode": error.status,
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps({"error": str(error)}),
        }
    # where even this fails, Slack marks the press as failed: pressing again is harmless
    aws.invoke_later(context.function_name, {"tell": asdict(telling)})
    logger.info("press answered", milliseconds=round(1000 * since_receipt()))
    return {"statusCode": 200}


def _payload(event: dict[str, Any]) -> Payload:
    try:
        return payload_of(event, secret.value())
    except RequestRefused:
        if not secret.has_changed():
            raise
        return payload_of(event, secret.value())


def _tell(telling: Telling) -> None:
    from feedback.telling import tell  # noqa: PLC0415  # Slack's SDK would slow down the answer to a press

    tell(telling, stores, settings.stack)
