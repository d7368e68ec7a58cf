"""`python -m ops import-labels`: bring labels from a file into a deployed stack."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import Progress

from desk.options import time_zone
from model.label_import import import_labels, read_labels
from ops.commands import Commands, add_command
from ops.stack import open_stack
from osusume.times import names_its_zone

_EPILOG = """\
FILE is a training file or an annotation file, such as .osusume/labels.jsonl, which 'python -m local run' writes: JSONL
of {"item": {...}, "is_interested": 0 or 1, "created_at": "YYYY-MM-DD HH:MM:SS+09:00"}. It may be in UTF-8, UTF-16 or
CP932, with any line ends, or one JSON array. A time without an offset is in --time-zone; a time in the future counts as
now.

An item may appear only once in a file. The later of its labels in the file and in the stack counts, so importing a file
twice changes nothing, and running the command again completes an interrupted import. A label without created_at never
replaces another one, and a press in Slack outranks an imported label from before it. The whole file is checked before
anything is stored. The items are added to the ledger, so none of them is posted as new. The command removes nothing,
so it needs no --yes.

examples:
  python -m ops import-labels .osusume/labels.jsonl --stack osusume
  python -m ops import-labels old.jsonl --stack osusume --region ap-northeast-1"""


def add(commands: Commands) -> None:
    """Add the command."""
    what = "bring the labels of a training file, and their items, into the stack"
    parser = add_command(commands, "import-labels", run, what, _EPILOG)
    parser.add_argument("file", type=Path, metavar="FILE", help="the training file")
    parser.add_argument(
        "--time-zone", type=time_zone, metavar="ZONE", help="of times without an offset (default: the stack's)"
    )


def run(options: argparse.Namespace) -> None:
    """Read the whole file, then store it with a progress bar on standard error, and print what was stored.

    Raises `UserError`.
    """
    stack = open_stack(options)
    own_zone = ZoneInfo(stack.parameter("TimeZone"))
    assumed = options.time_zone or own_zone
    given = read_labels(options.file, assumed)
    times = [each.example.created_at for each in given if each.example.created_at is not None]
    if bare := sum(not names_its_zone(time) for time in times):
        print(f"{bare} times have no offset: they are read as times in {assumed}; name another zone with --time-zone")
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("storing labels", total=len(given))
        imported = import_labels(
            given,
            stack.labels,
            stack.ledger,
            time_zone=own_zone,
            now=time.time(),
            advance=lambda: progress.advance(bar),
        )
    print(
        f"{stack.name}: {imported.stored} labels stored, {imported.kept} unchanged,"
        f" {imported.new_items} items new to the ledger"
    )
