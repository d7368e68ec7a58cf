"""What the owner says they like before any press: names and words, and works they bought.

It is one record of the ledger's table, `wishes:`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from osusume.conditions import write_if
from osusume.errors import UserError
from osusume.records import WISHES_KEY
from osusume.sanitize import normal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

MOST_NAMES = 200
MOST_BYTES = 300_000
"""So much of a list of bought works is kept, the last ones: a record must stay below 400 KB, with the names."""

LONGEST = 200


@dataclass(frozen=True, slots=True)
class Bought:
    """A work that the owner bought: its title, and its fields as far as they are known."""

    title: str
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wishes:
    """Names of voice actors, circles, genres or anything else, or words; and bought works."""

    names: Sequence[str] = ()
    bought: Sequence[Bought] = ()

    def with_names(self, names: Sequence[str]) -> Wishes:
        """Return the wishes with more names. Raises `UserError` if there are too many, or one says nothing."""
        for name in names:
            if not normal(name):
                raise UserError(f"{name!r} has no letters: name a voice actor, a circle, a genre or a word")
        together = {normal(name): name.strip()[:LONGEST] for name in (*self.names, *names)}
        if len(together) > MOST_NAMES:
            raise UserError(f"these are {len(together)} names, {MOST_NAMES} are the most: choose some")
        return Wishes(list(together.values()), self.bought)

    def without_name(self, name: str) -> Wishes:
        """Return the wishes without a name. Raises `UserError` if it is not among them."""
        left = [each for each in self.names if normal(each) != normal(name)]
        if len(left) == len(self.names):
            raise UserError(f"{name!r} is not among the names")
        return Wishes(left, self.bought)

    def with_bought(self, bought: Sequence[Bought]) -> Wishes:
        """Return the wishes with other bought works, the last ones if they are more than `MOST_BYTES`."""
        kept: list[Bought] = []
        size = 0
        for each in reversed(bought):
            short = Bought(
                each.title[:LONGEST], {name: [v[:LONGEST] for v in values] for name, values in each.values.items()}
            )
            size += len(json.dumps(_attributes([short]), ensure_ascii=False).encode("utf-8", "replace"))
            if size > MOST_BYTES:
                break
            kept.append(short)
        return Wishes(self.names, kept[::-1])


class WishStore:
    """The wishes in the ledger's table."""

    def __init__(self, dynamodb: DynamoDBServiceResource, table: str) -> None:
        self._table = dynamodb.Table(table)

    def read(self) -> Wishes:
        """Return the wishes, empty ones if there are none."""
        record: Any = self._table.get_item(Key={"item_id": WISHES_KEY}, ConsistentRead=True).get("Item", {})
        return Wishes(
            list(record.get("names", [])),
            [Bought(each["title"], each["fields"]) for each in record.get("bought", [])],
        )

    def replace(self, before: Wishes, after: Wishes) -> bool:
        """Store the wishes unless others than `before` are stored; return whether they are stored."""
        return write_if(
            self._table.put_item,
            Item={"item_id": WISHES_KEY, "names": list(after.names), "bought": _attributes(after.bought)},
            ConditionExpression="attribute_not_exists(item_id) OR (#names = :names AND bought = :bought)",
            ExpressionAttributeNames={"#names": "names"},
            ExpressionAttributeValues={":names": list(before.names), ":bought": _attributes(before.bought)},
        )


def _attributes(bought: Sequence[Bought]) -> list[dict[str, Any]]:
    return [
        {"title": each.title, "fields": {name: list(values) for name, values in each.values.items()}} for each in bought
    ]
