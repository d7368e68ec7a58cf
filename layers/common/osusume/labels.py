"""Labels: whether an item interests the owner, one record an item.

Only this module knows the attributes of the table `labels`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from osusume.conditions import write_if

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

Origin = Literal["slack", "annotation"]

IMPORT_USER = "import"
"""The user id of labels imported from a file, including presses of another stack."""


@dataclass(frozen=True, slots=True)
class Label:
    """One user's verdict on one item: `is_interested` is None if they have it already, or cannot say.

    `action_ts` is the time of the press in seconds since the epoch, to the microsecond, as Slack gives it: a decimal
    number in a string. `created_at` is the same moment as `YYYY-MM-DD HH:MM:SS` in the owner's time zone. A press
    in Slack was stored `waited` seconds after its receipt, or a little later; it is None for other labels.
    """

    item_id: str
    is_interested: bool | None
    user_id: str
    action_ts: str
    created_at: str
    origin: Origin = "slack"
    waited: float | None = None


def local_time(action_ts: str, time_zone: tzinfo) -> str:
    """Return the time of a press in the format of labels.

    >>> from zoneinfo import ZoneInfo
    >>> local_time("1764000000.000100", ZoneInfo("Asia/Tokyo"))
    '2025-11-25 01:00:00'
    """
    return datetime.fromtimestamp(float(action_ts), time_zone).strftime("%Y-%m-%d %H:%M:%S")


class Labels:
    """The table `labels`."""

    def __init__(self, dynamodb: DynamoDBServiceResource, table: str) -> None:
        self._table = dynamodb.Table(table)

    def store(self, label: Label) -> Label | None:
        """Store `label` unless a later one is stored; return the label that is stored then, None if it is forgotten.

        A press in this stack's channel, which Slack has timed, replaces any label timed by another clock, even one that
        seems later. Of a forgotten label only its time counts.
        """
        condition = "attribute_not_exists(item_id) OR action_ts < :action_ts"
        origin: dict[str, Any] = {}
        values: dict[str, Any] = {":action_ts": Decimal(label.action_ts)}
        if label.origin == "slack" and label.user_id != IMPORT_USER:
            condition += " OR (attribute_not_exists(forgotten) AND (#origin <> :slack OR user_id = :import))"
            origin = {"ExpressionAttributeNames": {"#origin": "origin"}}
            values |= {":slack": "slack", ":import": IMPORT_USER}
        is_stored = write_if(
            self._table.put_item,
            Item=_to_attributes(label),
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            **origin,
        )
        return label if is_stored else self.get(label.item_id)

    def take_back(self, label: Label, earlier: Label | None) -> bool:
        """Replace `label` by `earlier`, or delete it; return False, changing nothing, if another label is stored."""
        condition: Any = {
            "ConditionExpression": "action_ts = :action_ts AND user_id = :user_id",
            "ExpressionAttributeValues": {":action_ts": Decimal(label.action_ts), ":user_id": label.user_id},
        }
        if earlier is None:
            return write_if(self._table.delete_item, Key={"item_id": label.item_id}, **condition)
        return write_if(self._table.put_item, Item=_to_attributes(earlier), **condition)

    def forget(self, label: Label) -> bool:
        """Replace `label` by the mark of a forgotten one; return False, changing nothing, if another label is stored.

        The mark keeps the time of the press alone: the same press, arriving again, brings nothing back, and a later one
        is stored.
        """
        return write_if(
            self._table.put_item,
            Item={"item_id": label.item_id, "action_ts": Decimal(label.action_ts), "forgotten": True},
            ConditionExpression="action_ts = :action_ts AND user_id = :user_id",
            ExpressionAttributeValues={":action_ts": Decimal(label.action_ts), ":user_id": label.user_id},
        )

    def get(self, item_id: str) -> Label | None:
        """Return the label of an item, None if it has none or it is forgotten."""
        record = self._table.get_item(Key={"item_id": item_id}, ConsistentRead=True).get("Item")
        return None if record is None or "forgotten" in record else _from_attributes(record)

    def all(self) -> Iterator[Label]:
        """Return every label that is not forgotten, in no order."""
        pages = self._table.meta.client.get_paginator("scan").paginate(TableName=self._table.name, ConsistentRead=True)
        for page in pages:
            yield from (_from_attributes(record) for record in page["Items"] if "forgotten" not in record)


def _to_attributes(label: Label) -> dict[str, Any]:
    return {
        "item_id": label.item_id,
        "is_interested": None if label.is_interested is None else int(label.is_interested),
        "user_id": label.user_id,
        # a number, so that the database compares presses by time
        "action_ts": Decimal(label.action_ts),
        "created_at": label.created_at,
        "origin": label.origin,
        "waited": None if label.waited is None else Decimal(f"{label.waited:.3f}"),
    }


def _from_attributes(attributes: dict[str, Any]) -> Label:
    verdict, waited = attributes["is_interested"], attributes.get("waited")
    return Label(
        item_id=attributes["item_id"],
        is_interested=None if verdict is None else bool(verdict),
        user_id=attributes["user_id"],
        action_ts=str(attributes["action_ts"]),
        created_at=attributes["created_at"],
        origin=attributes["origin"],
        waited=None if waited is None else float(waited),
    )
