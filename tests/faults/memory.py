"""How much memory functions' processes have held."""

from __future__ import annotations

from local.cloud import effort
from local.machine import Machine


def peak_megabytes(machine: Machine, function: str) -> float:
    """Return the most memory that a process of the function has held; NaN where the system does not tell."""
    return max((effort.peak_megabytes(pid) for pid in machine.cloud.pids(function)), default=float("nan"))
