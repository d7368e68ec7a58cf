"""`python -m ops protect`: keep the stack and its tables from being deleted."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.protecting import protect, protection_of
from ops.stack import open_stack

_EPILOG = """\
Turns on the deletion protection of the stack and of its two tables, which 'make deploy' does after each deployment.
The template cannot: a first deployment that fails must be able to remove what it made. With it 'sam delete' and
'aws cloudformation delete-stack' are refused, so that a wrong name deletes nothing. --off turns it off.

examples:
  python -m ops protect --yes
  python -m ops protect --off --yes

exit status: 0"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "protect", run, "keep a stack and its tables from deletion", _EPILOG, asks=True)
    parser.add_argument("--off", action="store_true", help="let them be deleted")


def run(options: argparse.Namespace) -> None:
    """Turn the protection of the stack and both tables on or off, where it is not."""
    stack = open_stack(options)
    for name, is_protected in protection_of(stack).items():
        if is_protected != options.off:
            print(f"{name} is {'protected' if is_protected else 'not protected'}")
        elif options.yes:
            protect(stack, name, not options.off)
            print(f"{name} is now {'not protected' if options.off else 'protected'}")
        else:
            print(f"would {'stop protecting' if options.off else 'protect'} {name}: add --yes to do it")
