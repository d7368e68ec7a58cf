"""`python -m ops adopt`: make a new stack of what a deleted one left."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.deploying import adopt, check_name, leftovers, make_ready
from ops.stack import open_session
from osusume.errors import UserError

_EPILOG = """\
Deleting a stack keeps its bucket and its two tables, with everything learnt, and a new stack of the same name cannot
make them again. This imports them into a new stack as they are, with all they hold; then 'make deploy' adds the rest.

examples:
  python -m ops adopt --yes
  python -m ops adopt --stack osusume-dev --yes

exit status: 0 if they are imported or there is nothing to import, 1 if they cannot be"""


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "adopt", run, "take in what a deleted stack of the same name left", _EPILOG, asks=True)


def run(options: argparse.Namespace) -> None:
    """Import the leftovers. Raises `UserError`."""
    session = open_session(options)
    check_name(options.stack, str(session.region_name))
    found = leftovers(session, options.stack)
    if not found:
        print(f"no earlier stack {options.stack} left anything: deploy it")
        return
    names = ", ".join(each.name for each in found)
    if not options.yes:
        print(f"would import {names}: add --yes to do it")
        return
    state = make_ready(session, options.stack, print)
    if state:
        raise UserError(f"the stack {options.stack} exists ({state}), and {names} are its own: nothing to adopt")
    adopt(session, options.stack, found)
    print(f"imported {names}; now run 'make deploy' to add the rest of {options.stack}")
