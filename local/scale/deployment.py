"""One deployment of the template in the local cloud, with stores and a Slack workspace for each of many owners."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.cloud.access import REGION
from local.cloud.cloud import Cloud
from local.cloud.template import load_template
from local.machine import PARAMETERS, ROOT, STARTER
from local.scale.handlers.owner import Owner
from local.scale.workspaces import serve_workspaces
from local.slack import Slack
from osusume.items import Item
from osusume.labels import Labels
from osusume.ledger import Ledger
from osusume.snapshots import Snapshot, snapshot_key, write_snapshot

THRESHOLDS = (0.3, 0.5, 0.7)
"""Owners have different thresholds, so that their posts differ and an item in a wrong channel is found."""

_HANDLERS = {"NotifierFunction": "deliver", "FeedbackFunction": "press"}
_TABLES = {"ItemsTable": "items_table", "LabelsTable": "labels_table"}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A running deployment for the owners of `workspaces`, by channel."""

    cloud: Cloud
    workspaces: dict[str, Slack]

    def write_snapshot(self, items: Sequence[Item], due_at: datetime) -> str:
        """Write one snapshot for all owners and return its key; no function is invoked."""
        key = snapshot_key("dlsite", due_at)
        snapshot = Snapshot("dlsite", datetime.now(UTC), list(items))
        write_snapshot(self.cloud.client("s3"), self.cloud.resources["Bucket"], key, snapshot)
        return key

    def deliver(self, channel: str, key: str) -> None:
        """Let the notifier deliver a snapshot to one owner. Raises FunctionError."""
        stored = {"bucket": {"name": self.cloud.resources["Bucket"]}, "object": {"key": key}}
        event = {
            "channel": channel,
            "api_url": self.workspaces[channel].api_url,
            "threshold": threshold_of(channel),
            "notification": {"Records": [{"eventSource": "aws:s3", "s3": stored}]},
        }
        self.cloud.invoke("NotifierFunction", event)

    def ledger(self, channel: str) -> Ledger:
        """Return an owner's ledger."""
        return Ledger(self.cloud.dynamodb(), Owner(channel).items_table)

    def labels(self, channel: str) -> Labels:
        """Return an owner's labels."""
        return Labels(self.cloud.dynamodb(), Owner(channel).labels_table)


def threshold_of(channel: str) -> float:
    """Return the threshold of the owner of a channel."""
    return THRESHOLDS[int(channel[1:]) % len(THRESHOLDS)]


@contextmanager
def deployed_for(channels: Sequence[str]) -> Iterator[Deployment]:
    """Deploy for the owners of these channels, whose ids are C and digits, while the context lasts."""
    signing_secret = secrets.token_hex(16)
    with serve_workspaces(channels, signing_secret) as workspaces:
        tokens = {Owner(channel).token_parameter: slack.bot_token for channel, slack in workspaces.items()}
        search = ":".join(str(folder) for folder in (ROOT / "functions", ROOT / "layers" / "common", ROOT))
        with Cloud(
            ROOT / "template.yaml",
            {**PARAMETERS, "SlackChannelId": channels[0]},
            secrets={**tokens, "/osusume/slack-signing-secret": signing_secret},
            overrides={
                "ClassifierFunction": {"MODEL_PACKAGE": str(STARTER.resolve())},
                **{function: {"PYTHONPATH": search} for function in _HANDLERS},
            },
            edit=_for_many_owners,
        ) as cloud:
            _create_tables(cloud, channels)
            for slack in workspaces.values():
                slack.interactions_url = f"{cloud.api_url}/slack/interactions"
            yield Deployment(cloud, workspaces)


def _for_many_owners(template: dict[str, Any]) -> None:
    """Let two functions serve every owner, with the permissions for all owners' stores, at our own pace."""
    resources = template["Resources"]
    resources["Bucket"]["Properties"].pop("NotificationConfiguration")  # the measurement chooses who is served when
    press = resources["HttpApi"]["Properties"]["Body"]["paths"]["/slack/interactions"]["post"]
    # before anything is measured, several functions start at once on this machine, for longer than Slack would wait
    press["x-amazon-apigateway-integration"].pop("timeoutInMillis")
    for function, module in _HANDLERS.items():
        resources[function]["Properties"]["Handler"] = f"local.scale.handlers.{module}.handler"
    for role in ("NotifierRole", "FeedbackRole"):
        for policy in resources[role]["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                service = (actions if isinstance(actions, str) else actions[0]).partition(":")[0]
                if service in {"dynamodb", "ssm"}:
                    statement["Resource"] = f"arn:aws:{service}:*:*:*"


def _create_tables(cloud: Cloud, channels: Sequence[str]) -> None:
    """Create each owner's tables as the template describes the one owner's."""
    client = cloud.client("dynamodb")
    resources = load_template(ROOT / "template.yaml", PARAMETERS, REGION).document["Resources"]
    for channel in channels:
        for logical_id, name in _TABLES.items():
            table = {
                key: value
                for key, value in resources[logical_id]["Properties"].items()
                if key in {"AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema"}
            }
            client.create_table(TableName=getattr(Owner(channel), name), **table)
