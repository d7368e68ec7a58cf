"""`python -m ops destroy`: let a stack be deleted, and say what stays."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.deploying import leftovers
from ops.protecting import protect, protection_of
from ops.stack import open_stack

_EPILOG = """\
'make destroy STACK=name' runs this and then 'sam delete'. It says what stays, and with --yes takes the stack's own
protection off. The bucket and the tables stay, and the tables stay protected; 'python -m ops destroy-data' deletes all.

examples:
  python -m ops destroy --stack osusume-dev
  python -m ops destroy --stack osusume-dev --yes

exit status: 0, or 1 if there is no such stack"""


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "destroy", run, "let a stack be deleted, and say what stays", _EPILOG, asks=True)


def run(options: argparse.Namespace) -> None:
    """Say what stays, and take the stack's protection off. Raises `UserError`."""
    stack = open_stack(options)
    for kept in leftovers(stack.session, stack.name):
        print(f"stays: {kept.name}")
    print(f"stays: the secrets of {stack.name} in SSM, and the Slack app")
    if not options.yes:
        print(f"would let {stack.name} be deleted: add --yes to do it")
    elif protection_of(stack)[stack.name]:
        protect(stack, stack.name, is_protected=False)
        print(f"{stack.name} can be deleted now")
