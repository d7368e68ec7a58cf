"""Lambda handler of the crawler, invoked by the schedule or by the previous turn of the same crawl."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from crawler.answers import is_local
from crawler.crawl import Turn, call_again, crawl, read_one
from crawler.fetcher import DEFAULT_CRAWL_DELAY, Fetcher, user_agent
from crawler.progress import CrawlUnderWay, Pace
from crawler.sources import DocumentSource
from crawler.sources.registry import open_source
from osusume.observability import follow, logger, measure
from osusume.settings import CrawlerSettings
from osusume.snapshots import snapshot_key

settings = CrawlerSettings.from_environment(os.environ)
s3, lambda_client = boto3.client("s3"), boto3.client("lambda")


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take one turn at the crawl that is due, and invoke this function again if there is more to read.

    The event {"check": true} lets it read one work and write no snapshot. The event may name another `source` than the
    environment does.
    """
    source = open_source(event.get("source") or settings.source, os.environ)
    due_at = datetime.fromisoformat(event["scheduled_at"]) if "scheduled_at" in event else datetime.now(UTC)
    limit = context.get_remaining_time_in_millis() / 1000

    def remaining() -> float:
        return context.get_remaining_time_in_millis() / 1000 - limit / 20  # reserved for storing what was read

    def fetcher_from(host: str, pace: Pace) -> Fetcher:
        name = urlsplit(f"//{host}").hostname or ""
        site_address = settings.site_address
        if site_address and is_local(name):
            site_address = f"http://{host}"  # a document's own server on this machine, in a trial
        return Fetcher(
            name,
            user_agent=user_agent(settings.contact),
            cookies={} if isinstance(source, DocumentSource) else source.cookies,
            site_address=site_address,
            robots_txt=pace.robots_txt,
            last_request_at=pace.last_request_at,
            not_before=pace.not_before,
            remaining=remaining,
            request_seconds=min(30.0, limit / 5),
            least_delay=0.0 if settings.site_address else DEFAULT_CRAWL_DELAY,  # a stand-in sets its own pace
        )

    if event.get("check") is not True:
        follow(snapshot_key(source.name, due_at))
    turn = Turn(context.aws_request_id, time.time, remaining)
    try:
        if event.get("check") is True:
            item = read_one(s3, settings.bucket, source, turn, fetcher_from)
            return {"status": "checked", "item_id": item.item_id, "title": item.title}
        outcome = crawl(
            due_at,
            s3,
            settings.bucket,
            source=source,
            item_limit=settings.item_limit,
            turn=turn,
            fetcher_from=fetcher_from,
        )
    except CrawlUnderWay as error:
        logger.warning("another invocation has the crawl", reason=str(error))
        return {"status": "under_way"}
    logger.info("turn taken", outcome=outcome)
    measure(PagesFetched=outcome.requests)
    if outcome.status == "continues":
        call_again(lambda_client, context.function_name, due_at, source.name)
    return {"status": outcome.status, "snapshot": outcome.snapshot_key}
