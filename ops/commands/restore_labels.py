"""`python -m ops restore-labels`: labels that were lost, put back."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import get_args
from zoneinfo import ZoneInfo

from rich.console import Console

from ops.commands import Commands, add_stack_options, add_yes_option
from ops.restoring import Comparison, compare, delete_table, put_back, restorable, restore_table
from ops.stack import DeployedStack, open_stack
from osusume.errors import UserError
from osusume.labels import Label, Origin
from osusume.times import read_time

_EPILOG = """\
DynamoDB restores the labels to a new table, which takes ten minutes or more. From there each label is put back where it
is missing or older; what came later stays, unless you say which labels are wrong: --all, --origin and --user name those
that are to be as they were at that time, however late they are, and one that was not there then is taken away.

Without --yes the command restores, shows what would change, and keeps the new table, to put it back with --from-table;
with --yes it puts back too, and deletes the new table at the end, unless --keep is given. Where it was interrupted,
--from-table resumes with the table that is there.

examples:
  python -m ops restore-labels                                what can be restored
  python -m ops restore-labels --at "2026-04-02 07:00"        show what that would change
  python -m ops restore-labels --from-table osusume-labels-as-of-20260401-220000 --yes
  python -m ops restore-labels --at "2026-04-02 07:00" --origin annotation --yes     after a wrong import
  python -m ops restore-labels --at "2026-04-02 07:00" --user U0SOMEBODY --yes

exit status: 0, or 1 when the labels could not be restored"""

_SHOWN_CHANGES = 20


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
        metavar="TIME",
        help="such as '2026-04-02 07:00'; without an offset, in the stack's time zone",
    )
    which.add_argument("--from-table", metavar="NAME", help="a table that was restored before; it is not deleted")
    wrong = parser.add_mutually_exclusive_group()
    wrong.add_argument("--all", action="store_true", help="put later labels back too")
    wrong.add_argument("--origin", choices=get_args(Origin), help="put later labels of this origin back too")
    wrong.add_argument(
        "--user", metavar="ID", help="put later labels of this user back too: a Slack id, 'desk' or 'import'"
    )
    parser.add_argument("--keep", action="store_true", help="leave the restored table, to look at it")
    add_yes_option(parser)
    add_stack_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Restore, show what would change, and put back. Raises `UserError`."""
    stack = open_stack(options)
    zone = ZoneInfo(stack.parameter("TimeZone"))
    moment = _moment(options.at, zone)
    earliest, latest = (found.astimezone(zone) for found in restorable(stack))
    print(f"labels can be restored to any second from {earliest:%Y-%m-%d %H:%M:%S} to {latest:%Y-%m-%d %H:%M:%S %Z}")
    if moment is None and options.from_table is None:
        return
    table = options.from_table or _restored(stack, moment)

    def is_wrong(label: Label) -> bool:
        return bool(options.all) or label.origin == options.origin or label.user_id == options.user

    console = Console(file=sys.stderr)
    with console.status(f"reading {table}"):
        compared = compare(stack, table, is_wrong)
    _show(compared)
    if not options.yes:
        print(f"would put back {len(compared.changes)} labels: add --from-table {table} --yes to do it")
        return
    with console.status("putting back") as status:
        made = put_back(stack, compared.changes, lambda done: status.update(f"{done} labels put back"))
    newer = compared.newer + len(compared.changes) - made
    unchanged = compared.restored - sum(change.then is not None for change in compared.changes) - compared.newer
    print(
        f"{compared.restored} labels in {table}: {made} put back, {max(0, unchanged)} stood unchanged,"
        f" {newer} left to newer presses"
    )
    if options.at and not options.keep:
        delete_table(stack, table)
        print(f"{table} is deleted")


def _moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    try:
        return None if text is None else read_time(text, zone)
    except ValueError as error:
        raise UserError(f"--at {error}") from error


def _show(compared: Comparison) -> None:
    for change in compared.changes[:_SHOWN_CHANGES]:
        print(f"  {change.item_id}: {_in_words(change.now)} -> {_in_words(change.then)}")
    if len(compared.changes) > _SHOWN_CHANGES:
        print(f"  … and {len(compared.changes) - _SHOWN_CHANGES} more")


def _in_words(label: Label | None) -> str:
    if label is None:
        return "no label"
    kind = "interested" if label.is_interested else "not interested"
    return f"{kind} ({label.created_at}, {label.origin}, {label.user_id})"


def _restored(stack: DeployedStack, moment: datetime | None) -> str:
    if moment is None:
        raise UserError("say when with --at")
    with Console(file=sys.stderr).status("DynamoDB restores the labels: ten minutes or more"):
        table = restore_table(stack, moment)
    print(f"{table} is restored")
    return table
