"""`python -m model dataset`: a training file from a deployed stack, or from annotation files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from model.commands import Commands

_EPILOG = """\
An annotation file is a training file: JSONL of {"item": {...}, "is_interested": 0 or 1, "created_at": "..."}. Where an
item is labelled in more than one file, the label with the later created_at counts; of equally late ones the one of the
file named later.
A file may be in UTF-8, UTF-16 or CP932, with any line ends, or one JSON array. A created_at without an offset is in
--time-zone; what is written has its offset.
The stack may be one on this machine: AWS_ENDPOINT_URL is followed.

examples:
  python -m model dataset --stack osusume --output labels.jsonl
  python -m model dataset --stack osusume --annotations old.jsonl --output labels.jsonl --csv autotrain.csv

exit status: 0, or 1 when there is nothing to read or no place to write"""

_SHOWN_IDS = 5


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "dataset",
        help="write labels and their items to a training file",
        description="Write labels and their items to a training file, oldest label first.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, required=True, metavar="F.jsonl", help="the training file to write")
    parser.add_argument("--csv", type=Path, metavar="F.csv", help="write text,target for AutoTrain too")
    parser.add_argument("--stack", metavar="NAME", help="read the tables of this deployed stack")
    parser.add_argument("--region", metavar="REGION", help="of the stack (your AWS configuration's)")
    parser.add_argument("--profile", metavar="NAME", help="of your AWS configuration")
    parser.add_argument("--annotations", type=Path, nargs="+", default=[], metavar="F.jsonl", help="read these files")
    zone = "of times without an offset (Asia/Tokyo)"
    parser.add_argument("--time-zone", type=ZoneInfo, default="Asia/Tokyo", metavar="ZONE", help=zone)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read, merge and write, with a progress bar on standard error, and print what was written."""
    from rich.console import Console  # noqa: PLC0415  # --help works where neither this nor boto3 is installed
    from rich.progress import Progress  # noqa: PLC0415

    from model.dataset import DatasetError, merge, read_examples, write_csv, write_examples  # noqa: PLC0415

    if not options.stack and not options.annotations:
        raise DatasetError("there is nothing to read: name a stack with --stack, or files with --annotations")
    zone = options.time_zone
    groups = {str(path): read_examples(path, zone) for path in options.annotations}
    unknown: list[str] = []
    if options.stack:
        from model.deployed import read_stack  # noqa: PLC0415

        known = {example.item.item_id: example.item for examples in groups.values() for example in examples}
        with Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task(f"reading {options.stack}", total=1.0)
            learnt = read_stack(
                options.stack,
                region=options.region,
                profile=options.profile,
                known=known,
                advance=lambda share: progress.update(bar, completed=share),
            )
        groups = {f"stack {options.stack}": learnt.examples, **groups}
        unknown = learnt.unknown
    merged = merge(groups, zone)
    if unknown:
        named = ", ".join(unknown[:_SHOWN_IDS]) + (", …" if len(unknown) > _SHOWN_IDS else "")
        print(
            f"warning: {len(unknown)} labels are left out, since the ledger does not know their items: {named}",
            file=sys.stderr,
        )
    if not merged.examples:
        raise DatasetError("there are no labels yet: press a button in Slack, or annotate some items")
    write_examples(options.output, merged.examples)
    if options.csv:
        write_csv(options.csv, merged.examples)
    liked = sum(example.is_interested for example in merged.examples)
    print(f"{options.output}: {len(merged.examples)} labels, {liked} interested, {len(merged.examples) - liked} not")
    for name, read in groups.items():
        print(f"  {name}: {len(read)} read, {merged.kept[name]} kept")
