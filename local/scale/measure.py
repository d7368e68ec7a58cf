"""Measures the real functions at work for some numbers of owners in one local cloud, and counts what went wrong."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice

import requests

from local.cloud.dispatch import Invocation
from local.machine import STARTER
from local.scale.counts import Evidence, count
from local.scale.deployment import Deployment, deployed_for, threshold_of
from local.scale.handlers.owner import CALLS, SECONDS
from local.scale.heads import LABELS, measure_heads
from local.scale.measured import Batch, Measured, Run
from local.scale.processors import Meter
from osusume.messages import INTERESTED, NOT_INTERESTED
from osusume.records import Record, to_attributes
from samples.works import generate_works

PRESSES_AN_OWNER = 5
ITEMS = 20
"""New works in a morning's snapshot: what one request to the classifier takes."""

DELIVERIES_AT_ONCE, PRESSES_AT_ONCE = 4, 2
WARM_PROCESSES = 8
"""So many presses start at once before the measurement, because each press invokes its function twice."""

LAST_MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)
_IDLE_SECONDS = 300.0
_FUNCTIONS = {"notifier": "NotifierFunction", "classifier": "ClassifierFunction", "feedback": "FeedbackFunction"}


class MeasurementFailed(Exception):
    """Raised when a function failed or refused a press; the message says which and why."""


Verdicts = dict[str, dict[tuple[str, str], bool]]
"""What was pressed, by channel, then by user and item."""


def measure(
    repeats: Mapping[int, int], tell: Callable[[str, float], None], *, warm: int = WARM_PROCESSES, labels: int = LABELS
) -> Measured:
    """Return what the functions took for each number of owners in `repeats`, which says how often it is measured.

    The owners of each batch are new, so that all have the same to do. `tell` is called with what is done now, and the
    share of the whole that is over. `warm` processes are started before, and a head is fitted to `labels` labels.
    """
    started = 1 + warm
    needed = started + sum(owners * times for owners, times in repeats.items())
    channels = [f"C{number:08d}" for number in range(1, needed + 1)]
    tell("starting the cloud", 0.0)
    with deployed_for(channels) as deployment:
        session = _Session(deployment, iter(channels))
        tell("starting the functions", 0.0)
        first, *others = session.run(1, 1, 1, 1).presses[0].seconds
        session.run(warm, 1, warm, warm)
        runs, done = {}, started
        for owners, times in repeats.items():
            tell(f"delivering to {owners} owners, and pressing", done / needed)
            runs[owners] = session.run(owners, times, DELIVERIES_AT_ONCE, PRESSES_AT_ONCE)
            done += owners * times
        tell("scoring and fitting heads", done / needed)
        return Measured(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=f"{platform.machine()}, Python {platform.python_version()}",
            items=ITEMS,
            runs=runs,
            heads=measure_heads(STARTER, ITEMS, labels),
            press_start_seconds=max(0.0, first - statistics.median(others)),
            record_bytes=session.record_bytes(channels[0]),
            log_bytes=session.log_bytes(),
        )


