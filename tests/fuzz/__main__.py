"""Damage inputs and give them to every parser: `make fuzz`.

The same seed gives the same inputs. An input that a parser cannot take is made as small as possible and kept as a file
with the target's name, and the run fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from fuzz.run import TARGETS, Tally, inputs_of, run_chunk
from fuzz.target import Target
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

CHUNK = 250
SHOWN = 300


def main() -> int:
    """Run it, and return 1 where something was found."""
    arguments = command_line().parse_args()
    chosen = [index for index, target in enumerate(TARGETS) if arguments.only in {None, target.name}]
    if not chosen:
        sys.exit(f"no target is called {arguments.only!r}: use one of {', '.join(target.name for target in TARGETS)}")
    tallies = {index: Tally() for index in chosen}
    started = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 160)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    pool = ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn"))
    with pool, Progress(*columns, console=console) as progress:
        running = {
            pool.submit(run_chunk, index, arguments.seed + 1_000_003 * number, count): (index, count)
            for index in chosen
            for number, count in enumerate(_chunks(TARGETS[index], chosen, arguments.inputs))
        }
        bar = progress.add_task("inputs", total=sum(count for _, count in running.values()))
        for done in as_completed(running):
            index, count = running[done]
            tally = done.result()
            tallies[index].add(tally)
            progress.advance(bar, count)
            if tally.problem:
                name = TARGETS[index].name
                path = _keep(arguments.keep, name, tally.content)
                progress.console.print(f"[red]{name}[/]: {escape(tally.problem)} ({path})", soft_wrap=True)
                progress.console.print(repr(tally.content[:SHOWN]), markup=False, soft_wrap=True)
    console.print(_table(tallies))
    inputs, found = sum(t.inputs for t in tallies.values()), sum(bool(t.problem) for t in tallies.values())
    console.print(f"{inputs:,} inputs, {found} findings, {time.monotonic() - started:.0f} s, seed {arguments.seed}")
    return 1 if found else 0


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many, over all targets (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which damage (default: %(default)s)")
    parser.add_argument("--only", metavar="TARGET", help="this target alone")
    parser.add_argument("--processes", type=int, default=2, help="at the same time (default: %(default)s)")
    parser.add_argument("--keep", type=Path, default=Path(".fuzz"), help="folder for findings (default: .fuzz)")
    return parser


def _chunks(target: Target, chosen: list[int], inputs: int) -> Iterator[int]:
    count = inputs if len(chosen) == 1 else inputs_of(target, inputs)
    for start in range(0, count, CHUNK):
        yield min(CHUNK, count - start)


def _keep(folder: Path, target: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / target.replace(" ", "-").replace("'", "")
    path.write_bytes(content)
    return path


def _table(tallies: dict[int, Tally]) -> Table:
    table = Table("parser", "inputs", "read", "refused", "findings", "mean", "slowest", "memory", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for index, tally in tallies.items():
        table.add_row(
            TARGETS[index].name,
            f"{tally.inputs:,}",
            f"{tally.accepted:,}",
            f"{tally.refused:,}",
            str(int(bool(tally.problem))),
            f"{tally.seconds / max(tally.inputs, 1) * 1000:.1f} ms",
            f"{tally.slowest * 1000:.0f} ms",
            f"+{tally.megabytes:.0f} MB",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
