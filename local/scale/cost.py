"""Yen an owner a month: measured requests, write units and seconds, at AWS's prices, without its free tier.

The prices and the dollar's are those of `local/cost/prices.py`, which says where each was read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from local.cost.prices import MEMORY, PRICES, YEN_A_DOLLAR, Price
from local.scale.aws_model import PRESSES_AN_OWNER, Quotas
from local.scale.bottlenecks import busy_seconds
from local.scale.service import DELIVERY_MEMORY, KILOBYTE, PRESS_MEMORY, REFIT_MEMORY, Service

MORNINGS = 30
STORED_MONTHS = 12
"""The ledger of a year is what is stored."""

ALARMS = 3
"""In template.yaml; many owners share them."""

CRAWL_SECONDS_A_PAGE = 10
CRAWL_MEMORY = 320
"""robots.txt asks for ten seconds between two pages, which the crawler waits; one crawl serves all owners."""

QUEUE_REQUESTS = 3
"""A message is sent, received and deleted."""

MAP_TRANSITIONS = 2
"""Of Step Functions for each refit in a Distributed Map: the child and its task."""

READS_AN_ITEM = 3
"""Read units: whether it is new, its record after it is written, and when it is posted or pressed."""


PRICES_OF_MANY = PRICES | {
    "SQS requests in a fair queue": Price("request", 0.50e-6, MEMORY),
    "Step Functions transitions": Price("transition", 25e-6, MEMORY),
}
"""The prices of one owner's stack, and of what only many owners need."""


def yen_an_owner(
    owners: int, service: Service, quotas: Quotas, prices: Mapping[str, Price] = PRICES_OF_MANY
) -> dict[str, float]:
    """Return yen an owner a month by what it is for; `shared` is the owner's part of the crawl and the alarms."""
    price = {name: each.dollars for name, each in prices.items()}

    def lambda_dollars(seconds: float, memory: int, times: float) -> float:
        return times * (seconds * memory / 1024 * price["Lambda, x86_64"] + price["Lambda requests"])

    presses = MORNINGS * PRESSES_AN_OWNER
    logs = MORNINGS * service.log_bytes["notifier"]
    logs += presses * (service.log_bytes["press"] + service.log_bytes["tell"])
    units = math.ceil(service.record_bytes / KILOBYTE)
    stored = MORNINGS * STORED_MONTHS * service.items * service.record_bytes / 1e9
    crawl = MORNINGS * service.items * CRAWL_SECONDS_A_PAGE * CRAWL_MEMORY / 1024 * price["Lambda, x86_64"]
    dollars = {
        "deliveries": lambda_dollars(busy_seconds(service, quotas), DELIVERY_MEMORY, MORNINGS),
        "presses": lambda_dollars(service.press_seconds, PRESS_MEMORY, presses)
        + lambda_dollars(service.tell_seconds, PRESS_MEMORY, presses)
        + presses * (price["HTTP API requests"] + price["DynamoDB writes"] + 2 * price["DynamoDB reads"]),
        "refits": lambda_dollars(service.refit_seconds, REFIT_MEMORY, MORNINGS)
        + MORNINGS * (MAP_TRANSITIONS * price["Step Functions transitions"] + units * price["DynamoDB writes"]),
        "ledger": MORNINGS * service.writes(service.posts) * price["DynamoDB writes"]
        + MORNINGS * service.items * READS_AN_ITEM * price["DynamoDB reads"]
        + stored * price["DynamoDB storage"],
        "queue, objects, logs": MORNINGS
        * (QUEUE_REQUESTS * price["SQS requests in a fair queue"] + 2 * price["S3 reads"])
        + logs / 1e9 * price["Logs, taken in"],
        "shared": (crawl + ALARMS * price["Alarms"]) / owners,
    }
    return {name: value * YEN_A_DOLLAR for name, value in dollars.items()}
