"""Labels as they were at a moment of the last 35 days, put back where no newer press stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from osusume.labels import Labels
from osusume_ops.errors import OpsError
from osusume_ops.stack import Stack

_POLL_SECONDS, _POLLS = 15, 480
"""DynamoDB takes ten minutes or more to restore even an empty table; after two hours something is wrong."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """How many labels the restored table holds, how many were put back, and how many newer ones stayed."""

    restored: int
    put_back: int
    newer: int


def restorable(stack: Stack) -> tuple[datetime, datetime]:
    """Return from when to when labels can be restored. Raises `OpsError` where the table keeps no past."""
    dynamodb: Any = stack.client("dynamodb")
    table = stack.resource("LabelsTable")
    described = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    past = described["PointInTimeRecoveryDescription"]
    if past["PointInTimeRecoveryStatus"] != "ENABLED":
        raise OpsError(f"{table} keeps no past: deploy template.yaml, which switches point-in-time recovery on")
    return past["EarliestRestorableDateTime"], past["LatestRestorableDateTime"]


def restore_table(stack: Stack, moment: datetime) -> str:
    """Restore the labels as of `moment` to a table of their own; return its name once it can be read.

    Raises `OpsError` where DynamoDB does not restore that moment.
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
            raise OpsError(f"there is a table {target} already: read it with --from-table {target}") from error
        raise OpsError(f"{source} cannot be restored as of {moment.isoformat()}: {error}") from error
    poll = {"Delay": _POLL_SECONDS, "MaxAttempts": _POLLS}
    dynamodb.get_waiter("table_exists").wait(TableName=target, WaiterConfig=poll)
    return target


def put_back(stack: Stack, table: str, advance: Callable[[int], None] = lambda _done: None) -> PutBack:
    """Copy labels from `table` to the stack's own, but for those that a newer press took the place of.

    `advance` is told how many are done. Raises `OpsError` where there is no such table.
    """
    labels = stack.labels
    before = {label.item_id: label for label in labels.all()}
    restored = newer = written = 0
    try:
        for label in Labels(stack.session.resource("dynamodb"), table).all():
            restored += 1
            if before.get(label.item_id) != label:
                if labels.store(label) == label:
                    written += 1
                else:
                    newer += 1
            advance(restored)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise OpsError(f"there is no table {table}: name another with --from-table") from error
    return PutBack(restored, written, newer)


def delete_table(stack: Stack, table: str) -> None:
    """Delete a restored table. Raises `OpsError` for the stack's own."""
    if table in {stack.resource("LabelsTable"), stack.resource("ItemsTable")}:
        raise OpsError(f"{table} is the stack's own table: it is not deleted")
    stack.client("dynamodb").delete_table(TableName=table)
