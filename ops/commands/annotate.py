"""`python -m ops annotate`: the works of the stack, labelled at the desk's page."""

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
from ops.commands import Commands, add_stack_options
from ops.stack import open_stack
from osusume.errors import UserError

_DESCRIPTION = """\
Label works that the stack knows, at the page of 'python -m desk'; its --help tells the keys. The labels go to the
stack's table."""

_EPILOG = """\
example:
  python -m ops annotate --stack osusume --region ap-northeast-1"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "annotate",
        help="label works of the stack at a page on this machine",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=Path, nargs="+", default=[], metavar="FILE", help="label these snapshots too")
    add_stack_options(parser)
    add_page_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, then print what was labelled and what comes next. Raises `UserError`."""
    check_flask()
    from desk.page import label, say_what_comes_next  # noqa: PLC0415  # it needs flask

    given = read_items(options.items) if options.items else []
    with Console(stderr=True).status(f"reading the stack {options.stack}"):
        stack = open_stack(options)
        zone = ZoneInfo(stack.parameter("TimeZone"))
        in_ledger, in_snapshots = known_items(stack.ledger, stack.client("s3"), stack.resource("Bucket"))
        store = StackLabels(stack.labels, stack.ledger, in_ledger, zone)
    items = merged([*given, *in_snapshots, *in_ledger])
    if not items:
        raise UserError(f"stack {options.stack} knows no items yet: wait for its first crawl, or name --items")
    where = f"stack {options.stack}"
    memory = _state_folder() / f"{options.stack}-{stack.session.region_name}.desk.sqlite"
    label(options, items, lambda: store, memory, where)
    dataset = f"python -m ops dataset --stack {shlex.quote(options.stack)} --output labels.jsonl && "
    say_what_comes_next(store, where, "labels.jsonl", dataset)


def _state_folder() -> Path:
    """Return the folder for what the desk remembers of a stack, as the XDG base directories have it."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state else Path.home() / ".local" / "state") / "osusume"
