"""Desks for the tests: one on files, and the process of a command that serves one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import requests
from conftest import ROOT

from desk.desk import Desk
from desk.journal import Journal
from desk.learning_thread import Learner
from desk.store import LabelFile
from osusume.items import Item

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=ZoneInfo("Asia/Tokyo"))


@contextmanager
def opened(folder: Path, items: Sequence[Item]) -> Iterator[tuple[Desk, Journal]]:
    """Yield a desk on `labels.jsonl` in a folder, and its journal."""
    with Journal(folder / "labels.jsonl.desk.sqlite", lambda: "token") as journal:
        yield Desk(items, LabelFile(folder / "labels.jsonl", lambda: NOW), journal, Learner()), journal


class DeskProcess:
    """A running `python -m …` that serves a desk; `started` is the line that it printed with its `address`."""

    def __init__(self, *command: str, **environment: str) -> None:
        search_path = os.pathsep.join(str(ROOT / folder) for folder in (".", "functions", "layers/common"))
        self.process: subprocess.Popen[str] = subprocess.Popen(  # noqa: S603  # the project's own command
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": search_path, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.started = self.process.stdout.readline()
        self.address = self.started.split()[-1]

    def post(self, path: str, **body: object) -> None:
        """Send a request of the page; raises an error if it is refused."""
        requests.post(self.address + path, json=body, timeout=20).raise_for_status()

    def end(self, how: signal.Signals = signal.SIGTERM) -> str:
        """End it and return what else it printed."""
        self.process.send_signal(how)
        return self.process.communicate(timeout=20)[0]
