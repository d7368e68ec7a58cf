"""Yen an owner a month: measured requests, write units and seconds, at AWS's prices, without its free tier.

The prices are those of Tokyo (ap-northeast-1) in dollars, written down from memory on 2026-11-28. The table of
`local/cost/prices.py` has the same ones with their sources, but for the transitions of Step Functions and a message in
a fair queue (SQS's 0.40 and 0.10 more a million requests).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from local.scale.aws_model import PRESSES_AN_OWNER, Quotas
from local.scale.bottlenecks import busy_seconds
from local.scale.service import DELIVERY_MEMORY, KILOBYTE, PRESS_MEMORY, REFIT_MEMORY, Service

YEN_A_DOLLAR = 150
MORNINGS = 30
STORED_MONTHS = 12
"""The ledger of a year is what is stored."""

ALARMS = 11
"""In template.yaml; many owners share them."""

CRAWL_SECONDS_A_PAGE = 10
CRAWL_MEMORY = 512
"""robots.txt asks for ten seconds between two pages, which the crawler waits; one crawl serves all owners."""

QUEUE_REQUESTS = 3
"""A message is sent, received and deleted."""

MAP_TRANSITIONS = 2
"""Of Step Functions for each refit in a Distributed Map: the child and its task."""

READS_AN_ITEM = 3
"""Read units: whether it is new, its record after it is written, and when it is posted or pressed."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars for one of each."""

    gigabyte_second: float = 0.0000166667
    invocation: float = 0.20 / 1e6
    write_unit: float = 0.715 / 1e6
    read_unit: float = 0.1425 / 1e6
    stored_gigabyte: float = 0.285
    queue_request: float = 0.50 / 1e6
    api_request: float = 1.29 / 1e6
    object_read: float = 0.37 / 1e6
    logged_gigabyte: float = 0.76
    transition: float = 25 / 1e6
    alarm: float = 0.10


def yen_an_owner(owners: int, service: Service, quotas: Quotas, prices: Prices | None = None) -> dict[str, float]:
    """Return yen an owner a month by what it is for; `shared` is the owner's part of the crawl and the alarms."""
    price = prices or Prices()

    def lambda_dollars(seconds: float, memory: int, times: float) -> float:
        return times * (seconds * memory / 1024 * price.gigabyte_second + price.invocation)

    presses = MORNINGS * PRESSES_AN_OWNER
    logs = MORNINGS * service.log_bytes["notifier"]
    logs += presses * (service.log_bytes["press"] + service.log_bytes["tell"])
    units = math.ceil(service.record_bytes / KILOBYTE)
    stored = MORNINGS * STORED_MONTHS * service.items * service.record_bytes / 1e9
    crawl = MORNINGS * service.items * CRAWL_SECONDS_A_PAGE * CRAWL_MEMORY / 1024 * price.gigabyte_second
    dollars = {
        "deliveries": lambda_dollars(busy_seconds(service, quotas), DELIVERY_MEMORY, MORNINGS),
        "presses": lambda_dollars(service.press_seconds, PRESS_MEMORY, presses)
        + lambda_dollars(service.tell_seconds, PRESS_MEMORY, presses)
        + presses * (price.api_request + price.write_unit + 2 * price.read_unit),
        "refits": lambda_dollars(service.refit_seconds, REFIT_MEMORY, MORNINGS)
        + MORNINGS * (MAP_TRANSITIONS * price.transition + units * price.write_unit),
        "ledger": MORNINGS * service.writes(service.posts) * price.write_unit
        + MORNINGS * service.items * READS_AN_ITEM * price.read_unit
        + stored * price.stored_gigabyte,
        "queue, objects, logs": MORNINGS * (QUEUE_REQUESTS * price.queue_request + 2 * price.object_read)
        + logs / 1e9 * price.logged_gigabyte,
        "shared": (crawl + ALARMS * price.alarm) / owners,
    }
    return {name: value * YEN_A_DOLLAR for name, value in dollars.items()}
