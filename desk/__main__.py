"""`python -m desk`: a page at which works are labelled with two keys."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from desk.options import add_page_options, check_flask
from model.commands import exit_status

_DESCRIPTION = """\
Label a stack of works: one at a time on a page in your browser, 1 or the right arrow for interested, 0 or the left
arrow for not, s to leave a work for later, u to undo. Each key is on the disk before the next work is shown. Come back
whenever you like, with the same command: it resumes where you stopped."""

_EPILOG = """\
Snapshots are the crawler's JSON files; a file whose name ends in .jsonl is a training file, of which the works are
taken. FILE.desk, beside the labels, keeps an open page working and lets u undo after the desk was restarted.

The works of a deployed stack are labelled with 'python -m ops annotate'.

example:
  python -m desk --items snapshot.json --labels labels.jsonl

exit status: 0 after Ctrl-C, 1 when there is nothing to label or no place to write, 2 for a wrong command line"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until Ctrl-C, then print what was labelled and what comes next; return the exit status."""
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
        type=_time_zone,
        default="Asia/Tokyo",
        metavar="ZONE",
        help="yours, for the times of the labels (default: %(default)s)",
    )
    add_page_options(parser)
    options = parser.parse_args(arguments)
    return exit_status(lambda: _label_file(options))


def _label_file(options: argparse.Namespace) -> None:
    check_flask()
    from desk.items import read_items  # noqa: PLC0415  # --help needs nothing that must be installed
    from desk.page import label, say_what_comes_next  # noqa: PLC0415  # it needs flask
    from desk.store import LabelFile  # noqa: PLC0415  # --help needs nothing that must be installed

    items = read_items(options.items)
    path: Path = options.labels.resolve()

    def open_file() -> LabelFile:
        store = LabelFile(path, lambda: datetime.now(options.time_zone))
        if store.notice:
            print(f"notice: {store.notice}", file=sys.stderr)
        return store

    store = label(options, items, open_file, path.with_name(path.name + ".desk"), str(options.labels))
    say_what_comes_next(store, str(options.labels), str(options.labels))


def _time_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{name!r} is no time zone such as Asia/Tokyo") from error


if __name__ == "__main__":
    sys.exit(main())
