"""The journal: what the desk must remember besides the labels, in a SQLite database beside them.

It holds the page's token and port, so that an open page keeps working after a restart, and the actions in their order,
so that they can be undone. Where the journal and the labels disagree, the labels are right: an action that they do
not show is dropped when the desk starts.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

from osusume.errors import UserError

Mark = Mapping[str, object]
"""A label without its item, as a store keeps it. Only the store reads anything but `is_interested`."""


@dataclass(frozen=True, slots=True)
class Action:
    """One key press for one work.

    The page chooses `action_id`, so that a request sent twice counts once. `labelled` changes the label from `before`
    to `after`; `kept` confirms the existing label; `skipped` leaves the work for later.
    """

    action_id: str
    did: Literal["labelled", "kept", "skipped"]
    item_id: str
    before: Mark | None = None
    after: Mark | None = None


class Journal:
    """The open journal. Only one process can have it open.

    `token` is the page's, `port` its previous one (None the first time). `actions` are those in effect, oldest first,
    by their id; `undone` are the ids of the undone ones. `returned` are the items whose last action was undone.
    """

    def __init__(self, path: Path, new_token: Callable[[], str]) -> None:
        """Open the journal at `path`, and create it if it does not exist.

        Raises `UserError` if another desk has it open, or if it cannot be read or written.
        """
        self.path = path
        self.actions: dict[str, Action] = {}
        self.returned: list[str] = []
        self.undone: set[str] = set()
        self.token = ""
        self.port: int | None = None
        try:
            with ExitStack() as opened:
                path.parent.mkdir(parents=True, exist_ok=True)
                # only the owner may read it, because the token opens the page
                file = opened.enter_context(os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb"))
                is_taken = _is_taken(file)
                connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                self._database = opened.enter_context(closing(connection))
                self._database.execute("CREATE TABLE IF NOT EXISTS changes (change TEXT NOT NULL)")
                for (change,) in self._database.execute("SELECT change FROM changes ORDER BY rowid"):
                    self._apply(json.loads(change))
                if is_taken:
                    raise UserError(
                        f"these labels are open at another desk, {self.address}:"
                        " label there, or end it with Ctrl-C first"
                    )
                if not self.token:
                    self._store({"token": new_token()})
                self._opened = opened.pop_all()
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"{path} cannot be used: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def serve_at(self, port: int) -> None:
        """Store the page's port."""
        if port != self.port:
            self._store({"port": port})

    def note(self, action: Action) -> None:
        """Store an action. It is on the disk when this returns. Raises `sqlite3.Error`."""
        self._store({"action": asdict(action)})

    def take_back(self, action: Action) -> None:
        """Store that an action was undone. Raises `sqlite3.Error`."""
        self._store({"undone": action.action_id})

    def forget_all_but(self, standing: Mapping[str, Mark]) -> None:
        """Drop actions whose label is gone or has changed; `standing` are the labels now."""
        kept: dict[str, Action] = {}
        marks: dict[str, Mark | None] = dict(standing)
        for action in reversed(self.actions.values()):
            if action.did == "labelled":
                if marks.get(action.item_id) != action.after:
                    continue
                marks[action.item_id] = action.before
            kept[action.action_id] = action
        self.actions = dict(reversed(kept.items()))

    def _store(self, change: dict[str, Any]) -> None:
        """Store a change in a transaction of its own, then apply it."""
        # JSON escapes half a surrogate pair, which SQLite cannot store as text
        self._database.execute("INSERT INTO changes VALUES (?)", [json.dumps(change)])
        self._apply(change)

    def _apply(self, change: dict[str, Any]) -> None:
        if "token" in change:
            self.token = change["token"]
        elif "port" in change:
            self.port = change["port"]
        elif "action" in change:
            action = Action(**change["action"])
            self.actions.pop(action.action_id, None)
            self.actions[action.action_id] = action
            self.returned = [item_id for item_id in self.returned if item_id != action.item_id]
        elif (undone := self.actions.pop(change["undone"], None)) is not None:
            self.undone.add(undone.action_id)
            self.returned = [*(item_id for item_id in self.returned if item_id != undone.item_id), undone.item_id]


def _is_taken(file: BinaryIO) -> bool:
    """Lock a file until it is closed, and return whether another desk has locked it already."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
