"""The owner's rules: which works are never posted, which always, whatever their scores.

All rules are one record of the ledger's table, `rules:`, with a map of rules by key. Each rule is written under a
condition on the time of its press, so that presses that arrive twice or in another order end as they were made: an
undone rule stays in the map as undone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, get_args

from osusume.conditions import write_if
from osusume.errors import UserError
from osusume.items import Item
from osusume.records import RULES_KEY
from osusume.sanitize import normal

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

Kind = Literal["circle", "series", "word", "voice_actor", "pause"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Effect = Literal["muted", "wanted"]

PAUSE_SECONDS = 14 * 86_400
"""How long a pause of a circle lasts."""

MOST_RULES = 500
"""More rules than any owner needs; together they stay far below the size of a record."""

VALUE_LENGTH = 100

_FIELDS: dict[Kind, str] = {
    "circle": "circle",
    "series": "series",
    "voice_actor": "voice_actors",
    "pause": "circle",
}
_WORDS = re.compile(r"[ァ-ヴー]{3,}|[一-龠々]{2,}|[A-Za-z]{3,}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, or an undone one if not `is_set`.

    `value` is the name as the shop writes it. `action_ts` is the time of the press in seconds since the epoch, a
    decimal number in a string; `channel` is where it was pressed, empty for `python -m ops rules`.
    """

    kind: Kind
    value: str
    action_ts: str
    channel: str = ""
    is_set: bool = True

    @property
    def key(self) -> str:
        """The name of the rule among all rules: names that differ only in case, width or spaces are one."""
        return f"{self.kind}:{normal(self.value)}"

    @property
    def ends_at(self) -> float | None:
        """When a pause ends, in seconds since the epoch; None for a rule that stays."""
        return float(self.action_ts) + PAUSE_SECONDS if self.kind == "pause" else None

    def holds(self, now: float) -> bool:
        """Return whether the rule is in force."""
        return self.is_set and (self.ends_at is None or now < self.ends_at)

    def concerns(self, item: Item) -> bool:
        """Return whether the item has the circle, series or voice actor, or the word in its title or genres."""
        wanted = normal(self.value)
        if self.kind == "word":
            return any(wanted in normal(text) for text in (item.title, *item.values("genres")))
        return any(wanted == normal(value) for value in item.values(_FIELDS[self.kind]))


class Rules:
    """The rules in the ledger's table."""

    def __init__(self, dynamodb: DynamoDBServiceResource, table: str) -> None:
        self._table = dynamodb.Table(table)

    def all(self) -> list[Rule]:
        """Return every rule, undone ones too, in the order of their presses."""
        record: Any = self._table.get_item(Key={"item_id": RULES_KEY}, ConsistentRead=True).get("Item", {})
        rules = [
            Rule(each["kind"], each["value"], str(each["action_ts"]), each["channel"], bool(each["is_set"]))
            for each in record.get("by_key", {}).values()
        ]
        return sorted(rules, key=lambda rule: (float(rule.action_ts), rule.key))

    def store(self, rule: Rule) -> bool:
        """Store a rule, or its undoing, unless a later press is stored; return whether it is stored now.

        Raises `UserError` if there are `MOST_RULES` others.
        """
        if not normal(rule.value):
            raise UserError("a rule needs a name")
        known = self.all()
        if len(known) >= MOST_RULES and rule.key not in {each.key for each in known}:
            raise UserError(f"there are {MOST_RULES} rules: remove one")
        if not known:  # a rule can only be set in a map that exists
            write_if(
                self._table.put_item,
                Item={"item_id": RULES_KEY, "by_key": {}},
                ConditionExpression="attribute_not_exists(item_id)",
            )
        return write_if(
            self._table.update_item,
            Key={"item_id": RULES_KEY},
            UpdateExpression="SET by_key.#key = :rule",
            ConditionExpression="attribute_not_exists(by_key.#key) OR by_key.#key.action_ts < :action_ts",
            ExpressionAttributeNames={"#key": rule.key},
            ExpressionAttributeValues={
                ":action_ts": Decimal(rule.action_ts),
                ":rule": {
                    "kind": rule.kind,
                    "value": rule.value,
                    "action_ts": Decimal(rule.action_ts),  # a number, so that the database compares presses by time
                    "channel": rule.channel,
                    "is_set": rule.is_set,
                },
            },
        )


def effects(rules: Iterable[Rule], items: Iterable[Item], now: float) -> dict[str, Effect]:
    """Return by item id what the rules in force say of the items that they concern; "never" beats "always"."""
    holding = [rule for rule in rules if rule.holds(now)]
    said: dict[str, Effect] = {}
    for item in items:
        for rule in holding:
            if rule.concerns(item):
                effect: Effect = "wanted" if rule.kind == "voice_actor" else "muted"
                said[item.item_id] = "muted" if said.get(item.item_id) == "muted" else effect
    return said


def offered(item: Item) -> Iterator[tuple[Kind, str]]:
    """Yield the rules that an item's menu offers, at most four: a series replaces the title's longest word."""
    values = {kind: next(iter(item.values(name)), "") for kind, name in _FIELDS.items()}
    if not values["series"]:
        words = _WORDS.findall(unicodedata.normalize("NFKC", item.title))
        values["word"] = max(words, key=len, default="")
    for kind in KINDS:
        value = values.get(kind, "")[:VALUE_LENGTH]
        if normal(value):
            yield kind, value
