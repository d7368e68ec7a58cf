"""What one owner's work takes on AWS: the measured processor time, stretched to the memory, and AWS's usual latencies.

Lambda gives a function the share of a processor that its memory buys, a whole one at 1,769 MB; one of this machine's
processors stands for one of Lambda's. What no measurement here can tell is assumed, and each assumption has a name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from local.scale.measured import Batch, Measured, means

CALL_SECONDS = 0.005
"""Assumed, for a call of DynamoDB, S3 or SSM: AWS promises single-digit milliseconds for DynamoDB."""

POST_SECONDS = 0.2
"""Assumed, for a call of Slack's."""

GATEWAY_SECONDS = 0.01
"""Assumed, for API Gateway in front of the press."""

MEMORY_OF_A_PROCESSOR = 1769
DELIVERY_MEMORY, PRESS_MEMORY, REFIT_MEMORY = 512, 1024, 2048
"""Megabytes, as in template.yaml for the notifier, the feedback function and the trainer."""

KILOBYTE = 1024


@dataclass(frozen=True, slots=True)
class Service:
    """One owner's work. Seconds are of a warm function without any waiting for others; `writes` are units of DynamoDB.

    A delivery records `items` and posts `posts` messages, the summary included. `head_seconds` reads the owner's head.
    """

    items: int
    posts: int
    record_seconds: float
    post_seconds: float
    record_writes: float
    post_writes: float
    press_seconds: float
    tell_seconds: float
    press_start_seconds: float
    refit_seconds: float
    record_bytes: float
    log_bytes: dict[str, float]

    def writes(self, posts: int) -> float:
        """Return the write units of a delivery with so many posts."""
        return self.record_writes + self.post_writes * posts


def service_of(measured: Measured) -> Service:
    """Return what an owner's work takes, from the runs with one owner, which nothing else delays."""
    run = measured.runs[min(measured.runs)]
    delivery, press = means(run.deliveries), means(run.presses)
    posts = round(run.posts / sum(len(batch.seconds) for batch in run.deliveries))
    delivered = _calls_a_job(run.deliveries)
    updates = delivered.get("UpdateItem", 0.0)
    slow = MEMORY_OF_A_PROCESSOR / DELIVERY_MEMORY
    share = updates / delivery.calls  # of the work that belongs to the posts: each is claimed and marked as posted
    heads = measured.heads
    score = heads.score * measured.items + heads.read
    units = math.ceil(measured.record_bytes / KILOBYTE)
    half = press.function / 2 * MEMORY_OF_A_PROCESSOR / PRESS_MEMORY
    return Service(
        items=measured.items,
        posts=posts,
        record_seconds=(delivery.function * (1 - share) + score) * slow + (delivery.calls - updates) * CALL_SECONDS,
        post_seconds=(delivery.function * share * slow + updates * CALL_SECONDS) / posts + POST_SECONDS,
        record_writes=delivered.get("PutItem", 0.0) * units,
        post_writes=2 * units + 2,  # both updates, and the index, which it enters when recorded and leaves when posted
        press_seconds=GATEWAY_SECONDS + half + press.calls / 2 * CALL_SECONDS,
        tell_seconds=half + press.calls / 2 * CALL_SECONDS + POST_SECONDS,
        press_start_seconds=measured.press_start_seconds,
        refit_seconds=heads.refit,
        record_bytes=measured.record_bytes,
        log_bytes=measured.log_bytes,
    )


def _calls_a_job(batches: Iterable[Batch]) -> dict[str, float]:
    totals, jobs = Counter[str](), 0
    for batch in batches:
        totals.update(batch.calls)
        jobs += len(batch.seconds)
    return {operation: calls / jobs for operation, calls in totals.items()}
