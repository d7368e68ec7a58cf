"""`python -m model dataset`: merges training files into one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from model.commands import Commands
from osusume.errors import UserError

if TYPE_CHECKING:
    from model.learning.examples import Example

FILES = """\
An annotation file is a training file: JSONL of {"item": {...}, "is_interested": 0 or 1, "created_at": "..."}. If
several files label an item, the label with the latest created_at counts; if those are equal, the file named last wins.
A file may be UTF-8, UTF-16 or CP932, have any line ends, or be one JSON array. A created_at without an offset is in
--time-zone; a stack's labels are written with theirs."""

_EPILOG = f"""\
{FILES}
To write the labels of a deployed stack, use 'python -m ops dataset'.

example:
  python -m model dataset --annotations old.jsonl new.jsonl --output labels.jsonl --csv autotrain.csv

exit status: 0, or 1 when there is nothing to read or no place to write"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "dataset",
        help="merge training files",
        description="Merge training files into one, oldest label first.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_file_options(parser)
    parser.set_defaults(run=run)


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `read_annotations` and `write_merged` read."""
    parser.add_argument("--output", type=Path, required=True, metavar="F.jsonl", help="the training file to write")
    parser.add_argument("--csv", type=Path, metavar="F.csv", help="also write text,target for AutoTrain")
    parser.add_argument("--annotations", type=Path, nargs="+", default=[], metavar="F.jsonl", help="read these files")
    zone = "of times without an offset (Asia/Tokyo)"
    parser.add_argument("--time-zone", type=ZoneInfo, default="Asia/Tokyo", metavar="ZONE", help=zone)


def run(options: argparse.Namespace) -> None:
    """Read, merge and write the files, and print what was written."""
    if not options.annotations:
        raise UserError(
            "there is nothing to read: name files with --annotations, or read a stack with 'python -m ops dataset'"
        )
    write_merged(options, read_annotations(options))


def read_annotations(options: argparse.Namespace) -> dict[str, list[Example]]:
    """Return the examples of the files that `options` name, by file."""
    from model.dataset import read_examples  # noqa: PLC0415  # --help needs no packages

    return {str(path): read_examples(path, options.time_zone) for path in options.annotations}


def write_merged(options: argparse.Namespace, groups: Mapping[str, Sequence[Example]]) -> None:
    """Merge groups of examples, write them to the files of `options`, and print how many came from each group."""
    from model.dataset import merge, write_csv, write_examples  # noqa: PLC0415

    merged = merge(groups, options.time_zone)
    if not merged.examples:
        raise UserError("there are no labels yet: press a button in Slack, or annotate some items")
    write_examples(options.output, merged.examples)
    if options.csv:
        write_csv(options.csv, merged.examples)
    liked = sum(example.is_interested for example in merged.examples)
    print(f"{options.output}: {len(merged.examples)} labels, {liked} interested, {len(merged.examples) - liked} not")
    for name, read in groups.items():
        print(f"  {name}: {len(read)} read, {merged.kept[name]} kept")
