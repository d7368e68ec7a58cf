"""A model of this machine: its processors, the one process that plays AWS and Slack, and the functions' processes.

A job is a chain of calls. For each call the function computes on any processor, then the process that plays AWS and
Slack computes, which does one thing at a time and needs a processor too, and a while passes in which neither computes.
A slice of work is exponentially distributed around its measured mean.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import simpy

_SLICE_OF_OTHERS = 0.003
"""Seconds for which other programs take a processor at a time: the slice of Linux's scheduler."""

Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Demand:
    """What one job needs, in seconds: of a function's process, of the classifier's, of the one that plays AWS; pauses.

    `behind` is the share of it that comes after the job has been answered, as Slack is told of a press.
    """

    calls: int
    function: float
    classifier: float
    main: float
    pause: float
    behind: float = 0.0


@dataclass(frozen=True, slots=True)
class Predicted:
    """When each job was answered since the start, how long each took, and when all was done."""

    ends: list[float]
    durations: list[float]
    wall: float


class Machine:
    """A simulated machine; `others` is how many processors other programs keep busy on average."""

    def __init__(self, seed: int, others: float = 0.0, cores: int = os.cpu_count() or 1) -> None:
        self._env = simpy.Environment()
        self._cores = simpy.Resource(self._env, cores)
        self._main = simpy.Resource(self._env, 1)
        self._rng = random.Random(seed)  # noqa: S311  # a simulation
        self._others = others
        self._predicted = Predicted([], [], 0.0)

    def run(self, demand: Demand, jobs: int, at_once: int) -> Predicted:
        """Return how `jobs` jobs fare if `at_once` of them are under way at any time."""
        left = iter(range(jobs))
        workers = [self._env.process(self._work(demand, left)) for _ in range(at_once)]
        if self._others:
            self._env.process(self._disturb())
        self._env.run(until=simpy.AllOf(self._env, workers))
        return Predicted(self._predicted.ends, self._predicted.durations, self._env.now)

    def _work(self, demand: Demand, left: Iterator[int]) -> Process:
        behind = []
        for _ in left:
            began = self._env.now
            yield from self._chain(demand, 1 - demand.behind)
            self._predicted.ends.append(self._env.now)
            self._predicted.durations.append(self._env.now - began)
            if demand.behind:
                behind.append(self._env.process(self._chain(demand, demand.behind)))
        yield simpy.AllOf(self._env, behind)

    def _chain(self, demand: Demand, share: float) -> Process:
        calls = max(1, round(demand.calls * share))
        if demand.classifier:
            yield from self._compute(demand.classifier * share)
        for _ in range(calls):
            yield from self._compute(demand.function * share / calls)
            with self._main.request() as turn:
                yield turn
                yield from self._compute(demand.main * share / calls)
            yield self._env.timeout(self._some(demand.pause * share / calls))

    def _compute(self, seconds: float) -> Process:
        with self._cores.request() as core:
            yield core
            yield self._env.timeout(self._some(seconds))

    def _disturb(self) -> Process:
        while True:
            yield self._env.timeout(self._some(_SLICE_OF_OTHERS / self._others))
            self._env.process(self._compute(_SLICE_OF_OTHERS))

    def _some(self, mean: float) -> float:
        return self._rng.expovariate(1 / mean) if mean > 0 else 0.0
