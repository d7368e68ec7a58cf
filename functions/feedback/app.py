"""Lambda handler of the feedback function, called by Slack when a button is pressed."""

from __future__ import annotations

import os
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from feedback.slack_app import refusal, slack_app
from osusume.labels import Labels
from osusume.ledger import Ledger
from osusume.observability import logger
from osusume.rules import Rules
from osusume.secrets import KeptSecret
from osusume.settings import FeedbackSettings

# Slack waits three seconds
quickly = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 3})

settings = FeedbackSettings.from_environment(os.environ)
dynamodb = boto3.resource("dynamodb", config=quickly)
secret = KeptSecret(boto3.client("ssm", config=quickly), settings.slack_signing_secret_parameter)
answer_press = slack_app(
    settings,
    Labels(dynamodb, settings.labels_table),
    Ledger(dynamodb, settings.items_table),
    Rules(dynamodb, settings.items_table),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request from Slack: 200 once the press is stored, 400 or 401 if it is not Slack's."""
    refused = refusal(event, secret.value())
    if refused and secret.has_changed():
        refused = refusal(event, secret.value())
    if refused:
        return refused
    answer = answer_press(event, context)
    if answer["statusCode"] >= 500:
        raise RuntimeError(
            "the press was not stored; the log says why"
        )  # the alarm on errors needs a failed invocation
    return answer
