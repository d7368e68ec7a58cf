"""`python -m ops repost`: post what was missed when something failed."""

from __future__ import annotations

import argparse
import sys
from datetime import date

from rich.console import Console

from ops.commands import Commands, add_command
from ops.reposting import given_up, missed, newest_snapshot, notify_again, snapshots_of_day, waiting
from ops.stack import DeployedStack, open_stack
from osusume.errors import UserError

_EPILOG = """\
The notifier is called again for a snapshot. Without --snapshot, --date and --given-up it is the newest one, and what
earlier runs recorded but could not post is posted with it. A message that is already in the channel is never posted
again.

examples:
  python -m ops repost                                   show what is waiting
  python -m ops repost --yes                             post it
  python -m ops repost --date 2026-04-02 --yes           call the notifier for that day's snapshots
  python -m ops repost --given-up --yes                  retry what Slack refused in three runs
  python -m ops repost --snapshot snapshots/dlsite/2026/04/01/220000Z.json --yes

exit status: 0, or 1 if something could not be posted"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "repost", run, "post what was missed when something failed", _EPILOG, asks=True)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--snapshot", metavar="KEY", help="the key of one snapshot in the bucket")
    which.add_argument("--date", type=date.fromisoformat, metavar="YYYY-MM-DD", help="all snapshots of this day")
    which.add_argument("--given-up", action="store_true", help="the messages that Slack refused in three runs")


def run(options: argparse.Namespace) -> None:
    """Print what is missing, and post it with --yes. Raises `UserError`."""
    stack = open_stack(options)
    left = waiting(stack)
    print(f"{left} messages of earlier runs wait to be posted")
    if options.given_up:
        left += _offer_again(stack, sure=options.yes)
    keys = _keys(options, stack)
    if not keys and not left:
        return
    for key in keys or [newest_snapshot(stack)]:
        before = missed(stack, key)
        print(f"{key}: {before.listed} works, {before.without_record} without a record, {before.to_post} to post")
        if options.yes:
            _notify(stack, key)
    if not options.yes:
        print("nothing was posted: add --yes to post")


def _offer_again(stack: DeployedStack, *, sure: bool) -> int:
    """Print what was given up, make it postable again if `sure`, and return the number of messages."""
    record_ids = given_up(stack)
    print(f"{len(record_ids)} messages were given up{': ' if record_ids else ''}{', '.join(record_ids)}")
    if sure:
        for record_id in record_ids:
            stack.ledger.offer_again(record_id)
    return len(record_ids)


def _keys(options: argparse.Namespace, stack: DeployedStack) -> list[str]:
    if options.snapshot:
        return [options.snapshot]
    if options.date:
        keys = snapshots_of_day(stack, options.date)
        if not keys:
            raise UserError(f"there is no snapshot of {options.date}: see the crawler's log, or name another day")
        return keys
    return []


def _notify(stack: DeployedStack, key: str) -> None:
    with Console(file=sys.stderr).status(f"calling the notifier for {key}") as status:
        notify_again(stack, key, lambda: status.update(f"{waiting(stack)} messages left to post"))
    after = missed(stack, key)
    print(f"{key}: done, {after.without_record} without a record, {after.to_post} to post")
