"""`python -m ops report`: the last weekly report."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.stack import open_stack
from osusume.errors import UserError

_EPILOG = """\
The trainer writes a report of each whole week, Monday to Sunday, and the next morning's run posts it. This prints the
last week's as of now, without posting it.

example:
  python -m ops report

exit status: 0, or 1 if the last week had no run"""

_SECONDS = 120


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "report", run, "print the last week's report", _EPILOG)


def run(options: argparse.Namespace) -> None:
    """Print the report. Raises `UserError`."""
    stack = open_stack(options)
    lines = stack.invoke("TrainerFunction", {"report": True}, _SECONDS)["report"]
    if not lines:
        raise UserError("there was no run in the last whole week: the first report comes after the first Sunday")
    print("\n".join(lines))
