"""What a deployed stack has learnt: the owner's labels and the items they are about, from its two tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from model.dataset import TOKYO, DatasetError, Example
from osusume.items import Item
from osusume.labels import Label, Labels
from osusume.ledger import KEYS_A_BATCH, Ledger, Record
from osusume.times import written_time

_OUTPUTS = ("LabelsTableName", "ItemsTableName")


@dataclass(frozen=True, slots=True)
class Learnt:
    """The examples of a stack, and the ids of the labels whose item neither its ledger nor anything else knows."""

    examples: list[Example]
    unknown: list[str]


def read_stack(
    stack: str,
    *,
    region: str | None = None,
    profile: str | None = None,
    known: Mapping[str, Item] | None = None,
    advance: Callable[[float], None] = lambda _share: None,
) -> Learnt:
    """Return what the deployed `stack` has learnt, its tables found by its outputs.

    Region and profile are boto3's own where None, as is the address (`AWS_ENDPOINT_URL`). Items of `known` stand in
    where the ledger has none. Raises `DatasetError` naming what is missing: the stack, its outputs, credentials, the
    right to read.
    """
    try:
        session = boto3.Session(region_name=region, profile_name=profile)
        labels_table, items_table, time_zone = _tables(session, stack)
        dynamodb = session.resource("dynamodb")
        labels, ledger = Labels(dynamodb, labels_table), Ledger(dynamodb, items_table)
        return read_tables(labels.all(), ledger, known or {}, advance, time_zone)
    except BotoCoreError as error:  # no region, no profile, no credentials, no connection: it says which
        raise DatasetError(
            f"stack {stack} cannot be read: {error}; see --region, --profile and 'aws configure'"
        ) from error
    except ClientError as error:
        answer = error.response["Error"]
        raise DatasetError(f"stack {stack} cannot be read: {answer['Code']}: {answer['Message']}") from error


def read_tables(
    labels: Iterable[Label],
    ledger: Ledger,
    known: Mapping[str, Item],
    advance: Callable[[float], None],
    time_zone: tzinfo = TOKYO,
) -> Learnt:
    """Return the labels with their items from the ledger, or else from `known`, and their times in `time_zone`."""
    standing = sorted(labels, key=lambda label: label.item_id)
    examples: list[Example] = []
    unknown: list[str] = []
    for start in range(0, len(standing), KEYS_A_BATCH):
        batch = standing[start : start + KEYS_A_BATCH]
        records = ledger.get(label.item_id for label in batch)
        for label in batch:
            record = records.get(label.item_id)
            item = record.item if isinstance(record, Record) else known.get(label.item_id)
            if item is None:
                unknown.append(label.item_id)
            else:
                examples.append(Example(item, label.is_interested, _written(label, time_zone)))
        advance((start + len(batch)) / len(standing))
    return Learnt(examples, unknown)


def _written(label: Label, time_zone: tzinfo) -> str | None:
    seconds = float(label.action_ts)
    return written_time(seconds, time_zone) if seconds > 0 else None  # 0 stands for a time that nobody knows


def _tables(session: boto3.Session, stack: str) -> tuple[str, str, tzinfo]:
    cloudformation: Any = session.client("cloudformation")
    try:
        (described,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        region = session.region_name
        raise DatasetError(f"there is no stack {stack!r} in {region}: name another with --stack or --region") from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    missing = [name for name in _OUTPUTS if name not in outputs]
    if missing:
        raise DatasetError(f"stack {stack!r} has no output {', '.join(missing)}: deploy this version of template.yaml")
    parameters = {p["ParameterKey"]: p.get("ParameterValue", "") for p in described.get("Parameters", [])}
    zone = ZoneInfo(parameters["TimeZone"]) if parameters.get("TimeZone") else TOKYO
    return outputs["LabelsTableName"], outputs["ItemsTableName"], zone
