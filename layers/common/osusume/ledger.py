"""The ledger: one record for every item ever seen, and one for every run.

Only this module, `records.py`, which says what a record is, and `kept_scores.py` know the attributes of the table
`items`. A record
goes from `scored` to `posting` to `posted`, or to `refused` if Slack refuses it in several runs; a passed item stays
`scored`. A run claims a record for a while before it posts it. An expired claim may be taken over by a run that then
searches the channel before it posts, because the first one may have posted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from uuid import uuid4

from botocore.exceptions import ClientError

from osusume.conditions import is_condition_failure, write_if
from osusume.records import (
    NIGHT_PREFIX,
    REPORT_PREFIX,
    RUN_PREFIX,
    SCORE_DIGITS,
    Choice,
    Decision,
    Entry,
    Limits,
    Reason,
    Record,
    Report,
    Run,
    Status,
    Witness,
    check_fits,
    from_attributes,
    is_entry,
    labelled_elsewhere,
    to_attributes,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

__all__ = [
    "MOST_REFUSALS",
    "RUN_PREFIX",
    "SCORE_DIGITS",
    "Choice",
    "Claim",
    "Decision",
    "Entry",
    "Ledger",
    "Limits",
    "Reason",
    "Record",
    "Report",
    "Run",
    "Status",
    "Unfinished",
    "Witness",
    "check_fits",
    "labelled_elsewhere",
    "read_records",
]

KEYS_A_BATCH = 100
"""BatchGetItem takes at most 100 keys; beyond 16 MB it returns the rest as unprocessed."""

_LAST_DECISION = f"{NIGHT_PREFIX}last"

MOST_REFUSALS = 3
"""A message is given up after so many runs in which Slack refused it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to post one record until `expires_at`, in seconds since the epoch.

    `taken_over` is true if an earlier holder may have posted the record; `refusals` is how often Slack refused it.
    `searched_to` names the message down to which the channel was searched in vain, empty before any search.
    """

    record_id: str
    token: str
    expires_at: float
    taken_over: bool
    refusals: int = 0
    searched_to: str = ""


class Unfinished(NamedTuple):
    """The entries in the index `unfinished`: records by item id, runs by snapshot key, reports by week."""

    records: dict[str, Record]
    runs: dict[str, Run]
    reports: dict[str, Report]

    @property
    def entries(self) -> list[Entry]:
        """The records, then the runs, then the reports."""
        return [*self.records.values(), *self.runs.values(), *self.reports.values()]


class Ledger:
    """The table `items`. `clock` returns seconds since the epoch."""

    def __init__(self, dynamodb: DynamoDBServiceResource, table: str, clock: Callable[[], float] = time.time) -> None:
        self._dynamodb = dynamodb
        self._table = dynamodb.Table(table)
        self._clock = clock

    def get(self, item_ids: Iterable[str]) -> dict[str, Record]:
        """Return by item id the records of the items that have one."""
        entries = self._entries(item_id for item_id in item_ids if not item_id.startswith(RUN_PREFIX))
        return {record_id: entry for record_id, entry in entries.items() if isinstance(entry, Record)}

    def runs(self, snapshot_keys: Iterable[str]) -> dict[str, Run]:
        """Return by snapshot key the runs of the snapshots that have one."""
        entries = self._entries(RUN_PREFIX + key for key in snapshot_keys)
        return {entry.snapshot: entry for entry in entries.values() if isinstance(entry, Run)}

    def reports(self, weeks: Iterable[str]) -> dict[str, Report]:
        """Return by week the reports of the weeks that have one."""
        entries = self._entries(REPORT_PREFIX + week for week in weeks)
        return {entry.week: entry for entry in entries.values() if isinstance(entry, Report)}

    def all(self) -> Iterator[Entry]:
        """Return every record, run and report, in no order."""
        pages = self._table.meta.client.get_paginator("scan").paginate(TableName=self._table.name, ConsistentRead=True)
        for page in pages:
            entries: list[Any] = page["Items"]
            yield from (from_attributes(entry) for entry in entries if is_entry(entry))

    def decide(self, decision: Decision) -> None:
        """Record a decision of the trainer, as the last one and for good; a repetition changes nothing."""
        for key in (f"{NIGHT_PREFIX}{decision.at}", _LAST_DECISION):
            self._table.put_item(Item={"item_id": key, **asdict(decision)})

    def last_decision(self) -> Decision | None:
        """Return the newest decision of the trainer, None if there is none."""
        records = read_records(self._dynamodb, self._table.name, [_LAST_DECISION])
        return next((_decision(record) for record in records), None)

    def decisions(self) -> list[Decision]:
        """Return all decisions of the trainer, oldest first."""
        pages = self._table.meta.client.get_paginator("scan").paginate(
            TableName=self._table.name,
            FilterExpression="begins_with(item_id, :night) AND item_id <> :last",
            ExpressionAttributeValues={":night": NIGHT_PREFIX, ":last": _LAST_DECISION},
            ConsistentRead=True,
        )
        return sorted((_decision(each) for page in pages for each in page["Items"]), key=lambda decision: decision.at)

    def forget(self, record: Record) -> bool:
        """Delete a record if it is as first written; return False, changing nothing, if it has changed."""
        attributes = to_attributes(record)
        return write_if(
            self._table.delete_item,
            Key={"item_id": record.record_id},
            ConditionExpression="recorded_at = :recorded_at AND #snapshot = :snapshot AND #status = :status",
            ExpressionAttributeNames={"#snapshot": "snapshot", "#status": "status"},
            ExpressionAttributeValues={f":{name}": attributes[name] for name in ("recorded_at", "snapshot", "status")},
        )

    def record(self, entry: Entry) -> bool:
        """Write a first record; return False, changing nothing, if there is one."""
        return write_if(
            self._table.put_item, Item=to_attributes(entry), ConditionExpression="attribute_not_exists(item_id)"
        )

    def unfinished(self) -> Unfinished:
        """Return unposted records, and refusals not reported yet.

        The index lags a little behind the table.
        """
        query = self._table.meta.client.get_paginator("query").paginate(
            TableName=self._table.name,
            IndexName="unfinished",
            KeyConditionExpression="unfinished = :yes",
            ExpressionAttributeValues={":yes": "yes"},
        )
        ids = sorted(str(attributes["item_id"]) for page in query for attributes in page["Items"])
        found = self._entries(ids)
        return Unfinished(
            {key: entry for key, entry in found.items() if isinstance(entry, Record)},
            {entry.snapshot: entry for entry in found.values() if isinstance(entry, Run)},
            {entry.week: entry for entry in found.values() if isinstance(entry, Report)},
        )

    def claim(self, record_id: str, seconds: float) -> Claim | Literal["posting", "posted", "refused"]:
        """Claim a record for `seconds`. Returns the status if the record is claimed or finished."""
        now = self._clock()
        token, expires_at = uuid4().hex, now + seconds
        try:
            before = self._table.update_item(
                Key={"item_id": record_id},
                UpdateExpression="SET #status = :posting, claim = :token, claim_expires_at = :expires_at",
                ConditionExpression="#status = :scored OR (#status = :posting AND claim_expires_at < :now)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":posting": "posting",
                    ":scored": "scored",
                    ":token": token,
                    ":expires_at": Decimal(str(expires_at)),
                    ":now": Decimal(str(now)),
                },
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )["Attributes"]
        except ClientError as error:
            if not is_condition_failure(error):
                raise
            # an error's attributes come as DynamoDB sends them, with their types
            found: Any = error.response
            status = found["Item"]["status"]["S"]
            return status if status in {"posted", "refused"} else "posting"
        refusals: Any = before.get("refusals", 0)
        searched_to = str(before.get("searched_to", ""))
        return Claim(record_id, token, expires_at, before["status"] == "posting", int(refusals), searched_to)

    def release(self, claim: Claim) -> None:
        """Release a claim whose holder did not post the message.

        If an earlier holder may have posted it, the next claim is `taken_over` again.
        """
        self._release(claim, claim.refusals)

    def note_search(self, claim: Claim, reached: str) -> None:
        """Release a claim, and record that the message is not among those newer than the one named `reached`."""
        update = "SET #status = :status, searched_to = :reached, claim_expires_at = :past"
        self._finish(claim, update, {":status": "posting", ":reached": reached, ":past": 0})

    def forget_search(self, claim: Claim) -> None:
        """Forget how far the channel was searched, before the message may become the newest."""
        self._finish(claim, "SET #status = :status REMOVE searched_to", {":status": "posting"})

    def refuse(self, claim: Claim) -> bool:
        """Record that Slack refused the message; return whether it is given up, which happens after `MOST_REFUSALS`."""
        refusals = claim.refusals + 1
        if refusals < MOST_REFUSALS:
            self._release(claim, refusals)
            return False
        update = "SET #status = :status, refusals = :refusals REMOVE claim, claim_expires_at"
        self._finish(claim, update, {":status": "refused", ":refusals": refusals})
        return True

    def mark_reported(self, record_id: str) -> None:
        """Record that the owner was told of a refused record: `unfinished` no longer returns it."""
        self._change_refused(record_id, "REMOVE unfinished", {})

    def offer_again(self, record_id: str) -> bool:
        """Let the next run post a refused record; return False, changing nothing, for any other."""
        update = "SET #status = :scored, unfinished = :yes REMOVE refusals"
        return self._change_refused(record_id, update, {":scored": "scored", ":yes": "yes"})

    def posted(self, claim: Claim, channel: str, ts: str) -> None:
        """Record that the message is in the channel."""
        self._finish(
            claim,
            "SET #status = :status, channel = :channel, ts = :ts REMOVE claim, claim_expires_at, unfinished",
            {":status": "posted", ":channel": channel, ":ts": ts},
        )

    def _entries(self, record_ids: Iterable[str]) -> dict[str, Entry]:
        records = read_records(self._dynamodb, self._table.name, record_ids)
        return {record["item_id"]: from_attributes(record) for record in records if is_entry(record)}

    def _release(self, claim: Claim, refusals: int) -> None:
        values = {":status": "scored", ":refusals": refusals}
        update = "SET #status = :status, refusals = :refusals REMOVE claim, claim_expires_at"
        if claim.taken_over:
            values |= {":status": "posting", ":past": 0}
            update = "SET #status = :status, refusals = :refusals, claim_expires_at = :past"
        self._finish(claim, update, values)

    def _change_refused(self, record_id: str, update: str, values: dict[str, Any]) -> bool:
        return self._change(record_id, update, "#status = :refused", {**values, ":refused": "refused"})

    def _finish(self, claim: Claim, update: str, values: dict[str, Any]) -> None:
        # changes nothing if the claim was taken over: the new holder finds the message by searching the channel
        self._change(claim.record_id, update, "claim = :token", {**values, ":token": claim.token})

    def _change(self, record_id: str, update: str, condition: str, values: dict[str, Any]) -> bool:
        return write_if(
            self._table.update_item,
            Key={"item_id": record_id},
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=values,
        )


def read_records(dynamodb: DynamoDBServiceResource, table: str, record_ids: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the attributes of the records that exist, in no order."""
    wanted = list(dict.fromkeys(record_ids))
    while wanted:
        keys = [{"item_id": record_id} for record_id in wanted[:KEYS_A_BATCH]]
        answer: Any = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
        yield from answer["Responses"].get(table, [])
        left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        wanted = [key["item_id"] for key in left] + wanted[KEYS_A_BATCH:]


def _decision(attributes: dict[str, Any]) -> Decision:
    fields = {name: attributes[name] for name in ("at", "action", "sentence", "version")}
    return Decision(**fields, labels=int(attributes["labels"]), liked=int(attributes["liked"]))
