"""The whole of Osusume on one machine: the demo's shop, the Slack stand-in and the template's cloud, wired together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from local.catalogue.site import Site, serve_site
from local.cloud import Cloud
from local.slack import Slack, serve_slack
from osusume.labels import Labels
from osusume.ledger import Ledger, Record
from osusume.snapshots import Snapshot, list_snapshot_keys, read_snapshot

ROOT = Path(__file__).parent.parent
CHANNEL = "C0LOCAL0001"
BOT_TOKEN = "xoxb-of-the-stand-in"  # noqa: S105  # opens nothing but the stand-in
SIGNING_SECRET = "signing-secret-of-the-stand-in"  # noqa: S105
SCHEDULE = "CrawlerFunctionEveryMorning"

# the starter's taste is made up, which is what a demonstration wants
PARAMETERS = {"Contact": "demo@example.com", "SlackChannelId": CHANNEL, "MadeUpTaste": "use"}
SECRETS = {"/osusume/slack-bot-token": BOT_TOKEN, "/osusume/slack-signing-secret": SIGNING_SECRET}


@dataclass(frozen=True, slots=True)
class Machine:
    """What runs: the shop, Slack, the cloud. The properties read what the functions stored."""

    site: Site
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
        return list_snapshot_keys(self.cloud.client("s3"), self.cloud.resources["Bucket"], "dlsite")

    def snapshot(self, key: str) -> Snapshot:
        """Return the snapshot under a key."""
        return read_snapshot(self.cloud.client("s3"), self.cloud.resources["Bucket"], key)

    def records_of(self, key: str) -> list[Record]:
        """Return the ledger's records of the items that were new in a snapshot."""
        records = self.ledger.get(item.item_id for item in self.snapshot(key).items)
        return [record for record in records.values() if isinstance(record, Record) and record.snapshot == key]

    def begin_day(self, day: int, at: datetime) -> None:
        """Turn the shop to its `day` and fire the schedule as of `at`; what follows goes on by itself."""
        self.site.day = day
        self.site.clear_log()
        self.cloud.fire_schedule(SCHEDULE, at)


@contextmanager
def one_machine(
    *,
    crawl_delay: float = 0.05,
    parameters: Mapping[str, str] | None = None,
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    **cloud_options: Any,  # passed on to Cloud as they are
) -> Iterator[Machine]:
    """Start everything, and end it on leaving; `crawl_delay` is what the shop's robots.txt asks for, in seconds.

    `parameters` and `overrides` add to the template's parameters and to single functions' environments.
    """
    with (
        serve_site(crawl_delay) as site,
        serve_slack(bot_token=BOT_TOKEN, signing_secret=SIGNING_SECRET, channel=CHANNEL) as slack,
    ):
        variables = {"ClassifierFunction": {"MODEL_PACKAGE": str(ROOT / "model" / "starter")}}
        for function, added in (overrides or {}).items():
            variables[function] = {**variables.get(function, {}), **added}
        with Cloud(
            ROOT / "template.yaml",
            {**PARAMETERS, **(parameters or {})},
            secrets=SECRETS,
            environment={"SLACK_API_URL": slack.api_url, "SITE_ADDRESS": site.address},
            overrides=variables,
            **cloud_options,
        ) as cloud:
            slack.interactions_url = f"{cloud.api_url}/slack/interactions"
            slack.image_hosts = {"img.dlsite.jp": site.address}
            yield Machine(site, slack, cloud)
