"""The panel beside the channel, which shows labels, the ledger, the last runs, service levels and dead letters."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from local.cloud.cloud import Cloud
from osusume.labels import Label, Labels
from osusume.ledger import Choice, Ledger, Record, Run, Status
from osusume.messages import rule_line
from osusume.rules import Rules
from osusume.service_levels import DAYS, Level, levels
from osusume.snapshots import InvalidSnapshot, SnapshotMissing, list_snapshot_keys, read_snapshot

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef

SHOWN_LABELS = 3
SHOWN_RUNS = 5
SHOWN_DEAD_LETTERS = 3
REASON_LENGTH = 160
REST = 9
LONGEST_REST_SECONDS = 3.0
"""After each read the panel waits REST times as long as the read took, up to LONGEST_REST_SECONDS."""

UNREAD = Markup('<p id="held-trouble" class="warning">いまは読み取れません: {}</p>')


@dataclass(frozen=True, slots=True)
class Held:
    """The contents of the stores at one moment.

    `labels` and `runs` come newest first, `titles` maps item ids to titles, `ledger` counts items by choice and
    status, `posted` counts them by the snapshot that brought them, `head` is the version that scored last. `reasons`
    are the errors of some dead letters, `rules` what the rules in force say.
    """

    labels: list[Label]
    titles: dict[str, str]
    ledger: Counter[tuple[Choice, Status]]
    runs: list[Run]
    posted: Counter[str]
    head: str
    levels: list[Level]
    dead_letters: int
    reasons: list[str]
    rules: list[str]


def side_panel(cloud: Cloud) -> Callable[[], str]:
    """Return a function that renders the current panel; it limits how often it reads the cloud's stores."""
    stores = _Stores(cloud)
    template = _templates.get_template("panel.html")
    lock = threading.Lock()
    html, trouble, due = "", Markup(), 0.0

    def draw() -> str:
        nonlocal html, trouble, due
        with lock:
            began = time.monotonic()
            if began >= due:
                try:
                    html, trouble = template.render(held=stores.read()), Markup()
                except (BotoCoreError, ClientError) as error:  # as when the cloud ends before the page
                    trouble = UNREAD.format(error)
                ended = time.monotonic()
                due = ended + min(REST * (ended - began), LONGEST_REST_SECONDS)
            return f"{html}{trouble}"

    return draw


class _Stores:
    """The stores of a cloud. Snapshots, posted runs, and records of posted and passed items are read once."""

    def __init__(self, cloud: Cloud) -> None:
        self._labels = Labels(cloud.dynamodb(), cloud.resources["LabelsTable"])
        self._ledger = Ledger(cloud.dynamodb(), cloud.resources["ItemsTable"])
        self._rules = Rules(cloud.dynamodb(), cloud.resources["ItemsTable"])
        self._s3, self._bucket = cloud.client("s3"), cloud.resources["Bucket"]
        self._sqs, self._queue = cloud.client("sqs"), cloud.resources["DeadLetters"]
        self._items: dict[str, list[str]] = {}  # by a snapshot's key
        self._settled: dict[str, Record] = {}
        self._posted_runs: dict[str, Run] = {}

    def read(self) -> Held:
        keys = list_snapshot_keys(self._s3, self._bucket)
        labels = sorted(self._labels.all(), key=lambda label: float(label.action_ts), reverse=True)
        records = self._records(keys, [label.item_id for label in labels])
        runs = sorted(self._runs(keys), key=lambda run: run.recorded_at, reverse=True)
        dead_letters, reasons = _dead_letters(self._sqs, self._queue)
        return Held(
            labels=labels,
            titles={item_id: record.item.title for item_id, record in records.items()},
            ledger=Counter((record.choice, record.status) for record in records.values()),
            runs=runs[:SHOWN_RUNS],
            posted=Counter(record.snapshot for record in records.values() if record.ts),
            head=next((run.model_version for run in runs if run.model_version), ""),
            levels=levels(runs, records.values(), labels, time.time()),
            dead_letters=dead_letters,
            reasons=reasons,
            rules=[rule_line(rule) for rule in self._rules.all() if rule.holds(time.time())],
        )

    def _runs(self, keys: list[str]) -> list[Run]:
        runs = self._ledger.runs(key for key in keys if key not in self._posted_runs)
        self._posted_runs |= {key: run for key, run in runs.items() if run.status == "posted"}
        return list((self._posted_runs | runs).values())

    def _records(self, keys: list[str], labelled: list[str]) -> dict[str, Record]:
        """Return the records of all items that a snapshot or a label names."""
        for key in keys:
            if key not in self._items:
                self._items[key] = self._item_ids(key)
        item_ids = dict.fromkeys([item_id for key in keys for item_id in self._items[key]] + labelled)
        records = self._ledger.get(item_id for item_id in item_ids if item_id not in self._settled)
        self._settled |= {
            item_id: record
            for item_id, record in records.items()
            if record.status == "posted" or record.choice == "passed"
        }
        return self._settled | records

    def _item_ids(self, key: str) -> list[str]:
        try:
            return [item.item_id for item in read_snapshot(self._s3, self._bucket, key).items]
        except (InvalidSnapshot, SnapshotMissing):  # the notifier failed on it, so it is a dead letter
            return []


def _dead_letters(sqs: SQSClient, queue: str) -> tuple[int, list[str]]:
    """Return the number of events in the queue, and the errors of a few of them. The events stay there."""
    counted: QueueAttributeNameType = "ApproximateNumberOfMessages"
    count = int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[counted])["Attributes"][counted])
    if not count:
        return 0, []
    letters = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=SHOWN_DEAD_LETTERS, VisibilityTimeout=0, MessageAttributeNames=["All"]
    )
    return count, [_reason(letter) for letter in letters.get("Messages", [])]


def _reason(letter: MessageTypeDef) -> str:
    """Return why an event failed: Lambda sends a record with the error, a schedule adds the error as an attribute."""
    body = letter["Body"]
    try:
        record = json.loads(body)
        context = record["requestContext"]
        function = context["functionArn"].split(":")[6]
        reason = f"{function}: {(record.get('responsePayload') or {}).get('errorMessage') or context['condition']}"
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        told = letter.get("MessageAttributes", {}).get("ERROR_MESSAGE")
        reason = told.get("StringValue", body) if told else body
    return reason if len(reason) <= REASON_LENGTH else reason[: REASON_LENGTH - 1] + "…"


def _local_time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC).astimezone()
    return f"{moment.month}/{moment.day} {moment:%H:%M}"


_templates = Environment(loader=PackageLoader("local"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
_templates.filters["local_time"] = _local_time
_templates.globals |= {
    "choices": {"recommended": "おすすめ", "explored": "おためし", "passed": "見送り"},
    "statuses": {"scored": "採点済み", "posting": "投稿中", "posted": "投稿済み", "refused": "断念"},
    "shown_labels": SHOWN_LABELS,
    "days": DAYS,
    "promises": {
        "summaries": "まとめは予定から1時間以内",
        "posts": "投稿は取得から10分以内",
        "presses": "ボタンへの返事は1秒以内",
    },
}
