"""`python -m ops doctor`: what a deployment needs, and what of it is missing."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.doctor import machine_lines, stack_lines
from ops.stack import open_session
from osusume.errors import UserError

_EPILOG = """\
Looks at this machine, the AWS account, the stack, its secrets and its Slack channel. It changes nothing. Under a line
with 'missing' is the command that mends it; a 'note' does not keep from deploying. 'make deploy' runs it too.

examples:
  python -m ops doctor
  python -m ops doctor --stack osusume-dev

exit status: 0, or 1 if something is missing"""


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "doctor", run, "say what a deployment needs and what is missing", _EPILOG)


def run(options: argparse.Namespace) -> None:
    """Print each line. Raises `UserError` if something is missing."""
    missing = 0
    for lines in (machine_lines(), stack_lines(open_session(options), options.stack)):
        for line in lines:
            print(line)
            missing += line.state == "missing"
    if missing:
        raise UserError(f"{missing} thing{'s are' if missing > 1 else ' is'} missing, see above")
