"""`python -m faults`: everything breaks, is counted, and docs/reliability.md says so."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from faults import table
from faults.runner import Unit, chosen_names, known_names, run_units, units_of
from local.machine import ROOT

_DESCRIPTION = """\
Breaks the one-machine run in every way it knows, lets retries and the next day go by, and counts what was lost or done
twice: functions killed at every call they make, faults of Slack, the classifier, AWS, the site, events and clocks,
works that slide out of the listing, presses as they should not come, and load. The calls are found by watching, not
from a list."""

_EPILOG = """\
`make faults` runs all of it. The other examples need tests/ on the search path: PYTHONPATH=tests.

examples:
  python -m faults                      all of it, and docs/reliability.md is written anew
  python -m faults --list               what there is
  python -m faults --only 'slack-*'     some of it, told here alone
  python -m faults --quick              a shorter pick: every sixth step, some faults of each kind
  python -m faults --only crash-crawler --step 's3:GetObject crawls/dlsite/crawl.json #2' --times 100
                                              one step of one sweep, a hundred times at each of its three moments

exit status: 0 when nothing was lost, doubled or otherwise wrong, 1 when something was (it is named, and the page is
written all the same), 2 for a name that is not known, 130 on Ctrl-C"""

PAGE = ROOT / "docs" / "reliability.md"


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m faults",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these alone; * stands for anything")
    parser.add_argument(
        "--step",
        default="*",
        metavar="CALL",
        help="of the crash sweeps these calls alone, by operation ('s3:*') or operation and number ('s3:* #2')",
    )
    parser.add_argument(
        "--times", type=int, default=1, metavar="N", help="inject each N times (default: %(default)s); told here alone"
    )
    parser.add_argument("--list", action="store_true", help="print the names of all faults and end")
    parser.add_argument("--quick", action="store_true", help="a shorter pick, told here alone")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1 + (os.cpu_count() or 1),  # much of it is waiting
        help="how many machines run at a time; load is measured alone (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where the page goes (default: docs/reliability.md when everything runs once, else it is printed)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names; return the exit status."""
    options = command_line().parse_args(arguments)
    console = Console(highlight=False)
    if options.list:
        for group, name, injected in known_names():
            console.print(f"{group:22} {name:26} {injected}", markup=False, soft_wrap=True)
        return 0
    try:
        names = chosen_names(options.only, quick=options.quick)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    units = units_of(names, quick=options.quick, pattern=options.step, times=max(1, options.times))
    began, busy = time.monotonic(), os.getloadavg()[0]
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("breaking everything", total=sum(unit.seconds for unit in units))

        def tell(unit: Unit) -> None:
            done = f"done: {unit.names[-1]} {unit.moment}".strip()
            progress.update(task, advance=unit.seconds, description=done)
            if not console.is_terminal:
                console.print(done)

        try:
            rows = run_units(units, max(1, options.jobs), tell)
        except KeyboardInterrupt:
            return 130
    if not rows:
        print(f"no sweep has a step {options.step}: see the operations in docs/reliability.md", file=sys.stderr)
        return 2
    text = table.page(rows, time.monotonic() - began, busy)
    is_whole = not (options.only or options.quick) and (options.step, options.times) == ("*", 1)
    output = options.output or (PAGE if is_whole else None)
    if output is None:
        print(text)
    else:
        output.write_text(text, encoding="utf-8")
        console.print(f"{output} is written")
    wrong = table.wrong(rows)
    for what in wrong:
        print(what, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
