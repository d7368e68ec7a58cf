"""Damage inputs at random and give them to every parser: `make fuzz`.

The same seed gives the same inputs. An input that a parser cannot take is kept as a file, with the target's name and
the input's number, and the run fails; `--only TARGET --first NUMBER --inputs 1` gives it to the parser again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from fuzz.run import TARGETS, Tally, Task, inputs_of, run_chunk
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

CHUNK = 250


def main() -> int:
    """Run it, and return 1 where something was found."""
    arguments = _arguments()
    chosen = [index for index, target in enumerate(TARGETS) if arguments.only in {None, target.name}]
    if not chosen:
        sys.exit(f"no target is called {arguments.only!r}: use one of {', '.join(target.name for target in TARGETS)}")
    tasks = list(_tasks(chosen, arguments.inputs, arguments.seed, arguments.first))
    tallies = {index: Tally() for index in chosen}
    started = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 160)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    pool = ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn"))
    with pool, Progress(*columns, console=console) as progress:
        bar = progress.add_task("inputs", total=sum(len(numbers) for _, _, numbers in tasks))
        running = {pool.submit(run_chunk, task): task for task in tasks}
        for done in as_completed(running):
            index, _, numbers = running[done]
            tally = done.result()
            tallies[index].add(tally)
            progress.advance(bar, len(numbers))
            for finding in tally.findings:
                path = _keep(arguments.keep, finding.target, finding.number, finding.content)
                progress.console.print(f"[red]{finding.target} {finding.number}[/]: {finding.problem} ({path})")
    console.print(_table(tallies))
    inputs, found = sum(t.inputs for t in tallies.values()), sum(len(t.findings) for t in tallies.values())
    console.print(f"{inputs:,} inputs, {found} findings, {time.monotonic() - started:.0f} s, seed {arguments.seed}")
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many, over all targets (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which damage (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of each target's first input (default: 0)")
    parser.add_argument("--only", metavar="TARGET", help="this target alone")
    parser.add_argument("--processes", type=int, default=2, help="at the same time (default: %(default)s)")
    parser.add_argument("--keep", type=Path, default=Path(".fuzz"), help="folder for findings (default: .fuzz)")
    return parser.parse_args()


def _tasks(chosen: list[int], inputs: int, seed: int, first: int) -> Iterator[Task]:
    for index in chosen:
        count = inputs if len(chosen) == 1 else inputs_of(TARGETS[index], inputs)
        for start in range(first, first + count, CHUNK):
            yield index, seed, range(start, min(start + CHUNK, first + count))


def _keep(folder: Path, target: str, number: int, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{target.replace(' ', '-').replace(chr(39), '')}-{number}"
    path.write_bytes(content)
    return path


def _table(tallies: dict[int, Tally]) -> Table:
    table = Table("parser", "inputs", "read", "refused", "findings", "mean", "slowest", "number", "memory", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for index, tally in tallies.items():
        table.add_row(
            TARGETS[index].name,
            f"{tally.inputs:,}",
            f"{tally.accepted:,}",
            f"{sum(tally.refused.values()):,}",
            f"{len(tally.findings):,}",
            f"{tally.seconds / max(tally.inputs, 1) * 1000:.1f} ms",
            f"{tally.slowest * 1000:.0f} ms",
            str(tally.slowest_input),
            f"+{tally.megabytes:.0f} MB",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
