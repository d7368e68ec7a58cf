"""Running targets: one input at a time, watched for errors, time and memory."""

from __future__ import annotations

import contextlib
import logging
import resource
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from fuzz import answers, packages, pages, presses, stored
from fuzz.target import Target

TARGETS: tuple[Target, ...] = (
    *pages.TARGETS,
    *stored.TARGETS,
    *answers.TARGETS,
    *presses.TARGETS,
    *packages.TARGETS,
)

Task = tuple[int, int, range]
"""The place of a target in `TARGETS`, the seed, the numbers of the inputs."""

MOST_SECONDS = 1.0
"""An input may take this much of the processor's time."""

GIVE_UP_SECONDS = 30.0
MOST_MEGABYTES = 300
"""How far an input may raise the process's peak of memory over what it was at the target's start."""


class Hang(BaseException):
    """Raised within a parser that does not end; no parser catches it."""


@dataclass
class Finding:
    """An input that a parser could not take, and what came of it."""

    target: str
    number: int
    problem: str
    content: bytes


@dataclass
class Tally:
    """What came of a target's inputs. Seconds are of the processor, megabytes over those at the start."""

    inputs: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_input: int = 0
    megabytes: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what came of more inputs of the same target."""
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.refused += other.refused
        self.seconds += other.seconds
        if other.slowest > self.slowest:
            self.slowest, self.slowest_input = other.slowest, other.slowest_input
        self.megabytes = max(self.megabytes, other.megabytes)
        self.findings += other.findings


def run(target: Target, seed: int, numbers: Iterable[int]) -> Tally:
    """Give the inputs of these `numbers` to a target's parser and return what came of them."""
    tally = Tally()
    with _quiet(), _loopback_alone(), _hangs_end():
        _forget_peak()
        at_start = _peak_megabytes()
        for number in numbers:
            content = target.input(seed, number)
            problem = _problem(target, content, number, tally)
            grown = _peak_megabytes() - at_start
            if grown > max(MOST_MEGABYTES, tally.megabytes):
                problem = problem or f"the peak of memory rose by {grown:.0f} MB"
            tally.megabytes = max(tally.megabytes, grown)
            if problem:
                tally.findings.append(Finding(target.name, number, problem, content))
    return tally


def run_chunk(task: Task) -> Tally:
    """Run one chunk in a process of its own."""
    index, seed, numbers = task
    return run(TARGETS[index], seed, numbers)


def inputs_of(target: Target, total: int) -> int:
    """Return how many of `total` inputs a target gets."""
    return max(1, round(total * target.share / sum(each.share for each in TARGETS)))


def _problem(target: Target, content: bytes, number: int, tally: Tally) -> str | None:
    tally.inputs += 1
    problem = None
    started = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, GIVE_UP_SECONDS)
    try:
        target.parse(content)
    except target.errors as error:
        tally.refused[type(error).__name__] += 1
    except Hang:
        problem = f"it does not end within {GIVE_UP_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001  # any other error is what is looked for
        problem = f"{type(error).__name__}: {error}"
        trace, place = error.__traceback__, ""
        while trace:
            code = trace.tb_frame.f_code
            place, trace = f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}", trace.tb_next
        problem = f"{place} {problem:.200}"
    else:
        tally.accepted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = time.process_time() - started
    tally.seconds += seconds
    if seconds > tally.slowest:
        tally.slowest, tally.slowest_input = seconds, number
    if seconds > MOST_SECONDS:
        problem = problem or f"it took {seconds:.1f} s"
    return problem


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _forget_peak() -> None:
    """Let the peak of memory begin anew, where the system can do that: what another target took does not count."""
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
