"""All of Osusume on one machine: the demo's shop, the Slack stand-in and the template's cloud, connected."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from local.cloud.cloud import Cloud
from local.cloud.state import State
from local.panel import side_panel
from local.shop.site import Site, serve_site
from local.slack import Message, Slack, serve_slack
from osusume.labels import Labels
from osusume.ledger import Ledger, Record
from osusume.rules import Rules
from osusume.snapshots import Snapshot, list_snapshot_keys, read_snapshot
from samples.works import IMAGE_HOST

ROOT = Path(__file__).parent.parent
CHANNEL = "C0LOCAL0001"
BOT_TOKEN = f"xoxb-{secrets.token_hex(24)}"
SIGNING_SECRET = secrets.token_hex(16)
"""Both are random in each process: with fixed secrets anyone could sign presses for every run."""
SCHEDULE = "CrawlerFunctionEveryMorning"
SECOND_SCHEDULE = "CrawlerFunctionSecondSource"
NIGHT_SCHEDULE = "TrainerFunctionEveryNight"
STARTER = ROOT / "model" / "starter"
PACKAGE = ROOT / "model" / "package"
"""Where `make model` writes the encoder that reads Japanese."""
MESSAGES = "messages"
"""The store of a state that holds the channel, by ts."""

_PACKAGES = (
    *("aws_lambda_powertools.metrics", "aws_lambda_powertools.utilities.data_classes", "slack_sdk"),
    *("bs4", "protego", "requests", "numpy", "tokenizers"),
)
PRELOAD = {
    **dict.fromkeys(("CrawlerFunction", "NotifierFunction", "ClassifierFunction", "FeedbackFunction"), _PACKAGES),
    "TrainerFunction": (*_PACKAGES, "sklearn.linear_model", "sklearn.model_selection"),
}
"""What the functions import, without onnxruntime, which starts a thread when it is imported."""

# the demo uses the starter's made-up taste
PARAMETERS = {"Contact": "demo@example.com", "SlackChannelId": CHANNEL, "MadeUpTaste": "use"}
SECRETS = {"/osusume/slack-bot-token": BOT_TOKEN, "/osusume/slack-signing-secret": SIGNING_SECRET}


@dataclass(frozen=True, slots=True)
class Deployment:
    """The running Slack stand-in and cloud. The properties read what the functions stored."""

    slack: Slack
    cloud: Cloud

    @property
    def ledger(self) -> Ledger:
        """The table `items`."""
        return Ledger(self.cloud.dynamodb(), self.cloud.resources["ItemsTable"])

    @property
    def labels(self) -> Labels:
        """The table `labels`."""
        return Labels(self.cloud.dynamodb(), self.cloud.resources["LabelsTable"])

    @property
    def snapshot_keys(self) -> list[str]:
        """The keys of all snapshots, oldest first."""
        return list_snapshot_keys(self.cloud.client("s3"), self.cloud.resources["Bucket"])

    def snapshot(self, key: str) -> Snapshot:
        """Return the snapshot under a key."""
        return read_snapshot(self.cloud.client("s3"), self.cloud.resources["Bucket"], key)

    @property
    def rules(self) -> Rules:
        """The owner's rules, in the table `items`."""
        return Rules(self.cloud.dynamodb(), self.cloud.resources["ItemsTable"])

    def press(self, message: str, action_id: str, **options: Any) -> int:
        """Press a button as `Slack.press` does, wait until the app has said what came of it, return the HTTP status."""
        status = self.slack.press(message, action_id, **options).status_code
        self.cloud.wait_until_idle(60)
        return status

    def records_of(self, key: str) -> list[Record]:
        """Return the ledger's records of the items that were new in a snapshot."""
        records = self.ledger.get(item.item_id for item in self.snapshot(key).items)
        return [record for record in records.values() if record.snapshot == key]


@dataclass(frozen=True, slots=True)
class Machine(Deployment):
    """A deployment beside the demo's shop, which its crawler reads."""

    site: Site

    def begin_day(self, day: int, at: datetime) -> None:
        """Set the shop to its `day` and fire the schedule as of `at`; the functions run asynchronously."""
        self.site.day = day
        self.site.clear_log()
        self.cloud.fire_schedule(SCHEDULE, at)


@contextmanager
def one_machine(
    *,
    crawl_delay: float = 0.05,
    parameters: Mapping[str, str] | None = None,
    **options: Any,  # passed on to `deployment` as they are
) -> Iterator[Machine]:
    """Run everything on the demo's shop for the duration of the context.

    `crawl_delay` is what the shop's robots.txt asks for, in seconds. `parameters` add to the template's parameters.
    """
    with (
        serve_site(crawl_delay) as site,
        deployment(site.address, parameters={**PARAMETERS, **(parameters or {})}, **options) as deployed,
    ):
        yield Machine(deployed.slack, deployed.cloud, site)


@contextmanager
def deployment(
    site_address: str | None,
    *,
    parameters: Mapping[str, str],
    model: Path = STARTER,
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    state: State | None = None,
    preload: Mapping[str, Sequence[str]] = PRELOAD,
    **cloud_options: Any,  # passed on to Cloud as they are
) -> Iterator[Deployment]:
    """Run Slack and the cloud for the duration of the context; the crawler reads the shop at `site_address`.

    That is an address on this machine; None means the real site. `parameters` are the template's, `model` is the folder
    of the model package, `overrides` add to single functions' environments. `state` keeps stored data and messages
    across deployments. `preload` is Cloud's: without any, the functions start as slowly as in Lambda.
    """
    variables = {name: {"MODEL_PACKAGE": str(model.resolve())} for name in ("ClassifierFunction", "TrainerFunction")}
    for function, added in (overrides or {}).items():
        variables[function] = {**variables.get(function, {}), **added}
    environment = {"SITE_ADDRESS": site_address} if site_address else {}
    with serve_slack(bot_token=BOT_TOKEN, signing_secret=SIGNING_SECRET, channel=CHANNEL) as slack:
        if state:
            _keep_messages(slack, state)
        with Cloud(
            ROOT / "template.yaml",
            parameters,
            secrets=SECRETS,
            environment={"SLACK_API_URL": slack.api_url, **environment},
            overrides=variables,
            state=state,
            preload=preload,
            **cloud_options,
        ) as cloud:
            slack.interactions_url = f"{cloud.api_url}/slack/interactions"
            slack.image_hosts = {IMAGE_HOST: site_address} if site_address else {}
            slack.side_panel = side_panel(cloud)
            yield Deployment(slack, cloud)


def _keep_messages(slack: Slack, state: State) -> None:
    """Load the channel's messages from the state, and save new ones to it."""
    slack.channel.restore(Message(**json.loads(value)) for value in state.all(MESSAGES).values())

    def keep(ts: str, message: Message | None) -> None:
        if message:
            state.put(MESSAGES, ts, json.dumps(asdict(message)).encode())
        else:
            state.remove(MESSAGES, ts)

    slack.channel.keep = keep
