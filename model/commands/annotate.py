"""`python -m model annotate`: the desk, a page at which works are labelled with two keys."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import threading
from contextlib import suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from model.commands import Commands

if TYPE_CHECKING:
    from model.annotate.journal import Journal
    from model.annotate.store import LabelStore
    from osusume.items import Item

_TIME_ZONE = "Asia/Tokyo"

_DESCRIPTION = """\
Label a stack of works: one at a time on a page in your browser, 1 or the right arrow for interested, 0 or the left
arrow for not, s to leave a work for later, u to undo. Each key is on the disk before the next work is shown. Come back
whenever you like, with the same command: it goes on where you stopped."""

_EPILOG = """\
Snapshots are the crawler's JSON files; a file whose name ends in .jsonl is a training file, of which the works are
taken. Beside the labels stands FILE.desk, by which a page left open goes on and u works after a restart.

With --stack the works are those that the deployed stack knows, and the labels go to its table. It may be one on this
machine: AWS_ENDPOINT_URL is followed.

examples:
  python -m model annotate --items snapshot.json --labels labels.jsonl
  python -m model annotate --stack osusume --region ap-northeast-1

exit status: 0 after Ctrl-C, or 1 when there is nothing to label or no place to write"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "annotate",
        help="label works at a page on this machine",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=Path, nargs="+", default=[], metavar="FILE", help="snapshots to label")
    parser.add_argument("--labels", type=Path, metavar="FILE.jsonl", help="the training file to write to")
    parser.add_argument("--stack", metavar="NAME", help="label the works of this deployed stack, into its table")
    parser.add_argument("--region", metavar="REGION", help="of the stack (your AWS configuration's)")
    parser.add_argument("--profile", metavar="NAME", help="of your AWS configuration")
    parser.add_argument(
        "--time-zone",
        type=_time_zone,
        metavar="ZONE",
        help="yours, for the times of labels in a file (Asia/Tokyo); a stack has its own",
    )
    parser.add_argument("--port", type=_port, metavar="N", help="on 127.0.0.1 (the last time's, or a free one)")
    parser.add_argument("--no-browser", action="store_true", help="don't open the page in the browser")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C, then print what was labelled and what comes next."""
    from model.dataset import DatasetError  # noqa: PLC0415  # --help needs nothing that must be installed

    if bool(options.stack) == bool(options.labels):
        raise DatasetError("name where the labels go: a file with --labels, or a deployed stack with --stack")
    if options.labels and not options.items:
        raise DatasetError("there is nothing to label: name snapshots with --items")
    if find_spec("flask") is None:
        raise DatasetError("flask is not installed: run 'pip install -r requirements/local.txt'")
    if options.stack:
        _label_stack(options)
    else:
        _label_file(options)


def _label_file(options: argparse.Namespace) -> None:
    from model.annotate.items import read_items  # noqa: PLC0415
    from model.annotate.store import LabelFile  # noqa: PLC0415

    items = read_items(options.items)
    zone = options.time_zone or ZoneInfo(_TIME_ZONE)
    path: Path = options.labels.resolve()
    with _journal(path.with_name(path.name + ".desk")) as journal:
        store = LabelFile(path, lambda: datetime.now(zone))
        if store.notice:
            print(f"notice: {store.notice}", file=sys.stderr)
        _serve(options, items, store, journal, str(options.labels))
    _say_what_comes_next(store, str(options.labels), str(options.labels))


def _label_stack(options: argparse.Namespace) -> None:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from model.annotate.items import merged, read_items  # noqa: PLC0415
    from model.annotate.stack import StackLabels, known_items  # noqa: PLC0415
    from model.dataset import DatasetError  # noqa: PLC0415
    from osusume_ops.errors import OpsError  # noqa: PLC0415
    from osusume_ops.stack import open_stack  # noqa: PLC0415

    given = read_items(options.items) if options.items else []
    try:
        with Console(stderr=True).status(f"reading the stack {options.stack}"):
            stack = open_stack(options)
            zone = ZoneInfo(stack.parameter("TimeZone"))
            in_ledger, in_snapshots = known_items(stack.ledger, stack.client("s3"), stack.resource("Bucket"))
            store = StackLabels(stack.labels, stack.ledger, in_ledger, zone)
    except OpsError as error:
        raise DatasetError(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise DatasetError(f"stack {options.stack} cannot be read: {error}; see --region and --profile") from error
    items = merged([*given, *in_snapshots, *in_ledger])
    if not items:
        raise DatasetError(f"stack {options.stack} knows no items yet: wait for its first crawl, or name --items")
    where = f"stack {options.stack}"
    with _journal(_state_folder() / f"{options.stack}-{stack.session.region_name}.desk") as journal:
        _serve(options, items, store, journal, where)
    dataset = f"python -m model dataset --stack {shlex.quote(options.stack)} --output labels.jsonl && "
    _say_what_comes_next(store, where, "labels.jsonl", dataset)


def _state_folder() -> Path:
    """Return the folder for what the desk remembers of a stack, as the XDG base directories have it."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state else Path.home() / ".local" / "state") / "osusume"


def _journal(path: Path) -> Journal:
    from local.guard import new_token  # noqa: PLC0415
    from model.annotate.journal import Journal  # noqa: PLC0415

    return Journal(path, new_token)


def _serve(options: argparse.Namespace, items: list[Item], store: LabelStore, journal: Journal, where: str) -> None:
    """Serve the page until Ctrl-C or the request to end."""
    from local.opening import open_in_browser  # noqa: PLC0415
    from model.annotate.desk import Desk  # noqa: PLC0415
    from model.annotate.learner import Learner  # noqa: PLC0415
    from model.annotate.server import serve_desk  # noqa: PLC0415

    learner = Learner()
    desk = Desk(items, store, journal, learner)
    learner.start(desk.all_items)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with serve_desk(desk, journal, where, options.port) as address:
        print(f"{len(items)} works, {len(store.marks)} labels: {address}\nCtrl-C ends it.", flush=True)
        if not options.no_browser:
            open_in_browser(address)
        with suppress(KeyboardInterrupt):
            ended.wait()


def _say_what_comes_next(store: LabelStore, where: str, data: str, before: str = "") -> None:
    """Print how many labels there are, and the command that trains on them; `before` is what must be run before it."""
    from model.dataset import LEAST_LABELS  # noqa: PLC0415

    liked = sum(mark["is_interested"] == 1 for mark in store.marks.values())
    others = len(store.marks) - liked
    print(f"\n{where}: {liked + others} labels, {liked} interested, {others} not")
    if liked and others and liked + others >= LEAST_LABELS:
        print(f"next: {before}python -m model train --data {shlex.quote(data)} --output model/package")
    else:
        print(f"training takes {LEAST_LABELS} labels, with some of both kinds: the same command goes on here")


def _time_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(f"{name!r} is no time zone such as Asia/Tokyo") from error


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError("it must be 1 to 65535")
    return number
