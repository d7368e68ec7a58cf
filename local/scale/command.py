"""The command `scale`: measures, validates the model of this machine, and predicts AWS for more owners."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from local.scale.measure import measure
from local.scale.measured import Measured
from local.scale.prediction import OWNERS, beside_a_large_owner, predict
from local.scale.report import Findings
from local.scale.service import service_of
from local.scale.validation import compare

REPEATS = {1: 5, 10: 2, 100: 1}
"""How often each number of owners is measured: a single delivery is over too soon to tell much."""

_MEASURING = 0.7
"""The share of the whole time that measuring takes, for the progress bar."""

Tell = Callable[[str, float], None]


class ScaleFailed(Exception):
    """Raised when the predictions are not to be believed; the message says why."""


def run_scale(
    file: Path,
    console: Console,
    *,
    reuse: bool = False,
    as_json: bool = False,
    repeats: Mapping[int, int] | None = None,
    owners: Sequence[int] = OWNERS,
) -> None:
    """Measure and write `file`, or `reuse` what it holds, and print the findings.

    Raises `ScaleFailed`, and `MeasurementFailed` and `UserError` as measuring and reading do.
    """
    with _progress(Console(stderr=True)) as tell:
        if reuse:
            measured = Measured.read(file)
        else:
            measured = measure(repeats or REPEATS, lambda what, share: tell(what, share * _MEASURING))
            measured.write(file)
        findings = _findings(measured, owners, tell)
    if as_json:
        print(json.dumps(findings.to_json(), indent=1))
    else:
        findings.print(console)
    if findings.problems:
        raise ScaleFailed("; ".join(findings.problems))


def _findings(measured: Measured, owners: Sequence[int], tell: Tell) -> Findings:
    service = service_of(measured)
    comparisons = compare(measured)
    rows = []
    for number in owners:
        tell(
            f"simulating {number:,} owners",
            _MEASURING + (1 - _MEASURING) * math.log10(number) / (1 + math.log10(max(owners))),
        )
        rows.append(predict(number, service))
    return Findings(measured, comparisons, rows, beside_a_large_owner(service))


@contextmanager
def _progress(console: Console) -> Iterator[Tell]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=1.0)
        yield lambda what, share: progress.update(bar, description=what, completed=share)
