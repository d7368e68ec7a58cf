"""What a process needed for an event, read from the system: processor time and memory. Linux alone tells."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Effort:
    """What an event needed of a process; NaN where the system does not tell.

    `cpu_seconds` is the processor time of the event, `queue_seconds` how long it waited for a processor that others
    used. `init_seconds` and `init_cpu_seconds` are those of the process's start, waits for a processor apart, and 0 for
    an event that found it started. `peak_megabytes` is the most memory that the process held so far.
    """

    cpu_seconds: float = _NAN
    queue_seconds: float = _NAN
    init_seconds: float = 0.0
    init_cpu_seconds: float = 0.0
    peak_megabytes: float = _NAN


NO_EFFORT = Effort()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far; NaN where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _NAN
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def queue_seconds(pid: int) -> float:
    """Return how long a process's threads have waited for a processor so far; NaN where the system does not tell."""
    try:
        return sum(int(path.read_text().split()[1]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except (OSError, IndexError):
        return _NAN


def peak_megabytes(pid: int) -> float:
    """Return the most memory that a process has held; NaN where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return _NAN
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), _NAN)
