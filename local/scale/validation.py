"""Compares the model of this machine with what was measured here: from 1 and 10 owners it must predict 100."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from local.scale.machine_model import Demand, Machine, Predicted
from local.scale.measured import Batch, Measured, means

BELIEVED = 0.2
"""The model is believed if no prediction is further than this share from what was measured."""

_SEEDS = range(5)
Kind = Literal["deliveries", "presses"]
KINDS: tuple[Kind, Kind] = ("deliveries", "presses")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure for a number of owners, predicted and measured."""

    owners: int
    what: str
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """How far the prediction is off, as a share of what was measured."""
        return self.predicted / self.measured - 1

    @property
    def is_close(self) -> bool:
        """Whether the prediction is close enough to believe."""
        return abs(self.error) <= BELIEVED


def quantile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed.

    >>> quantile([3.0, 1.0, 2.0, 4.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def compare(measured: Measured) -> list[Comparison]:
    """Return total time and p99 of deliveries and presses, for each number of owners but the smallest.

    What a job needs comes from the smaller runs: processor time from the one before the largest, because processors
    slow each other down, and pauses, in which nothing computes, from the smallest: what the model does not explain of
    it without them. By how much the total of a run is off corrects the predictions of the next one. How much other
    programs take of the processors is read during each run.
    """
    comparisons = []
    for kind in KINDS:
        correction = 1.0
        for owners in sorted(measured.runs)[1:]:
            total, p99 = _compared(measured, owners, kind, correction)
            comparisons += [total, p99]
            correction *= total.measured / total.predicted
    return sorted(comparisons, key=lambda comparison: comparison.owners)


def _compared(measured: Measured, owners: int, kind: Kind, correction: float) -> tuple[Comparison, Comparison]:
    batches = _batches(measured, owners, kind)
    runs = _runs(_demand(measured, kind), len(batches[0].seconds), batches[0].at_once, means(batches).others)
    predicted = quantile((seconds for run in runs for seconds in _seconds(run, kind)), 0.99)
    found = quantile((seconds for batch in batches for seconds in batch.seconds), 0.99)
    wall = sum(batch.wall for batch in batches) / len(batches)
    return (
        Comparison(owners, f"{kind}, all", correction * _mean_wall(runs), wall),
        Comparison(owners, f"{kind}, p99", correction * predicted, found),
    )


def _seconds(run: Predicted, kind: Kind) -> Sequence[float]:
    return run.ends if kind == "deliveries" else run.durations


def _batches(measured: Measured, owners: int, kind: Kind) -> list[Batch]:
    run = measured.runs[owners]
    return run.deliveries if kind == "deliveries" else run.presses


def _demand(measured: Measured, kind: Kind) -> Demand:
    smallest, *larger = sorted(measured.runs)
    alone = _batches(measured, smallest, kind)
    loaded = _batches(measured, larger[-2] if len(larger) > 1 else smallest, kind)
    one, mean = means(alone), means(loaded)
    told = sum(batch.invoked.get("tell", 0.0) for batch in alone)
    answered = sum(batch.invoked.get("press", 0.0) for batch in alone)
    busy = Demand(
        calls=round(mean.calls),
        function=mean.function,
        classifier=mean.classifier,
        main=mean.main,
        pause=0.0,
        behind=told / (told + answered) if told else 0.0,
    )
    explained = replace(busy, function=one.function, classifier=one.classifier, main=one.main, behind=0.0)
    jobs = sum(len(batch.seconds) for batch in alone)
    without = _mean_wall(_runs(explained, jobs, 1, one.others)) / jobs
    return replace(busy, pause=max(0.0, one.wall - without))


def _runs(demand: Demand, jobs: int, at_once: int, others: float) -> list[Predicted]:
    return [Machine(seed, others).run(demand, jobs, at_once) for seed in _SEEDS]


def _mean_wall(runs: Sequence[Predicted]) -> float:
    return sum(run.wall for run in runs) / len(runs)
