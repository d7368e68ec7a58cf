"""`python -m osusume_ops restore-labels`: labels that were lost, put back."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Console

from osusume_ops.commands import Commands, add_stack_options, add_yes_option
from osusume_ops.restoring import delete_table, put_back, restorable, restore_table
from osusume_ops.stack import Stack, open_stack

_EPILOG = """\
DynamoDB restores the labels to a new table, which takes ten minutes or more. From there each label is put back where it
is missing or older; a press that came later stays. The new table is deleted at the end, unless --keep is given. Where
the command was interrupted, --from-table goes on with the table that is there.

examples:
  python -m osusume_ops restore-labels                                what can be restored
  python -m osusume_ops restore-labels --at "2026-04-02 07:00" --yes
  python -m osusume_ops restore-labels --from-table osusume-labels-as-of-20260401-220000 --yes

exit status: 0, or 1 when the labels could not be restored"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "restore-labels",
        help="put labels back as they were at a moment of the last 35 days",
        description="Put labels back as they were at a moment of the last 35 days.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--at",
        type=datetime.fromisoformat,
        metavar="TIME",
        help="such as '2026-04-02 07:00'; without an offset, in the stack's time zone",
    )
    which.add_argument("--from-table", metavar="NAME", help="a table that was restored before; it is not deleted")
    parser.add_argument("--keep", action="store_true", help="leave the restored table, to look at it")
    add_yes_option(parser)
    add_stack_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Restore and put back. Raises `OpsError`."""
    stack = open_stack(options)
    zone = ZoneInfo(stack.parameter("TimeZone"))
    earliest, latest = (moment.astimezone(zone) for moment in restorable(stack))
    print(f"labels can be restored to any second from {earliest:%Y-%m-%d %H:%M:%S} to {latest:%Y-%m-%d %H:%M:%S %Z}")
    if options.from_table:
        what = f"put back the labels of {options.from_table}"
    elif options.at:
        moment = options.at if options.at.tzinfo else options.at.replace(tzinfo=zone)
        what = f"restore the labels as of {moment.isoformat()} to a new table and put them back"
    else:
        return
    if not options.yes:
        print(f"would {what}: add --yes to do it")
        return
    table = options.from_table or _restored(stack, moment)
    with Console(file=sys.stderr).status(f"reading {table}") as status:
        counted = put_back(stack, table, lambda done: status.update(f"{done} labels of {table} compared"))
    unchanged = counted.restored - counted.put_back - counted.newer
    print(
        f"{counted.restored} labels in {table}: {counted.put_back} put back, {unchanged} stood unchanged,"
        f" {counted.newer} left to newer presses"
    )
    if options.at and not options.keep:
        delete_table(stack, table)
        print(f"{table} is deleted")


def _restored(stack: Stack, moment: datetime) -> str:
    with Console(file=sys.stderr).status("DynamoDB restores the labels: ten minutes or more"):
        table = restore_table(stack, moment)
    print(f"{table} is restored")
    return table
