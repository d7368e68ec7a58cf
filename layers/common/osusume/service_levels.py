"""The service levels: what Osusume promises, how often it kept that, and how much of the error budget is left.

They are measured from what ledger and labels hold, so they mean the same on one machine and in a deployed stack:

- a summary is there within an hour of the time at which its crawl was due: by 08:00 if that is 07:00;
- a chosen work is posted within ten minutes of the end of the crawl that brought it;
- a press is answered within a second.

A summary that never came, a work that was never posted and a crawl that never ran are misses. A press that failed is
none, because no label tells of it: the alarm on the API's errors does. The last press under a work counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Literal

from osusume.labels import Label
from osusume.records import Record, Run
from osusume.snapshots import is_snapshot_key, snapshot_time

DAYS = 28
_WINDOW = DAYS * 86_400.0

SUMMARY_SECONDS = 3600.0
POST_SECONDS = 600.0
PRESS_SECONDS = 1.0
ANSWER_SECONDS = 0.2
"""The part of `PRESS_SECONDS` for what a label cannot measure: its own storing, and handing over to tell Slack."""

Promise = Literal["summaries", "posts", "presses"]

OBJECTIVES: dict[Promise, float] = {"summaries": 0.95, "posts": 0.99, "presses": 0.99}
"""The share of each that should keep its promise. Of 28 summaries one may be late; 99 % would allow none."""


@dataclass(frozen=True, slots=True)
class Level:
    """How many of the last `DAYS` days' summaries, posts or presses kept their promise, of `total`."""

    promise: Promise
    kept: int
    total: int

    @property
    def objective(self) -> float:
        """The share that should be kept."""
        return OBJECTIVES[self.promise]

    @property
    def budget_left(self) -> float:
        """The share of the allowed misses that is left; negative if there were more.

        >>> Level("posts", 199, 200).budget_left, Level("posts", 0, 0).budget_left
        (0.5, 1.0)
        """
        missed = self.total - self.kept
        return round(1 - missed / (self.total * (1 - self.objective)), 4) if missed else 1.0


def levels(
    runs: Iterable[Run], records: Iterable[Record], labels: Iterable[Label], now: float, expected: Iterable[str] = ()
) -> list[Level]:
    """Return the service levels as of `now`, in seconds since the epoch.

    `expected` are keys of snapshots that schedules asked for, whether or not a crawl wrote them.
    """
    runs = list(runs)
    return [
        _level("summaries", _summaries(runs, expected, now)),
        _level("posts", _posts(runs, records, now)),
        _level("presses", _presses(labels, now)),
    ]


def _level(promise: Promise, kept: list[bool]) -> Level:
    return Level(promise, sum(kept), len(kept))


def _summaries(runs: Iterable[Run], expected: Iterable[str], now: float) -> list[bool]:
    posted = {run.snapshot: run.ts for run in runs}
    due = {key: snapshot_time(key).timestamp() for key in {*posted, *expected} if is_snapshot_key(key)}
    return _kept(((at, _until(posted.get(key), at)) for key, at in due.items()), SUMMARY_SECONDS, now)


def _posts(runs: Iterable[Run], records: Iterable[Record], now: float) -> list[bool]:
    crawled = {run.snapshot: run.crawled_at for run in runs}
    spans = (
        (at, _until(record.ts, at))
        for record in records
        if record.choice != "passed" and (at := crawled.get(record.snapshot)) is not None
    )
    return _kept(spans, POST_SECONDS, now)


def _presses(labels: Iterable[Label], now: float) -> list[bool]:
    spans = ((float(label.action_ts), label.waited) for label in labels if label.waited is not None)
    return _kept(spans, PRESS_SECONDS - ANSWER_SECONDS, now)


def _until(ts: str | None, begin: float) -> float:
    return float(ts) - begin if ts else inf


def _kept(spans: Iterable[tuple[float, float]], seconds: float, now: float) -> list[bool]:
    """Return whether each span, given as its begin and how long it took, took at most `seconds`.

    Those from before the last weeks are left out, and those of infinite length that may still end in time.
    """
    return [
        took <= seconds
        for begin, took in spans
        if now - _WINDOW <= begin <= now and (took < inf or now - begin > seconds)
    ]
