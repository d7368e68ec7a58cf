"""Labels in the tables of a deployed stack, and its works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from desk.items import merged
from desk.journal import Mark
from desk.store import NotStored, changed
from osusume.items import Item
from osusume.labels import Label, Labels, local_time
from osusume.ledger import Ledger, Record, labelled_elsewhere
from osusume.snapshots import list_snapshot_keys, read_snapshot

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_USER = "desk"
"""The user of the desk's labels; in Slack it is a person's id."""


def known_items(ledger: Ledger, s3: S3Client, bucket: str) -> tuple[list[Item], list[Item]]:
    """Return the works in the ledger, newest first, and those in the newest snapshot of each source."""
    records = [entry for entry in ledger.all() if isinstance(entry, Record)]
    records.sort(key=lambda record: (record.item.published_on or "", record.recorded_at), reverse=True)
    items = [record.item for record in records]
    newest = {key.split("/")[1]: key for key in list_snapshot_keys(s3, bucket)}.values()  # the last key of each source
    return items, merged(item for key in newest for item in read_snapshot(s3, bucket, key).items)


class StackLabels:
    """The labels of a stack; see `LabelStore`.

    A label adds its item to the ledger, as one that is never posted. Undo removes only what the desk wrote: a later
    press in Slack stays.
    """

    def __init__(
        self,
        labels: Labels,
        ledger: Ledger,
        items: Iterable[Item],
        time_zone: tzinfo,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read all labels; ignores those whose item is not among `items`, the ledger's."""
        known = {item.item_id: item for item in items}
        standing = sorted(
            (label for label in labels.all() if label.item_id in known), key=lambda each: float(each.action_ts)
        )
        self.marks = {label.item_id: _mark(label) for label in standing}
        self.items = {item_id: known[item_id] for item_id in self.marks}
        self._labels = labels
        self._ledger = ledger
        self._time_zone = time_zone
        self._clock = clock

    def new_mark(self, *, is_interested: bool) -> Mark:
        """Return a label with the current time."""
        action_ts = f"{self._clock():.6f}"
        created_at = local_time(action_ts, self._time_zone)
        return _mark(Label("", is_interested, _USER, action_ts, created_at, "annotation"))

    def look(self, item: Item) -> Mark | None:
        """Return the item's label in the table, None if it has none. Raises `NotStored`."""
        try:
            label = self._labels.get(item.item_id)
        except (BotoCoreError, ClientError) as error:
            raise _not_stored(error) from error
        mark = None if label is None else _mark(label)
        if mark != self.marks.get(item.item_id):
            self._update(item, mark)
        return mark

    def replace(self, item: Item, mark: Mark | None) -> None:
        """Store the item's label, or remove it if `mark` is None. Raises `NotStored`."""
        before = self.marks.get(item.item_id)
        try:
            if mark is not None and (before is None or _when(mark) > _when(before)):
                # the item first: a label without an item is useless
                self._ledger.record(labelled_elsewhere(item, _when(mark)))
                stored = self._labels.store(_label(item.item_id, mark))
                mark = (
                    None if stored is None else _mark(stored)
                )  # None if Slack's clock is ahead and the later press was forgotten
            elif before is not None and before["user_id"] != _USER:
                mark = before  # pressed in Slack, where the clock is ahead: the later label stays
            elif before is not None:
                earlier = None if mark is None else _label(item.item_id, mark)
                is_back = self._labels.take_back(_label(item.item_id, before), earlier)
                if is_back and earlier is None:
                    self._ledger.forget(labelled_elsewhere(item, _when(before)))
        except (BotoCoreError, ClientError) as error:
            raise _not_stored(error) from error
        self._update(item, mark)

    def _update(self, item: Item, mark: Mark | None) -> None:
        self.items = changed(self.items, item.item_id, None if mark is None else item)
        self.marks = changed(self.marks, item.item_id, mark)


def _mark(label: Label) -> Mark:
    mark = asdict(label)
    del mark["item_id"]
    # in the table's form, which drops trailing zeros
    return {**mark, "action_ts": format(Decimal(label.action_ts).normalize(), "f")}


def _label(item_id: str, mark: Mark) -> Label:
    fields: Any = mark
    return Label(item_id, **fields)


def _when(mark: Mark) -> float:
    return float(str(mark["action_ts"]))


def _not_stored(error: Exception) -> NotStored:
    return NotStored(f"テーブルに保存できません（{error}）。")
