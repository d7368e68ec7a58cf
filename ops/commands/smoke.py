"""`python -m ops smoke`: try each part of a deployed stack."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ops.commands import Commands, add_command
from ops.smoke import press, read_a_work, score_and_post
from ops.stack import open_stack
from osusume.errors import UserError

_EPILOG = """\
After a deployment: a press of a work that does not exist must be answered in time and leave no label; the notifier
scores a made-up work and says so in the channel; the crawler reads one work of the shop, at the pace that the shop
asks for, and keeps its page for the next crawl. It also prints the address that Slack must send presses to.

examples:
  python -m ops smoke
  python -m ops smoke --stack osusume-dev

exit status: 0 if all of it works, 1 if not"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "smoke", run, "try each part of a deployed stack once", _EPILOG)
    what = "how long a press may take (default: %(default)s, Slack waits 3)"
    parser.add_argument("--within", type=float, default=2.0, metavar="SECONDS", help=what)


def run(options: argparse.Namespace) -> None:
    """Try each part, also after one failed. Raises `UserError`."""
    stack = open_stack(options)
    address = stack.output("InteractionsUrl")
    checks: tuple[Callable[[], str], ...] = (
        lambda: press(stack, address, options.within),
        lambda: score_and_post(stack),
        lambda: read_a_work(stack),
    )
    failed = 0
    for check in checks:
        try:
            print(f"ok      {check()}")
        except UserError as error:
            failed += 1
            print(f"failed  {error}")
    print(f"Slack must send presses to {address}: in the app's settings, Interactivity & Shortcuts, Request URL")
    if failed:
        raise UserError(f"{failed} of {len(checks)} checks failed, see above")
