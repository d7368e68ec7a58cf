"""The journal: what the desk must remember besides the labels, in a file beside them.

It holds the token and the port of the page, so that a page left open goes on when the desk is started again, and what
was done in which order, so that it can be undone. It is appended to, a line a change. The labels themselves are true
where the two disagree: what the journal says was done and the labels do not show is forgotten when it is opened.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from osusume.errors import UserError

Mark = Mapping[str, object]
"""A label without its item, as a store keeps it; what it holds besides `is_interested` is the store's own matter."""


@dataclass(frozen=True, slots=True)
class Action:
    """One key pressed at one work.

    `action_id` is the page's name for it, so that a request sent twice counts once. `labelled` changes the label from
    `before` to `after`; `kept` looks at a label again and leaves it; `skipped` leaves the work for later.
    """

    action_id: str
    did: Literal["labelled", "kept", "skipped"]
    item_id: str
    before: Mark | None = None
    after: Mark | None = None


class Journal:
    """The open journal: one process has it at a time.

    `token` is the page's, `port` the one it had last (None before the first time). `actions` are those that stand,
    oldest first, by their id, and `undone` the ids of those that were taken back. `returned` are the items whose
    actions were undone and that nothing was done to since.
    """

    def __init__(self, path: Path, new_token: Callable[[], str]) -> None:
        """Open the journal at `path`, which is made where there is none.

        Raises `UserError` where another desk has it open, and where it cannot be read or written.
        """
        self.path = path
        self.actions: dict[str, Action] = {}
        self.returned: list[str] = []
        self.undone: set[str] = set()
        self.token = ""
        self.port: int | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # only its owner reads it, since the token opens the page
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+b", buffering=0)
        except OSError as error:
            raise UserError(f"{path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._read()
            self._file.close()
            raise UserError(
                f"these labels are open at another desk, {self.address}: label there, or end it with Ctrl-C first"
            ) from error
        self._ends_in_a_line = self._read()
        if not self.token:
            self.token = new_token()
            self._append({"token": self.token})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def serve_at(self, port: int) -> None:
        """Remember the page's port."""
        if port != self.port:
            self.port = port
            self._append({"port": port})

    def note(self, action: Action) -> None:
        """Remember an action, on the disk when this returns."""
        self._append({"action": asdict(action)})
        self._take(action)

    def take_back(self, action: Action) -> None:
        """Remember that an action was undone."""
        self._append({"undone": action.action_id})
        self._undo(action.action_id)

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

    def _read(self) -> bool:
        """Take in what the file holds, passing over what is no line of a journal; return whether it ends in a line."""
        self._file.seek(0)
        content = self._file.read()
        for line in content.split(b"\n"):
            try:
                self._take_line(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue  # a line that a crash cut off; without it an action cannot be undone, and no label is lost
        return not content or content.endswith(b"\n")

    def _take_line(self, line: dict[str, Any]) -> None:
        if "token" in line:
            self.token = str(line["token"])
        elif "port" in line:
            self.port = int(line["port"])
        elif "action" in line:
            self._take(Action(**line["action"]))
        elif "undone" in line:
            self._undo(line["undone"])

    def _take(self, action: Action) -> None:
        self.actions.pop(action.action_id, None)
        self.actions[action.action_id] = action
        self.returned = [item_id for item_id in self.returned if item_id != action.item_id]

    def _undo(self, action_id: str) -> None:
        action = self.actions.pop(action_id, None)
        if action is not None:
            self.undone.add(action_id)
            self.returned = [*(item_id for item_id in self.returned if item_id != action.item_id), action.item_id]

    def _append(self, line: dict[str, Any]) -> None:
        """Append a line, on the disk when this returns. Raises `OSError`, perhaps with half of it written."""
        left = json.dumps(line).encode() + b"\n"
        if not self._ends_in_a_line:
            left = b"\n" + left
        self._ends_in_a_line = False
        while left:
            left = left[self._file.write(left) :]
        self._ends_in_a_line = True
        os.fsync(self._file.fileno())
