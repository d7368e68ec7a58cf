"""Load: snapshots far larger than any morning's, and presses far faster than any owner's, through the local cloud."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import requests

from faults.harness import FIRST_MORNING, presses_lost
from faults.memory import peak_megabytes
from faults.rows import Row
from local.machine import Machine, one_machine
from local.slack.channel import RateLimit
from osusume.messages import INTERESTED, NOT_INTERESTED
from osusume.snapshots import Snapshot, snapshot_key, write_snapshot
from samples.works import generate_works

GROUP = "Load"
SNAPSHOTS = (500, 1000, 5000)
PRESSES, PRESSES_A_SECOND, AT_ONCE = 1000, 50, 4
LONGEST_SECONDS = 1800.0


def snapshot_load(count: int) -> Row:
    """Let a snapshot of `count` new items through; return the row, with its figures."""
    row = Row(GROUP, f"load-snapshot-{count}", f"a snapshot of {count:,} new items", times=1)
    works = generate_works(count, seed=count)
    with one_machine(preload={}) as machine:
        key = snapshot_key("dlsite", FIRST_MORNING)
        bucket = machine.cloud.resources["Bucket"]
        write_snapshot(machine.cloud.client("s3"), bucket, key, Snapshot("dlsite", datetime.now(UTC), works))
        machine.cloud.wait_until_idle(LONGEST_SECONDS)
        records = machine.ledger.get(work.item_id for work in works)
        posted = Counter(message.item_id for message in machine.slack.messages if message.item_id)
        chosen = [r.item.item_id for r in records.values() if r.choice != "passed"]
        row.lost = len(works) - len(records) + sum(item_id not in posted for item_id in chosen)
        row.doubled = posted.total() - len(posted)
        runs = [i for i in machine.cloud.invocations if i.function == "NotifierFunction"]
        row.problems = [str((run.error or {}).get("errorMessage")) for run in runs if run.error]
        seconds = sum(run.seconds for run in runs)
        row.figures = {
            "seconds": seconds,
            "ms an item": seconds * 1000 / count,
            "notifier, peak MB": peak_megabytes(machine, "NotifierFunction"),
            "classifier, peak MB": peak_megabytes(machine, "ClassifierFunction"),
        }
    return row


def press_load(count: int = PRESSES) -> Row:
    """Press `count` buttons, `PRESSES_A_SECOND`; return the row, with its figures and the load that was reached."""
    row = Row(GROUP, "load-presses", f"{count:,} presses", times=count)
    with one_machine(crawl_delay=0.0, parameters={"Threshold": "0", "MaxPosts": "100"}, preload={}) as machine:
        machine.slack.rate_limit = RateLimit(10_000, 0.0)
        machine.begin_day(1, FIRST_MORNING)
        machine.cloud.wait_until_idle(LONGEST_SECONDS)
        presses = _Presses(machine)
        presses.warm_up()
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as several:
            for number in range(count):
                time.sleep(max(0.0, began + number / PRESSES_A_SECOND - time.monotonic()))
                several.submit(presses.press, number, time.time())
        took = time.monotonic() - began
        row.injected = reached_load(count, count / took)
        again = presses.press_again()
        row.presses_lost = presses_lost(machine.labels, presses.taken)
        row.problems = [] if presses.answered == count else [f"{count - presses.answered} presses were never taken"]
        milliseconds = sorted(1000 * seconds for seconds in presses.seconds)
        row.figures = {
            "seconds": took,
            "median ms": statistics.median(milliseconds),
            "95th percentile ms": milliseconds[int(len(milliseconds) * 0.95)],
            "pressed again after Slack's warning": again,
            "feedback, peak MB a process": peak_megabytes(machine, "FeedbackFunction"),
        }
    return row


def reached_load(count: int, a_second: float) -> str:
    """Return the name of a row of presses by what was measured; it says where that is less than what was wanted.

    >>> reached_load(1000, 29.3)
    '1,000 presses, 29 a second: did not reach 50 a second'
    """
    name = f"{count:,} presses, {a_second:.0f} a second"
    return name if round(a_second) >= PRESSES_A_SECOND else f"{name}: did not reach {PRESSES_A_SECOND} a second"


class _Presses:
    """Presses from several threads: what was taken, how long each took, and what is to be pressed again."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._messages = [message for message in machine.slack.messages if message.item_id]
        self._missed: list[tuple[int, float]] = []
        self._lock = threading.Lock()
        self.taken: dict[str, list[tuple[float, bool]]] = {}
        self.seconds: list[float] = []
        self.answered = 0

    def warm_up(self) -> None:
        """Press a few times at once until as many processes are warm as there will be presses at a time."""
        with ThreadPoolExecutor(AT_ONCE) as several:
            list(several.map(lambda number: self.press(number, time.time()), range(AT_ONCE)))
        self.press_again()
        self.seconds, self.answered = [], 0

    def press(self, number: int, at: float) -> None:
        """Press a button of one of the messages, in turn, as of `at`."""
        message = self._messages[number % len(self._messages)]
        action = (INTERESTED, NOT_INTERESTED)[number % 3 == 0]
        began = time.monotonic()
        try:
            is_taken = self._machine.slack.press(message.ts, action, at=at).status_code == requests.codes.ok
        except requests.RequestException:
            is_taken = False
        with self._lock:
            self.seconds.append(time.monotonic() - began)
            if is_taken:
                self.answered += 1
                self.taken.setdefault(str(message.item_id), []).append((at, action == INTERESTED))
            else:
                self._missed.append((number, at))

    def press_again(self) -> int:
        """Press again what Slack showed a warning for; return how many presses that were."""
        missed, self._missed = self._missed, []
        for number, at in missed:
            self.press(number, at)
        return len(missed)
