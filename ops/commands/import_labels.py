"""`python -m ops import-labels`: labels given elsewhere into a deployed stack."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import Progress

from model.label_import import import_labels, read_labels
from ops.commands import Commands, add_stack_options
from ops.stack import open_stack
from osusume.times import names_its_zone

_EPILOG = """\
FILE is a training file or an annotation file, such as .osusume/labels.jsonl, which 'python -m local run' writes: JSONL
of {"item": {...}, "is_interested": 0 or 1, "created_at": "YYYY-MM-DD HH:MM:SS+09:00"}. It may be in UTF-8, UTF-16 or
CP932, with any line ends, or one JSON array. A time without an offset is in --time-zone; one ahead of now counts as
now.

An item stands in a file once. Of its label there and the one in the stack the later counts, so that importing a file
twice changes nothing, and an import that was cut off is completed by another. A label without created_at gives way to
any other, and a press in Slack stands against whatever was imported before it. The whole file is checked before
anything is stored. The items come into the ledger: none of them is ever posted as new. Since it takes nothing away, it
needs no --yes.

examples:
  python -m ops import-labels .osusume/labels.jsonl --stack osusume
  python -m ops import-labels old.jsonl --stack osusume --region ap-northeast-1"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "import-labels",
        help="bring labels of a training file into the stack",
        description="Bring the labels of a training file, and their items, into a deployed stack.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the training file")
    parser.add_argument(
        "--time-zone", type=ZoneInfo, metavar="ZONE", help="of times without an offset (the stack's own)"
    )
    add_stack_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read the whole file, then store it with a progress bar on standard error, and print what was stored.

    Raises `UserError`.
    """
    stack = open_stack(options)
    time_zone = ZoneInfo(stack.parameter("TimeZone"))
    assumed = options.time_zone or time_zone
    given = read_labels(options.file, assumed)
    times = [each.example.created_at for each in given if each.example.created_at is not None]
    if nowhere := sum(not names_its_zone(time) for time in times):
        print(f"{nowhere} times have no offset: they are taken for times in {assumed}; say --time-zone for another one")
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("storing labels", total=len(given))
        imported = import_labels(
            given,
            stack.labels,
            stack.ledger,
            time_zone=time_zone,
            now=time.time(),
            advance=lambda: progress.advance(bar),
        )
    print(
        f"{stack.name}: {imported.stored} labels stored, {imported.kept} left as they stood,"
        f" {imported.new_items} items new to the ledger"
    )