class _Session:
    """The runs in one deployment. Each takes the next owners, and an earlier morning than those before it."""

    def __init__(self, deployment: Deployment, channels: Iterator[str]) -> None:
        self._deployment, self._channels = deployment, channels
        self._works = generate_works(ITEMS, seed=ITEMS)
        self._due_at = LAST_MORNING

    def run(self, owners: int, times: int, deliveries_at_once: int, presses_at_once: int) -> Run:
        """Deliver to `owners` owners, who then press buttons, `times` times over; return what was measured."""
        deliveries, presses, evidence, posts = [], [], [], 0
        for _ in range(times):
            channels = list(islice(self._channels, owners))
            deliveries.append(self._deliver(channels, min(owners, deliveries_at_once)))
            posts += sum(len(self._deployment.workspaces[channel].messages) for channel in channels)
            verdicts: Verdicts = {channel: {} for channel in channels}
            presses.append(self._press(verdicts, min(owners, presses_at_once)))
            evidence += [self._evidence(channel, pressed) for channel, pressed in verdicts.items()]
        return Run(owners, deliveries, presses, posts, count(evidence))

    def _deliver(self, channels: Sequence[str], at_once: int) -> Batch:
        self._due_at -= timedelta(days=1)  # an owner's first run also delivers the snapshots before its own

        def deliver(channel: str) -> float:
            self._deployment.deliver(channel, key)
            return time.monotonic() - began

        before, meter, began = self._finished(), self._meter(), time.monotonic()
        key = self._deployment.write_snapshot(self._works, self._due_at)
        with ThreadPoolExecutor(at_once) as several:
            ends = list(several.map(deliver, channels))
        return _batch(at_once, meter, ends, self._deployment.cloud.invocations[before:])

    def _press(self, verdicts: Verdicts, at_once: int) -> Batch:
        """Let each owner press a button of the first posts, and add to `verdicts` what was pressed."""

        def press(number: int, channel: str, ts: str, item_id: str) -> float:
            user, is_interested = f"U{channel}", number % 3 > 0
            verdicts[channel][user, item_id] = is_interested
            action = INTERESTED if is_interested else NOT_INTERESTED
            began = time.monotonic()
            answer = self._deployment.workspaces[channel].press(ts, action, user_id=user)
            if answer.status_code != requests.codes.ok:
                raise MeasurementFailed(f"a press was answered {answer.status_code}: {answer.text:.200}")
            return time.monotonic() - began

        posts = []
        for channel in verdicts:
            items = [message for message in self._deployment.workspaces[channel].messages if message.item_id]
            posts += [(channel, message.ts, str(message.item_id)) for message in items[:PRESSES_AN_OWNER]]
        before, meter = self._finished(), self._meter()
        with ThreadPoolExecutor(at_once) as several:
            seconds = list(several.map(lambda numbered: press(numbered[0], *numbered[1]), enumerate(posts)))
        self._deployment.cloud.wait_until_idle(_IDLE_SECONDS)
        return _batch(at_once, meter, seconds, self._deployment.cloud.invocations[before:])

    def _finished(self) -> int:
        return len(self._deployment.cloud.invocations)

    def _meter(self) -> Meter:
        return Meter({name: self._deployment.cloud.pids(function) for name, function in _FUNCTIONS.items()})

    def _evidence(self, channel: str, pressed: dict[tuple[str, str], bool]) -> Evidence:
        entries = list(self._deployment.ledger(channel).all())
        records = {entry.item.item_id: entry for entry in entries if isinstance(entry, Record)}
        messages = self._deployment.workspaces[channel].messages
        payloads = [(message.metadata or {}).get("event_payload", {}) for message in messages if message.item_id]
        return Evidence(
            owner=channel,
            threshold=threshold_of(channel),
            due=frozenset(work.item_id for work in self._works),
            recorded={item_id: record.threshold for item_id, record in records.items()},
            chosen=frozenset(item_id for item_id, record in records.items() if record.choice != "passed"),
            posted=[(str(payload.get("stack")), str(payload["item_id"])) for payload in payloads],
            pressed=pressed,
            labelled={
                (label.user_id, label.item_id): label.is_interested for label in self._deployment.labels(channel).all()
            },
        )

    def record_bytes(self, channel: str) -> float:
        """Return the mean size of the records in an owner's ledger."""
        records = [to_attributes(entry) for entry in self._deployment.ledger(channel).all()]
        return statistics.mean(len(json.dumps(each, ensure_ascii=False, default=str).encode()) for each in records)

    def log_bytes(self) -> dict[str, float]:
        """Return how much an invocation logs on average, by kind."""
        sizes: dict[str, list[int]] = {}
        for each in self._deployment.cloud.invocations:
            sizes.setdefault(_kind(each), []).append(sum(len(line.encode()) + 1 for line in each.log))
        return {kind: statistics.mean(values) for kind, values in sizes.items()}


def _batch(at_once: int, meter: Meter, seconds: list[float], invocations: Sequence[Invocation]) -> Batch:
    processors = meter.read()
    invoked, calls, calling = Counter[str](), Counter[str](), 0.0
    for each in invocations:
        if each.error:
            raise MeasurementFailed(f"{each.function} failed: {each.error.get('errorMessage')}")
        invoked[_kind(each)] += each.seconds  # type: ignore[assignment]  # typeshed's counters count in whole numbers
        for line in each.log:
            if line.startswith(f'{{"{CALLS}"'):
                told = json.loads(line)
                calls.update(told[CALLS])
                calling += told[SECONDS]
    return Batch(at_once, processors.pop("wall"), processors, seconds, dict(invoked), dict(calls), calling)


def _kind(invocation: Invocation) -> str:
    if invocation.function == _FUNCTIONS["feedback"]:
        return "press" if invocation.trigger == "http" else "tell"
    return next(name for name, function in _FUNCTIONS.items() if function == invocation.function)
