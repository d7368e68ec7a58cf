"""`python -m ops protect`: keep the tables from being deleted."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.stack import open_stack

_EPILOG = """\
Turns on the deletion protection of the two tables, which 'make deploy' does after each deployment. The template cannot:
a first deployment that fails must be able to remove what it made. --off turns it off, to delete the tables for good.

examples:
  python -m ops protect --yes
  python -m ops protect --off --yes

exit status: 0"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "protect", run, "keep the tables from being deleted", _EPILOG, asks=True)
    parser.add_argument("--off", action="store_true", help="let them be deleted")


def run(options: argparse.Namespace) -> None:
    """Turn the protection of both tables on or off, where it is not."""
    stack = open_stack(options)
    client = stack.client("dynamodb")
    for table in (stack.resource("LabelsTable"), stack.resource("ItemsTable")):
        wanted = not options.off
        if client.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled", False) == wanted:
            print(f"{table} is {'protected' if wanted else 'not protected'}")
        elif options.yes:
            client.update_table(TableName=table, DeletionProtectionEnabled=wanted)
            print(f"{table} is now {'protected' if wanted else 'not protected'}")
        else:
            print(f"would {'protect' if wanted else 'stop protecting'} {table}: add --yes to do it")
