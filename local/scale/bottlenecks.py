"""Which limit a number of owners meets first, and what removes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from local.scale.aws_model import Quotas
from local.scale.service import Service

State = tuple[Service, Quotas]


@dataclass(frozen=True, slots=True)
class Station:
    """A limit: how long the deliveries of so many owners take if it alone limits them, and how it is removed."""

    name: str
    remedy: str
    seconds: Callable[[int, Service, Quotas], float]
    relieve: Callable[[Service, Quotas], State]


def busy_seconds(service: Service, quotas: Quotas) -> float:
    """Return how long a delivery takes that waits for nobody but Slack."""
    pause = max(1 / quotas.posts_a_second, service.post_seconds)
    return service.record_seconds + (service.posts - 1) * pause + service.post_seconds


def _ramp(owners: int, service: Service, quotas: Quotas) -> float:
    """Return when the pollers, which grow in number without end, have worked for all owners."""
    work = owners * busy_seconds(service, quotas)
    first, growth = quotas.pollers, quotas.pollers_a_second
    return (math.sqrt(first**2 + 2 * growth * work) - first) / growth


STATIONS = (
    Station(
        "Slack: a message a second a channel",
        "one message a morning with all works",
        lambda _owners, service, quotas: busy_seconds(service, quotas),
        lambda service, quotas: (replace(service, posts=1), quotas),
    ),
    Station(
        "SQS's pollers: 300 more a minute",
        "provisioned pollers, three times as fast",
        _ramp,
        lambda service, quotas: (service, replace(quotas, pollers_a_second=3 * quotas.pollers_a_second)),
    ),
    Station(
        "Lambda: 900 deliveries at once",
        "a higher quota, 5,000",
        lambda owners, service, quotas: owners * busy_seconds(service, quotas) / quotas.deliveries_at_once,
        lambda service, quotas: (service, replace(quotas, deliveries_at_once=5000)),
    ),
    Station(
        "Parameter Store: 40 reads a second, 10,000 parameters",
        "tokens in the owner's record, encrypted with KMS",
        lambda owners, _service, quotas: owners / quotas.secret_reads_a_second,
        lambda service, quotas: (service, replace(quotas, secret_reads_a_second=math.inf)),
    ),
    Station(
        "DynamoDB: 40,000 write units a second a table",
        "the works once for all owners, in the ledger only what differs",
        lambda owners, service, quotas: owners * service.writes(service.posts) / quotas.writes_a_second,
        lambda service, quotas: (replace(service, record_writes=service.items + 2, post_writes=4), quotas),
    ),
)


def first_bottleneck(owners: int, service: Service, quotas: Quotas) -> Station:
    """Return the station that would take longest for so many owners if no other limited them."""
    return max(STATIONS, key=lambda station: station.seconds(owners, service, quotas))
