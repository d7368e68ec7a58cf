"""`python -m ops replay`: show a past morning again."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from ops.commands import Commands, add_command
from ops.doctor import PACKAGE
from ops.reposting import snapshots_of_day
from ops.stack import open_stack
from osusume.errors import UserError
from osusume.ledger import Record

_EPILOG = """\
Works and messages of a day are made again from the ledger, the bucket and the head that served, and compared with what
was recorded, message by message, byte for byte. With --head another stored head chooses: then the difference is what it
would have shown. Nothing is posted or changed.

examples:
  python -m ops replay 2026-11-26
  python -m ops replay 2026-11-26 --head night-0123456789ab

exit status: 0; 1 if the replay differs from what was posted, or the day cannot be replayed"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "replay", run, "show a past morning again, or as another head would", _EPILOG)
    parser.add_argument("date", type=date.fromisoformat, metavar="YYYY-MM-DD", help="a day in the stack's time zone")
    parser.add_argument("--head", metavar="VERSION", help="a stored head, as 'model list' shows it")
    parser.add_argument(
        "--package", type=Path, default=PACKAGE, metavar="DIR", help="the deployed package (default: model/package)"
    )


def run(options: argparse.Namespace) -> None:
    """Replay the day's snapshots. Raises `UserError` if one differs."""
    from ops.replaying import replay  # noqa: PLC0415  # --help must work without onnxruntime

    stack = open_stack(options)
    keys = snapshots_of_day(stack, options.date)
    if not keys:
        raise UserError(f"there is no snapshot of {options.date}: name another day")
    different = 0
    for key in keys:
        works = replay(stack, key, options.package, options.head)
        shown = sum(work.now.choice != "passed" for work in works)
        print(f"{key}: {len(works)} new works, {shown} to post")
        for work in works:
            item, is_shown = work.now.item, work.now.choice != "passed"
            if options.head and is_shown != (work.then.choice != "passed"):
                sign = "+" if is_shown else "-"
                print(f"  {sign} {item.item_id}  {_shown(work.then)} -> {_shown(work.now)}  {item.title}")
            elif not options.head and work.differences:
                different += 1
                print(f"  ! {item.item_id} differs in {', '.join(work.differences)}")
        if not options.head and not different:
            print("  as it was posted, byte for byte")
    if different:
        raise UserError(f"{different} works differ from what was recorded: another package or version of the code?")


def _shown(record: Record) -> str:
    return f"{record.why or 'passed'} {'-' if record.score is None else format(record.score, '.2f')}"
