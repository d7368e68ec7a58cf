"""Putting labels back as they were at a time in the last 35 days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from ops.stack import DeployedStack
from osusume.errors import UserError
from osusume.labels import Label, Labels

_POLL_SECONDS, _POLLS = 15, 480
"""DynamoDB takes ten minutes or more to restore even an empty table; after two hours something is wrong."""


@dataclass(frozen=True, slots=True)
class Change:
    """One item's label now and at the restored time, None if it has none."""

    item_id: str
    now: Label | None
    then: Label | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The number of restored labels, the changes to make, and the number of newer labels that stay."""

    restored: int
    changes: list[Change]
    newer: int


def restorable(stack: DeployedStack) -> tuple[datetime, datetime]:
    """Return the first and last time that can be restored. Raises `UserError` if the table has no backups."""
    dynamodb: Any = stack.client("dynamodb")
    table = stack.resource("LabelsTable")
    described = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    past = described["PointInTimeRecoveryDescription"]
    if past["PointInTimeRecoveryStatus"] != "ENABLED":
        raise UserError(f"{table} has no backups: deploy template.yaml, which turns on point-in-time recovery")
    return past["EarliestRestorableDateTime"], past["LatestRestorableDateTime"]


def restore_table(stack: DeployedStack, moment: datetime) -> str:
    """Restore the labels as of `moment` to a new table, and return its name once it can be read.

    Raises `UserError` if DynamoDB cannot restore that time.
    """
    dynamodb: Any = stack.client("dynamodb")
    source = stack.resource("LabelsTable")
    target = f"{source}-as-of-{moment.astimezone(UTC):%Y%m%d-%H%M%S}"
    try:
        dynamodb.restore_table_to_point_in_time(
            SourceTableName=source,
            TargetTableName=target,
            RestoreDateTime=moment,
            BillingModeOverride="PAY_PER_REQUEST",
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"TableAlreadyExistsException", "ResourceInUseException"}:
            raise UserError(f"table {target} exists already: use it with --from-table {target}") from error
        raise UserError(f"{source} cannot be restored as of {moment.isoformat()}: {error}") from error
    poll = {"Delay": _POLL_SECONDS, "MaxAttempts": _POLLS}
    dynamodb.get_waiter("table_exists").wait(TableName=target, WaiterConfig=poll)
    return target


def compare(stack: DeployedStack, table: str, is_wrong: Callable[[Label], bool]) -> Comparison:
    """Return what putting the labels of `table` back would change.

    A label is put back if the stack's is missing or older. A later one stays unless `is_wrong`: then the restored label
    replaces it, or none if the item had none. Raises `UserError` if the table does not exist.
    """
    standing = {label.item_id: label for label in stack.labels.all()}
    try:
        restored = {label.item_id: label for label in Labels(stack.session.resource("dynamodb"), table).all()}
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise UserError(f"there is no table {table}: name another with --from-table") from error
    changes = []
    newer = 0
    for item_id in sorted(standing.keys() | restored.keys()):
        now, then = standing.get(item_id), restored.get(item_id)
        if now == then:
            continue
        if now is None or is_wrong(now) or (then and float(now.action_ts) < float(then.action_ts)):
            changes.append(Change(item_id, now, then))
        else:
            newer += 1
    return Comparison(len(restored), changes, newer)


def put_back(stack: DeployedStack, changes: Sequence[Change], advance: Callable[[int], None]) -> int:
    """Make the changes, and return their number; skips items whose label has changed since `compare`.

    `advance` is called with the number of changes tried so far.
    """
    labels = stack.labels
    made = 0
    for done, change in enumerate(changes, 1):
        if change.now is not None:
            made += labels.take_back(change.now, change.then)
        elif change.then is not None:
            made += labels.store(change.then) == change.then
        advance(done)
    return made


def delete_table(stack: DeployedStack, table: str) -> None:
    """Delete a restored table. Raises `UserError` for the stack's own."""
    if table in {stack.resource("LabelsTable"), stack.resource("ItemsTable")}:
        raise UserError(f"{table} is the stack's own table: it is never deleted")
    stack.client("dynamodb").delete_table(TableName=table)
