"""Running targets: one input at a time, watched for errors, time and memory."""

from __future__ import annotations

import contextlib
import logging
import resource
import signal
import socket
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

import hypothesis
from fuzz import answers, feeds, packages, pages, presses, stored
from fuzz.target import Target
from hypothesis import HealthCheck, Phase, Verbosity, given, settings

TARGETS: tuple[Target, ...] = (
    *pages.TARGETS,
    *feeds.TARGETS,
    *stored.TARGETS,
    *answers.TARGETS,
    *presses.TARGETS,
    *packages.TARGETS,
)

MOST_SECONDS = 1.0
"""An input may take this much of the processor's time, in the thread that reads it."""

GIVE_UP_SECONDS = 30.0
MOST_MEGABYTES = 300
"""How far an input may raise the process's peak of memory."""


class Hang(BaseException):
    """Raised within a parser that does not end; no parser catches it."""


@dataclass
class Tally:
    """What came of a target's inputs. Seconds are of the processor; megabytes are the most that an input took.

    `problem` says what is wrong with the input `content`, the smallest that hypothesis found.
    """

    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    megabytes: float = 0.0
    problem: str = ""
    content: bytes = b""

    def add(self, other: Tally) -> None:
        """Add what came of more inputs of the same target."""
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.refused += other.refused
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.megabytes = max(self.megabytes, other.megabytes)
        if other.problem:
            self.problem, self.content = other.problem, other.content


def run(target: Target, seed: int, inputs: int) -> Tally:
    """Give as many damaged inputs, the same for the same seed, to a target's parser; stop at the first finding."""
    tally = Tally()

    @hypothesis.seed(seed)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @given(target.inputs())
    def check(content: bytes) -> None:
        tally.content = content
        _forget_peak()
        before = _peak_megabytes()
        _parse(target, content, tally)
        grown = _peak_megabytes() - before
        tally.megabytes = max(tally.megabytes, grown)
        assert grown <= MOST_MEGABYTES, f"the peak of memory rose by {grown:.0f} MB"

    with _quiet(), _loopback_alone(), _hangs_end():
        try:
            check()
        except Exception as error:  # noqa: BLE001  # any error is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            tally.problem = f"{Path(place.filename).name}:{place.lineno} {type(error).__name__}: {error!s:.200}"
    return tally


def run_chunk(index: int, seed: int, inputs: int) -> Tally:
    """Run a target by its place in `TARGETS`, in a process of its own."""
    return run(TARGETS[index], seed, inputs)


def inputs_of(target: Target, total: int) -> int:
    """Return how many of `total` inputs a target gets."""
    return max(1, round(total * target.share / sum(each.share for each in TARGETS)))


def _parse(target: Target, content: bytes, tally: Tally) -> None:
    """Parse an input. Raises whatever the parser may not raise, and `AssertionError` where it takes too long."""
    tally.inputs += 1
    started = time.thread_time()
    signal.setitimer(signal.ITIMER_REAL, GIVE_UP_SECONDS)
    try:
        target.parse(content)
        tally.accepted += 1
    except target.errors:
        tally.refused += 1
    except Hang:
        raise AssertionError(f"it does not end within {GIVE_UP_SECONDS:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.thread_time() - started
        tally.seconds += seconds
        tally.slowest = max(tally.slowest, seconds)
    assert seconds <= MOST_SECONDS, f"it took {seconds:.1f} s"


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _forget_peak() -> None:
    """Let the peak of memory begin anew, where the system can do that: what earlier inputs took does not count."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _loopback_alone() -> Iterator[None]:
    """Let no damaged address be looked up: nothing but this machine is ever asked."""
    real = socket.getaddrinfo

    def guarded(host: Any, *rest: Any, **named: Any) -> Any:
        if host != "127.0.0.1":
            raise socket.gaierror(f"{host!r:.100} is not on this machine")
        return real(host, *rest, **named)

    with patch.object(socket, "getaddrinfo", guarded):
        yield


@contextlib.contextmanager
def _hangs_end() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
