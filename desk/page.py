"""Opening the desk's page, for labels in a file and in a deployed stack."""

from __future__ import annotations

import argparse
import shlex
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from desk.desk import Desk
from desk.journal import Journal
from desk.learning_thread import Learner
from desk.server import serve_desk
from desk.steering import Steering
from desk.store import LabelStore
from model.learning.examples import LEAST_LABELS
from osusume.items import Item
from web.browser import open_in_browser
from web.guard import new_token


def label(
    options: argparse.Namespace,
    items: Sequence[Item],
    open_store: Callable[[], LabelStore],
    journal_path: Path,
    where: str,
    steering: Steering | None = None,
) -> LabelStore:
    """Serve the page until Ctrl-C or SIGTERM, and return the store with the labels.

    `options` has `port` and `no_browser`. The store is opened only after the journal, which excludes other desks.
    `where` tells the owner where the labels are, `steering` is a deployed stack's.
    """
    with Journal(journal_path, new_token) as journal:
        store = open_store()
        learner = Learner()
        desk = Desk(items, store, journal, learner)
        learner.start(desk.all_items)
        ended = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        with serve_desk(desk, journal, where, options.port, steering) as address:
            print(f"{len(items)} works, {len(store.marks)} labels: {address}\nCtrl-C ends it.", flush=True)
            if not options.no_browser:
                open_in_browser(address)
            with suppress(KeyboardInterrupt):
                ended.wait()
    return store


def say_what_comes_next(store: LabelStore, where: str, data: str, before: str = "") -> None:
    """Print the number of labels and the command that trains on them, after the command `before`."""
    verdicts = [mark["is_interested"] for mark in store.marks.values()]
    liked, others = verdicts.count(1), verdicts.count(0)
    print(f"\n{where}: {liked + others} labels, {liked} interested, {others} not")
    if liked and others and liked + others >= LEAST_LABELS:
        print(f"next: {before}python -m model train --data {shlex.quote(data)} --output model/package")
    else:
        print(f"training needs {LEAST_LABELS} labels, some of each kind: run the same command again to resume")
