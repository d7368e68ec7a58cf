"""Posting what was missed: the notifier is called with the event that S3 sends for a snapshot.

The notifier does the same as each morning, so a message that is already in the channel is not posted again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

from botocore.config import Config

from ops.stack import DeployedStack
from osusume.errors import UserError
from osusume.ledger import Record
from osusume.snapshots import InvalidSnapshot, SnapshotMissing, list_snapshot_keys, read_snapshot, snapshot_day

_FUNCTION_SECONDS = 900
"""Lambda's limit. By default the client would give up after a minute and send the event again."""

_LOOK_SECONDS = 2.0
_TO_POST = {"scored", "posting"}


@dataclass(frozen=True, slots=True)
class Missed:
    """How many works a snapshot lists, how many of them have no record, and how many records are not posted yet."""

    listed: int
    without_record: int
    to_post: int


def waiting(stack: DeployedStack) -> int:
    """Return how many messages of earlier runs are unposted; the index that it reads lags behind the ledger."""
    left = stack.ledger.unfinished()
    return sum(entry.status in _TO_POST for entry in left.entries)


def given_up(stack: DeployedStack) -> list[str]:
    """Return the ids of the records that Slack refused in three runs; reads the whole ledger."""
    refused = [entry for entry in stack.ledger.all() if entry.status == "refused"]
    return sorted(entry.record_id for entry in refused)


def snapshots_of_day(stack: DeployedStack, day: date) -> list[str]:
    """Return the keys of a day's snapshots, oldest first; the day begins at midnight in the stack's time zone."""
    zone = ZoneInfo(stack.parameter("TimeZone"))
    return [key for key in _keys(stack) if snapshot_day(key, zone) == day]


def newest_snapshot(stack: DeployedStack) -> str:
    """Return the key of the newest snapshot. Raises `UserError` if there is none."""
    keys = _keys(stack)
    if not keys:
        raise UserError(f"{stack.resource('Bucket')} has no snapshot: run the crawler first")
    return keys[-1]


def missed(stack: DeployedStack, key: str) -> Missed:
    """Return what is missing of one snapshot. Raises `UserError` if it does not exist or is invalid."""
    try:
        snapshot = read_snapshot(stack.client("s3"), stack.resource("Bucket"), key)
    except (SnapshotMissing, InvalidSnapshot) as error:
        raise UserError(str(error)) from error
    records = stack.ledger.get(item.item_id for item in snapshot.items)
    chosen = [record for record in records.values() if isinstance(record, Record) and record.choice != "passed"]
    listed = len({item.item_id for item in snapshot.items})
    return Missed(listed, listed - len(records), sum(record.status in _TO_POST for record in chosen))


def notify_again(stack: DeployedStack, key: str, meanwhile: Callable[[], None]) -> None:
    """Call the notifier for a snapshot and wait until it ends; `meanwhile` is called every two seconds.

    Raises `UserError` with the notifier's error if it fails: the next run posts what it could not.
    """
    config = Config(read_timeout=_FUNCTION_SECONDS + 30, retries={"mode": "standard", "total_max_attempts": 1})
    client = stack.client("lambda", config)
    event = json.dumps(_event(stack.resource("Bucket"), key)).encode()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.invoke, FunctionName=stack.resource("NotifierFunction"), Payload=event)
        while not wait([answer], _LOOK_SECONDS).done:
            meanwhile()
    response = answer.result()
    if "FunctionError" in response:
        error = json.loads(response["Payload"].read())
        what = f"{error.get('errorType', 'error')}: {error.get('errorMessage', '')}"
        raise UserError(f"the notifier failed for {key}: {what}; see its log")


def _keys(stack: DeployedStack) -> list[str]:
    return list_snapshot_keys(stack.client("s3"), stack.resource("Bucket"))


def _event(bucket: str, key: str) -> dict[str, Any]:
    """Return the parts that the notifier reads of S3's event for a new object."""
    written = {
        "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
        "object": {"key": quote_plus(key, safe="/")},
    }
    return {
        "Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": written}]
    }
