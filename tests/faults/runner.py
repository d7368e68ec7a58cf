"""Which faults there are, and running them: in processes of their own, since a process holds one cloud."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial

from faults import (
    classifier_faults,
    event_faults,
    pace_faults,
    page_faults,
    press_faults,
    site_faults,
    slack_faults,
    slide_faults,
)
from faults.aws_faults import DYNAMODB_FAULTS, S3_FAULTS, SECRET_FAULTS
from faults.crash import GROUP as CRASH_GROUP
from faults.crash import MOMENTS, SWEEPS, swept
from faults.fault import Fault
from faults.harness import Settings, harness
from faults.load import GROUP as LOAD_GROUP
from faults.load import SNAPSHOTS, press_load, snapshot_load
from faults.rows import Row

FAULTS: tuple[Fault, ...] = (
    *slack_faults.FAULTS,
    *classifier_faults.FAULTS,
    *S3_FAULTS,
    *DYNAMODB_FAULTS,
    *site_faults.FAULTS,
    *page_faults.FAULTS,
    *slide_faults.FAULTS,
    *pace_faults.FAULTS,
    *SECRET_FAULTS,
    *event_faults.FAULTS,
    *press_faults.FAULTS,
)
LOADS: dict[str, Callable[[], Row]] = {
    **{f"load-snapshot-{count}": partial(snapshot_load, count) for count in SNAPSHOTS},
    "load-presses": press_load,
}
SECONDS_A_WORLD, SECONDS_A_UNIT = 6.0, 60.0
EVERY_WHEN_QUICK = 6


@dataclass(frozen=True, slots=True)
class Unit:
    """What one process does in one go: some faults that need the same world, one moment of a sweep, or one load."""

    names: tuple[str, ...]
    seconds: float
    moment: str = ""
    every: int = 1
    pattern: str = "*"
    times: int = 1

    @property
    def wants_quiet(self) -> bool:
        """Whether it is timed, so that nothing else should run."""
        return self.names[0] in LOADS


def known_names() -> list[tuple[str, str, str]]:
    """Return group, name and what is injected, of everything there is."""
    sweeps = [(CRASH_GROUP, sweep.name, f"every call of the {sweep.function}") for sweep in SWEEPS]
    faults = [(fault.group, fault.name, fault.injected) for fault in FAULTS]
    return sweeps + faults + [(LOAD_GROUP, name, "timed, after everything else") for name in LOADS]


def chosen_names(patterns: Iterable[str], *, quick: bool) -> list[str]:
    """Return the names that fit any of the patterns (all, without patterns). Raises `LookupError` for a vain pattern.

    `quick` takes the shorter pick of each group.
    """
    names = [name for _, name, _ in known_names()]
    patterns = list(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise LookupError(f"no fault is called {pattern}: see python -m faults --list")
    chosen = [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]
    if quick:
        picked = {fault.name for fault in FAULTS if fault.is_quick} | {sweep.name for sweep in SWEEPS}
        return [name for name in chosen if name in picked]
    return chosen


def units_of(names: Sequence[str], *, quick: bool, pattern: str = "*", times: int = 1) -> list[Unit]:
    """Return the units that run everything named, `times` times, the longest first.

    `pattern` picks the steps of the sweeps.
    """
    units = [Unit((name,), 60.0) for name in names if name in LOADS]
    every = EVERY_WHEN_QUICK if quick else 1
    for sweep in SWEEPS:
        if sweep.name in names:
            units += [Unit((sweep.name,), sweep.seconds / every, moment, every, pattern) for moment in MOMENTS]
    by_settings: dict[Settings, list[Fault]] = {}
    for fault in FAULTS:
        if fault.name in names:
            by_settings.setdefault(fault.settings, []).append(fault)
    for faults in by_settings.values():
        units += _packed(faults)
    units = [replace(unit, seconds=unit.seconds * times, times=times) for unit in units]
    return sorted(units, key=lambda unit: (unit.wants_quiet, -unit.seconds))


def _packed(faults: list[Fault]) -> list[Unit]:
    units, pack, seconds = [], list[str](), SECONDS_A_WORLD
    for fault in faults:
        if pack and seconds + fault.seconds > SECONDS_A_UNIT:
            units.append(Unit(tuple(pack), seconds))
            pack, seconds = [], SECONDS_A_WORLD
        pack.append(fault.name)
        seconds += fault.seconds
    return [*units, Unit(tuple(pack), seconds)]


def run_units(units: Sequence[Unit], jobs: int, tell: Callable[[Unit], None]) -> list[Row]:
    """Run the units, `jobs` at a time but the timed ones alone; return the rows in the order of `known_names`."""
    rows: list[Row] = []
    for together, batch in ((jobs, [u for u in units if not u.wants_quiet]), (1, [u for u in units if u.wants_quiet])):
        # a process for each unit: a new one knows nothing of what the last one broke
        with ProcessPoolExecutor(together, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
            waiting = {processes.submit(run_unit, unit): unit for unit in batch}
            try:
                for done in as_completed(waiting):
                    rows += done.result()
                    tell(waiting[done])
            except BaseException:
                processes.shutdown(wait=False, cancel_futures=True)
                raise
    order = [name for _, name, _ in known_names()]
    return sorted(_merged(rows), key=lambda row: order.index(row.name))


def run_unit(unit: Unit) -> list[Row]:
    """Run one unit in this process and return its rows."""
    name = unit.names[0]
    if name in LOADS:
        return [LOADS[name]() for _ in range(unit.times)]
    for sweep in SWEEPS:
        if sweep.name == name:
            return list(swept(sweep, unit.moment, every=unit.every, pattern=unit.pattern, times=unit.times))
    return _run_faults(unit.times * [fault for fault in FAULTS if fault.name in unit.names])


def _run_faults(faults: list[Fault]) -> list[Row]:
    rows: list[Row] = []
    while faults:
        with harness(faults[0].settings) as on:
            while faults:
                fault = faults.pop(0)
                row = fault.row(on)
                rows.append(row)
                if not row.is_good:
                    break  # what is wrong stays wrong in this world
    return rows


def _merged(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with those of the same fault added up: a sweep's moments run apart."""
    merged: dict[tuple[str, str], Row] = {}
    for row in rows:
        known = merged.setdefault((row.name, row.injected), row)
        if known is not row:
            known.add(row.times, row)
    return list(merged.values())
