"""docs/reliability.md: what the harness counted, as tables."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from faults.rows import Row

_HEAD = """\
# Reliability

What Osusume survives. `make faults` breaks the one-machine run in each of these ways, lets Lambda's retries and the
next day go by, counts, and writes this page; nothing in it is typed. `python -m faults --list` tells what there
is, `--only NAME` runs one, `--times N` runs it again and again.

A function's calls of AWS, Slack, the classifier and the shop go over a wire that sees each of them and can kill the
caller, lose an answer or answer otherwise. The threshold is 0 there, so that every work on sale is worth posting: a
work that is not in Slack once is lost or doubled. A press is lost when Slack got its 200 and the label is older or
another. Each row is checked for more: no snapshot is half or has a work twice, no page that was saved is fetched again,
nothing is left in `posting`, each run speaks once or lies in the dead-letter queue, no label comes from a press nobody
made.
"""


def page(rows: Sequence[Row], seconds: float, busy: float) -> str:
    """Return the page of all rows, which took `seconds` to make on a machine with `busy` as its load average before."""
    parts = [_HEAD, _made(rows, seconds, busy)]
    for group, of_group in groupby(rows, key=lambda row: row.group):
        parts += [f"## {group}\n", _table(list(of_group))]
    return "\n".join(parts)


def wrong(rows: Iterable[Row]) -> list[str]:
    """Return in words what is wrong in the rows; nothing when all is well."""
    found = []
    for row in rows:
        counts = (("items lost", row.lost), ("items doubled", row.doubled), ("presses lost", row.presses_lost))
        found += [f"{row.name}: {count} {what} ({row.injected})" for what, count in counts if count]
        found += [f"{row.name}: {problem} ({row.injected})" for problem in row.problems]
        if not row.times:
            found.append(f"{row.name} was not injected ({row.injected})")
    return found


def _made(rows: Sequence[Row], seconds: float, busy: float) -> str:
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    injected, lost = sum(row.times for row in rows), sum(row.lost for row in rows)
    doubled, presses = sum(row.doubled for row in rows), sum(row.presses_lost for row in rows)
    return (
        f"**{injected:,} faults injected: {lost} items lost, {doubled} doubled, {presses} presses lost.**\n\n"
        f"Made from commit {commit} on {datetime.now(UTC):%Y-%m-%d} in {seconds / 60:.0f} minutes, on"
        f" {platform.system()} {platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()},"
        f" beside other work that kept {busy:.1f} processes busy. Times depend on that, counts do not.\n"
    )


def _table(rows: list[Row]) -> str:
    lines = [
        "| what was injected | how often | items lost | items doubled | presses lost | what the owner saw |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        counts = f"{row.times:,} | {row.lost} | {row.doubled} | {row.presses_lost}"
        lines.append(f"| {_cell(row.injected)} | {counts} | {_cell(str(row.seen))} |")
    lines.append("")
    for names, timed in groupby((row for row in rows if row.figures), key=lambda row: tuple(row.figures)):
        lines += ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
        lines += [f"| {row.injected} | {' | '.join(map(_number, row.figures.values()))} |" for row in timed]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _number(value: float) -> str:
    if math.isnan(value):
        return "not measured"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"
