"""The table: what AWS would do for each number of owners, what it costs, and what stands in the way first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from local.scale.aws_model import Quotas, deliver, morning, press, with_large_owner
from local.scale.bottlenecks import first_bottleneck
from local.scale.cost import yen_an_owner
from local.scale.service import Service
from local.scale.validation import quantile

OWNERS = (1, 10, 100, 1_000, 10_000, 100_000)
GOAL_SECONDS = 600.0
"""Posts within ten minutes of the snapshot."""

LARGE_ITEMS, OTHER_OWNERS, FEW_AT_ONCE = 5_000, 100, 10
"""The noisy neighbour: its works, the other owners, and the deliveries at once of a new AWS account."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is predicted for a number of owners, with AWS's default quotas; seconds, and yen a month.

    `throttled` counts refused calls of a morning's deliveries and of the presses simulated. `remedies` are what to do
    about the first bottleneck, and then about the next ones until the goal is met, each with the p99 of a delivery
    after it.
    """

    owners: int
    items_a_second: float
    delivery_p99: float
    presses_a_second: float
    press_p99: float
    throttled: int
    yen: dict[str, float]
    bottleneck: str
    remedies: list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """How many times as long other owners wait beside one with many works: the worst of them, and their p99."""

    worst_fair: float
    p99_fair: float
    worst_unfair: float
    p99_unfair: float


def predict(owners: int, service: Service) -> Row:
    """Return what AWS would do for so many owners, with its default quotas."""
    quotas = Quotas()
    delivered = deliver(morning(owners, service), service, quotas)
    pressed = press(owners, service, quotas)
    return Row(
        owners=owners,
        items_a_second=owners * service.items / max(delivered.ends.values()),
        delivery_p99=quantile(delivered.ends.values(), 0.99),
        presses_a_second=pressed.a_second,
        press_p99=quantile(pressed.seconds, 0.99),
        throttled=delivered.throttled + pressed.throttled,
        yen=yen_an_owner(owners, service, quotas),
        bottleneck=first_bottleneck(owners, service, quotas).name,
        remedies=_remedies(owners, service, quotas),
    )


def _remedies(owners: int, service: Service, quotas: Quotas) -> list[tuple[str, float]]:
    taken: dict[str, float] = {}
    while not taken or min(taken.values()) > GOAL_SECONDS:
        station = first_bottleneck(owners, service, quotas)
        if station.remedy in taken:
            break
        service, quotas = station.relieve(service, quotas)
        taken[station.remedy] = quantile(deliver(morning(owners, service), service, quotas).ends.values(), 0.99)
    return list(taken.items())


def beside_a_large_owner(service: Service) -> Neighbours:
    """Return how an owner with `LARGE_ITEMS` slows the others, whose messages come later in the same queue."""
    quotas, messages = Quotas(deliveries_at_once=FEW_AT_ONCE), morning(OTHER_OWNERS, service)
    alone = deliver(messages, service, quotas).ends

    def slowed(*, is_fair: bool) -> Sequence[float]:
        beside = deliver(with_large_owner(messages, LARGE_ITEMS, service), service, quotas, is_fair=is_fair).ends
        return [beside[owner] / seconds for owner, seconds in alone.items()]

    fair, unfair = slowed(is_fair=True), slowed(is_fair=False)
    return Neighbours(max(fair), quantile(fair, 0.99), max(unfair), quantile(unfair, 0.99))
