"""Processor time on this machine, as Linux counts it: of processes, and of everything else that runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def seconds_of(pids: Iterable[int]) -> float:
    """Return the processor time that these processes have used, in seconds; those that ended count nothing."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def busy_seconds() -> float:
    """Return the processor time that the whole machine has used, in seconds."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    return (user + nice + system + sum(interrupts)) / _TICKS


class Meter:
    """Measures wall time, processor time of this process and of functions, and how much everything else used."""

    def __init__(self, functions: dict[str, Iterable[int]]) -> None:
        self._functions = {name: list(pids) for name, pids in functions.items()}
        self._before = self._read()

    def read(self) -> dict[str, float]:
        """Return the seconds since the meter was made: `wall`, `main`, each function, and `others`."""
        now = self._read()
        used = {name: now[name] - before for name, before in self._before.items()}
        busy = used.pop("busy")
        ours = sum(seconds for name, seconds in used.items() if name != "wall")
        return {**used, "others": max(0.0, busy - ours)}

    def _read(self) -> dict[str, float]:
        functions = {name: seconds_of(pids) for name, pids in self._functions.items()}
        return {"wall": time.monotonic(), "main": time.process_time(), "busy": busy_seconds(), **functions}
