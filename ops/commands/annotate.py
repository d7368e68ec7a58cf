"""`python -m ops annotate`: label works of the stack at the desk's page."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console

from desk.items import merged, read_items
from desk.options import add_page_options, check_flask
from desk.stack import StackLabels, known_items
from desk.steering import Steering
from ops.commands import Commands, add_command
from ops.stack import open_stack
from osusume.errors import UserError
from osusume.rules import Rules
from osusume.wishes import WishStore

_EPILOG = """\
The labels go to the stack's table. 'python -m desk --help' lists the keys.

example:
  python -m ops annotate --stack osusume --region ap-northeast-1"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "annotate", run, "label works that the stack knows at the page of 'python -m desk'", _EPILOG
    )
    parser.add_argument("--items", type=Path, nargs="+", default=[], metavar="FILE", help="label these snapshots too")
    add_page_options(parser)


def run(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, then print the number of labels and the next command. Raises `UserError`."""
    check_flask()
    from desk.page import label, say_what_comes_next  # noqa: PLC0415  # it needs flask

    given = read_items(options.items) if options.items else []
    with Console(stderr=True).status(f"reading the stack {options.stack}"):
        stack = open_stack(options)
        zone = ZoneInfo(stack.parameter("TimeZone"))
        in_ledger, in_snapshots = known_items(stack.ledger, stack.client("s3"), stack.resource("Bucket"))
        store = StackLabels(stack.labels, stack.ledger, in_ledger, zone)
    dynamodb, table = stack.session.resource("dynamodb"), stack.resource("ItemsTable")
    steering = Steering(Rules(dynamodb, table), WishStore(dynamodb, table))
    items = merged([*given, *in_snapshots, *in_ledger])
    if not items:
        raise UserError(f"stack {options.stack} knows no items yet: wait for its first crawl, or name --items")
    where = f"stack {options.stack}"
    journal = _state_folder() / f"{options.stack}-{stack.session.region_name}.desk.sqlite"
    label(options, items, lambda: store, journal, where, steering)
    dataset = f"python -m ops dataset --stack {shlex.quote(options.stack)} --output labels.jsonl && "
    say_what_comes_next(store, where, "labels.jsonl", dataset)


def _state_folder() -> Path:
    """Return the folder for the journals of stacks, following the XDG base directories."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state else Path.home() / ".local" / "state") / "osusume"
