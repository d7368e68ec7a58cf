"""`python -m ops restore-labels`: put lost labels back."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import get_args
from zoneinfo import ZoneInfo

from rich.console import Console

from ops.commands import Commands, add_command
from ops.restoring import Comparison, compare, delete_table, put_back, restorable, restore_table
from ops.stack import DeployedStack, open_stack
from osusume.errors import UserError
from osusume.labels import Label, Origin
from osusume.times import read_time

_EPILOG = """\
DynamoDB restores the labels to a new table, which takes ten minutes or more. A label is put back if the stack's is
missing or older. Later labels stay, unless you say which of them are wrong: --all, --origin and --user put those back
too, and remove those that did not exist at that time.

Without --yes the command restores the table, shows what would change, and keeps the table for --from-table. With --yes
it also puts the labels back and then deletes the table, unless --keep is given. After an interruption, resume with
--from-table.

examples:
  python -m ops restore-labels                                show which times can be restored
  python -m ops restore-labels --at "2026-04-02 07:00"        show what that would change
  python -m ops restore-labels --from-table osusume-labels-as-of-20260401-220000 --yes
  python -m ops restore-labels --at "2026-04-02 07:00" --origin annotation --yes     after a wrong import
  python -m ops restore-labels --at "2026-04-02 07:00" --user U0SOMEBODY --yes

exit status: 0, or 1 if the labels could not be restored"""

_SHOWN_CHANGES = 20


def add(commands: Commands) -> None:
    """Add the command."""
    what = "restore labels as of a time in the last 35 days"
    parser = add_command(commands, "restore-labels", run, what, _EPILOG, asks=True)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--at", metavar="TIME", help="such as '2026-04-02 07:00', in the stack's time zone by default")
    which.add_argument("--from-table", metavar="NAME", help="use a table restored earlier; it is not deleted")
    wrong = parser.add_mutually_exclusive_group()
    wrong.add_argument("--all", action="store_true", help="restore later labels too")
    wrong.add_argument("--origin", choices=get_args(Origin), help="restore later labels of this origin too")
    wrong.add_argument(
        "--user", metavar="ID", help="restore later labels of this user too: a Slack id, 'desk' or 'import'"
    )
    parser.add_argument("--keep", action="store_true", help="keep the restored table")


def run(options: argparse.Namespace) -> None:
    """Restore the table, print what would change, and put labels back with --yes. Raises `UserError`."""
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
        print(f"would put back {len(compared.changes)} labels: add --from-table {table} --yes to put them back")
        return
    with console.status("putting back") as status:
        made = put_back(stack, compared.changes, lambda done: status.update(f"{done} labels put back"))
    newer = compared.newer + len(compared.changes) - made
    unchanged = compared.restored - sum(change.then is not None for change in compared.changes) - compared.newer
    print(
        f"{compared.restored} labels in {table}: {made} put back, {max(0, unchanged)} unchanged,"
        f" {newer} newer ones kept"
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
    kind = {True: "interested", False: "not interested", None: "neither"}[label.is_interested]
    return f"{kind} ({label.created_at}, {label.origin}, {label.user_id})"


def _restored(stack: DeployedStack, moment: datetime | None) -> str:
    if moment is None:
        raise UserError("give a time with --at")
    with Console(file=sys.stderr).status("DynamoDB restores the labels: ten minutes or more"):
        table = restore_table(stack, moment)
    print(f"{table} is restored")
    return table
