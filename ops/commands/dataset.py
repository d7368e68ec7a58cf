"""`python -m ops dataset`: the labels of the stack as a training file."""

from __future__ import annotations

import argparse
import sys
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import Progress

from model.commands.dataset import FILES, add_file_options, read_annotations, write_merged
from model.stored_labels import read_tables
from ops.commands import Commands, add_command
from ops.stack import open_stack

_EPILOG = f"""\
{FILES}

examples:
  python -m ops dataset --stack osusume --output labels.jsonl
  python -m ops dataset --stack osusume --annotations old.jsonl --output labels.jsonl --csv autotrain.csv"""

_SHOWN_IDS = 5


def add(commands: Commands) -> None:
    """Add the command."""
    what = "write the stack's labels and their items to a training file, oldest label first"
    add_file_options(add_command(commands, "dataset", run, what, _EPILOG))


def run(options: argparse.Namespace) -> None:
    """Read, merge and write with a progress bar, and print what was written. Raises `UserError`."""
    groups = read_annotations(options)
    known = {example.item.item_id: example.item for examples in groups.values() for example in examples}
    stack = open_stack(options)
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"reading {options.stack}", total=1.0)
        stored = read_tables(
            stack.labels.all(),
            stack.ledger,
            known,
            lambda share: progress.update(bar, completed=share),
            ZoneInfo(stack.parameter("TimeZone")),
        )
    if stored.unknown:
        named = ", ".join(stored.unknown[:_SHOWN_IDS]) + (", …" if len(stored.unknown) > _SHOWN_IDS else "")
        print(
            f"warning: {len(stored.unknown)} labels are left out, because their items are not in the ledger: {named}",
            file=sys.stderr,
        )
    write_merged(options, {f"stack {options.stack}": stored.examples, **groups})
