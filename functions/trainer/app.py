"""Lambda handler of the trainer, invoked by its schedule each night, and by `python -m ops train`."""

from __future__ import annotations

import os
import time
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from model.serving.package import ENCODER, ModelPackage
from osusume.heads import NO_ENCODER, Heads
from osusume.labels import Labels
from osusume.ledger import Ledger
from osusume.observability import logger, measure
from osusume.settings import TrainerSettings
from trainer.stores import StackWorkshop, record_report, report_of, train_stack

settings = TrainerSettings.from_environment(os.environ)
s3, dynamodb = boto3.client("s3"), boto3.resource("dynamodb")
labels, ledger = Labels(dynamodb, settings.labels_table), Ledger(dynamodb, settings.items_table)
package = ModelPackage.load(settings.model_package)
heads = Heads(s3, settings.bucket, package.card.files.get(ENCODER, NO_ENCODER))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001  # Lambda passes it
    """Learn from the presses of the day, and report once a week.

    `{"accept": true}` uses the new head whatever the gate says; `{"report": true}` only returns the last report.
    """
    started = now = time.time()
    workshop = StackWorkshop(package, heads, settings.unwanted_cost, now)
    if event.get("report") is True:
        report = report_of(labels, ledger, workshop, now, settings.time_zone)
        return {"report": report.lines if report else []}
    outcome = train_stack(labels, ledger, s3, settings.bucket, workshop, now, accept=event.get("accept") is True)
    seconds = round(time.time() - started, 1)
    version = outcome.state.version
    logger.info(outcome.sentence, action=outcome.action, labels=outcome.labels, model_version=version, seconds=seconds)
    record_report(labels, ledger, workshop, now, settings.time_zone)
    if outcome.action:
        measure(HeadsPromoted=int(outcome.action == "promote"))
    return {
        "action": outcome.action,
        "sentence": outcome.sentence,
        "model_version": version,
        "labels": outcome.labels,
    }
