"""The arithmetic of the service levels: what is kept, what is missed, what does not count, and what budget is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from osusume.items import Item
from osusume.labels import Label
from osusume.records import Choice, Record, Run
from osusume.service_levels import DAYS, OBJECTIVES, Level, Promise, levels
from osusume.snapshots import snapshot_key

DUE = datetime(2026, 11, 22, 22, tzinfo=UTC)
KEY, AT = snapshot_key("dlsite", DUE), DUE.timestamp()
HOUR, DAY = 3600.0, 86_400.0


def run(took: float | None, due: datetime = DUE, crawl: float | None = 120.0) -> Run:
    """Return a run whose summary came `took` seconds after its crawl was due, and whose crawl took `crawl` seconds."""
    at = due.timestamp()
    ts = None if took is None else f"{at + took:.6f}"
    ended = None if crawl is None else at + crawl
    return Run(snapshot_key("dlsite", due), at, 100, 0, 9, 5, 3, 1, ts=ts, crawled_at=ended)


def work(took: float | None, choice: Choice = "recommended") -> Record:
    """Return a work that was posted `took` seconds after the crawl's end."""
    ts = None if took is None else f"{AT + 120 + took:.6f}"
    return Record(Item("RJ1", "dlsite", "https://example.com/", "雨"), choice, KEY, AT, ts=ts)


def press(waited: float | None, at: float = AT) -> Label:
    return Label("RJ1", True, "U0OWNER", f"{at:.6f}", "", waited=waited)


def level(
    promise: Promise,
    runs: Iterable[Run] = (),
    records: Iterable[Record] = (),
    labels: Iterable[Label] = (),
    *,
    after: float = DAY,
    expected: Iterable[str] = (),
) -> tuple[int, int]:
    """Return how many were kept, and of how many, so many seconds after the crawl was due."""
    found = {each.promise: each for each in levels(runs, records, labels, AT + after, expected)}
    return found[promise].kept, found[promise].total


@pytest.mark.parametrize(
    ("took", "after", "expected"),
    [
        (HOUR, DAY, (1, 1)),
        (HOUR + 0.1, DAY, (0, 1)),
        (None, DAY, (0, 1)),
        (None, HOUR, (0, 0)),  # it may still come in time
        (60, DAYS * DAY + 1, (0, 0)),  # too long ago
    ],
)
def test_a_summary_is_due_within_an_hour(took: float | None, after: float, expected: tuple[int, int]) -> None:
    assert level("summaries", [run(took)], after=after) == expected


def test_a_crawl_that_the_schedule_asked_for_and_that_brought_no_run_is_a_miss() -> None:
    days = [snapshot_key("dlsite", DUE + timedelta(days=day)) for day in range(3)]
    assert level("summaries", [run(60)], expected=days, after=2 * DAY + HOUR) == (1, 2)


def test_a_snapshot_that_was_put_by_hand_under_a_key_of_its_own_counts_for_nothing() -> None:
    assert level("summaries", [replace(run(60), snapshot="snapshots/dlsite/手で.json")]) == (0, 0)


@pytest.mark.parametrize(
    ("took", "expected"), [(600, (1, 1)), (600.1, (0, 1)), (-1.0, (1, 1)), (None, (0, 1)), (DAY, (0, 1))]
)
def test_a_chosen_work_is_due_within_ten_minutes_of_the_crawls_end(
    took: float | None, expected: tuple[int, int]
) -> None:
    assert level("posts", [run(60)], [work(took), work(None, "passed")]) == expected


def test_a_work_that_may_still_be_posted_in_time_and_one_of_an_earlier_version_do_not_count() -> None:
    assert level("posts", [run(None)], [work(None)], after=300) == (0, 0)
    assert level("posts", [run(60, crawl=None)], [work(60)]) == (0, 0)


def test_a_press_is_due_within_a_second_of_which_a_part_is_kept_for_the_answer() -> None:
    labels = [press(0.8), press(0.801), press(None), press(0.1, at=AT - DAYS * DAY)]
    assert level("presses", labels=labels) == (1, 2)


def test_the_budget_is_what_the_objective_lets_miss() -> None:
    assert OBJECTIVES == {"summaries": 0.95, "posts": 0.99, "presses": 0.99}
    lefts = [Level("summaries", kept, 28).budget_left for kept in (28, 27, 26)]
    assert lefts == pytest.approx([1, 1 - 1 / 1.4, 1 - 2 / 1.4], abs=1e-4)
    assert Level("presses", 0, 0).budget_left == 1
