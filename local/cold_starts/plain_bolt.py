"""A feedback function as Bolt's documentation shows it: its Lambda adapter, and boto3's resource; for comparison."""

import os
from decimal import Decimal
from typing import Any

import boto3
from slack_bolt import Ack, App
from slack_bolt.adapter.aws_lambda import SlackRequestHandler
from slack_bolt.authorization import AuthorizeResult

labels = boto3.resource("dynamodb").Table(os.environ["LABELS_TABLE"])
app = App(
    process_before_response=True,
    signing_secret=os.environ["SLACK_SIGNING_SECRET"],
    authorize=lambda enterprise_id, team_id: AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id),
)


@app.action("interested")
def press(body: dict[str, Any], ack: Ack) -> None:
    """Store the press as a label."""
    action = body["actions"][0]
    labels.put_item(
        Item={"item_id": f"plain:{action['value']}", "is_interested": 1, "action_ts": Decimal(action["action_ts"])}
    )
    ack()


def handler(event: dict[str, Any], context: Any) -> Any:  # Lambda's context
    """Answer a press."""
    return SlackRequestHandler(app).handle(event, context)
