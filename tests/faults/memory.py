"""How much memory functions' processes have held."""

from __future__ import annotations

from pathlib import Path

from local.machine import Machine


def peak_megabytes(machine: Machine, function: str) -> float:
    """Return the most memory that a process of the function has held; NaN where the system does not tell."""
    return max((_peak_of(pid) for pid in machine.cloud.pids(function)), default=float("nan"))


def _peak_of(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), float("nan"))
