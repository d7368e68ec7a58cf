"""`python -m desk`: a page for labelling works with two keys."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from desk.options import add_page_options, check_flask, time_zone
from model.commands import exit_status

_DESCRIPTION = """\
Label works one at a time on a page in your browser: 1 or the right arrow for interested, 0 or the left arrow for not,
s to leave a work for later, u to undo. Each label is on the disk before the next work is shown. Run the same command
again to resume where you stopped."""

_EPILOG = """\
Snapshots are the crawler's JSON files. A file whose name ends in .jsonl is read as a training file, and its works are
labelled. FILE.jsonl.desk.sqlite, beside the labels, keeps an open page and undo working after a restart.

To label the works of a deployed stack, use 'python -m ops annotate'.

example:
  python -m desk --items snapshot.json --labels labels.jsonl

exit status: 0 after Ctrl-C, 1 if there is nothing to label or no place to write, 2 for a wrong command line"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until Ctrl-C, print the number of labels and the next command, and return the exit status."""
    options = command_line().parse_args(arguments)
    return exit_status(lambda: _label_file(options))


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m desk",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=Path, nargs="+", required=True, metavar="FILE", help="snapshots to label")
    parser.add_argument(
        "--labels", type=Path, required=True, metavar="FILE.jsonl", help="the training file to write to"
    )
    parser.add_argument(
        "--time-zone",
        type=time_zone,
        default="Asia/Tokyo",
        metavar="ZONE",
        help="your time zone, for the times of the labels (default: %(default)s)",
    )
    add_page_options(parser)
    return parser


def _label_file(options: argparse.Namespace) -> None:
    check_flask()
    from desk.items import read_items  # noqa: PLC0415  # --help works without installed packages
    from desk.page import label, say_what_comes_next  # noqa: PLC0415  # it needs flask
    from desk.store import LabelFile  # noqa: PLC0415  # --help works without installed packages

    items = read_items(options.items)
    path: Path = options.labels.resolve()

    store = label(
        options,
        items,
        lambda: LabelFile(path, lambda: datetime.now(options.time_zone)),
        path.with_name(path.name + ".desk.sqlite"),
        str(options.labels),
    )
    say_what_comes_next(store, str(options.labels), str(options.labels))


if __name__ == "__main__":
    sys.exit(main())
