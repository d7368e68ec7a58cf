"""Lambda handler of the notifier, invoked by S3 when a snapshot is written, and by SNS when an alarm changes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from notifier.alarms import changes, is_about_alarms, tell
from notifier.channel import Channel
from notifier.delivery import Clock
from notifier.events import missed_snapshots, snapshots_of_the_same_day, source_of, written_snapshots
from notifier.notify import Dependencies, check, notify
from notifier.scoring import score_items
from osusume.kept_scores import KeptScores
from osusume.ledger import Ledger, Run
from osusume.observability import follow, logger, measure
from osusume.rules import Rules
from osusume.secrets import read_secret
from osusume.settings import NotifierSettings
from osusume.snapshots import Snapshot, SnapshotMissing, list_snapshot_keys, read_snapshot
from osusume.wishes import WishStore

settings = NotifierSettings.from_environment(os.environ)
session = boto3.Session()
s3, ssm = session.client("s3"), session.client("ssm")
dynamodb = session.resource("dynamodb")
ledger = Ledger(dynamodb, settings.items_table)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str] | None:
    """Post the new items of each snapshot in the event, and of earlier snapshots that were never processed.

    An event about alarms lets it tell the owner of them, the event {"check": true} that scoring and posting work.
    """
    if is_about_alarms(event):
        tell(changes(event), _channel(), settings.stack)
        return None
    if event == {"check": True}:
        deps = _dependencies(context, "check", [], keeps_scores=False)
        return {"model_version": check(deps.channel, deps.score, deps.stack)}
    for bucket, key in written_snapshots(event):
        stored = list_snapshot_keys(s3, bucket, source_of(key))
        for missed in missed_snapshots(key, stored, ledger):
            follow(missed)
            logger.warning("an earlier snapshot was never processed")
            _notify(bucket, missed, stored, context)
        follow(key)
        _notify(bucket, key, stored, context)
    return None


def _notify(bucket: str, key: str, stored: Sequence[str], context: LambdaContext) -> None:
    try:
        snapshot = read_snapshot(s3, bucket, key)
    except SnapshotMissing as error:
        logger.warning("nothing to do", reason=str(error))
        return
    posted_before = _posted_run(key)
    try:
        run = notify(snapshot, key, _dependencies(context, key, stored))
    finally:  # the summary may be posted even if items are left
        if not posted_before and (posted := _posted_run(key)):
            _measure(posted, snapshot)
    logger.info("notified", listed=run.listed, new=run.new, recommended=run.recommended, explored=run.explored)


def _measure(run: Run, snapshot: Snapshot) -> None:
    measure(SummariesPosted=1)  # first, since an alarm rings without it
    records = ledger.get(item.item_id for item in snapshot.items).values()
    new = [record for record in records if record.snapshot == run.snapshot]
    measure(
        Scores=[record.score for record in new if record.score is not None],
        WorksListed=run.listed,
        ItemsNew=run.new,
        ItemsPosted=sum(record.status == "posted" for record in new),
    )


def _channel() -> Channel:
    # the token is read each time, so that a warm function uses a rotated one
    token = read_secret(ssm, settings.slack_bot_token_parameter)
    # a claim must last far longer than a search of the channel and a post
    return Channel(token, settings.slack_channel_id, settings.slack_api_url, settings.claim_seconds / 6)


def _posted_run(key: str) -> Run | None:
    """Return the run of a snapshot if its summary is posted."""
    return next((run for run in ledger.runs([key]).values() if run.status == "posted"), None)


def _dependencies(
    context: LambdaContext, key: str, stored: Sequence[str], *, keeps_scores: bool = True
) -> Dependencies:
    credentials: Any = session.get_credentials()
    return Dependencies(
        ledger=ledger,
        channel=_channel(),
        score=partial(
            score_items,
            url=settings.predict_url,
            credentials=credentials,
            region=session.region_name,
            snapshot=key,
            kept=KeptScores(dynamodb, settings.items_table, key) if keeps_scores else None,
        ),
        threshold=settings.threshold,
        max_posts=settings.max_posts,
        explored_items_a_day=settings.explored_items_a_day,
        claim_seconds=settings.claim_seconds,
        same_day=snapshots_of_the_same_day(key, stored, settings.time_zone),
        stack=settings.stack,
        rules=Rules(dynamodb, settings.items_table).all,
        wishes=WishStore(dynamodb, settings.items_table).read,
        clock=Clock(time.time, time.sleep, lambda: context.get_remaining_time_in_millis() / 1000),
    )
