"""What a run keeps in its folder for the next one: one SQLite file, written to before each change is answered.

A change is a transaction of its own, so that a process may be killed at any moment. The file belongs to one process at
a time, and its owner alone may read it. What is in it: for each bucket, table and queue of events, and for the channel,
a value a key.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORMAT = 1
"""The form of the file that this code reads and writes, as the file's `user_version`."""

_FILE = "state.sqlite3"


class StateError(RuntimeError):
    """Raised when a folder cannot be used; the message names it and the remedy."""


class State:
    """Values by store and key, safe to use from several threads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def put(self, store: str, key: str, value: bytes) -> None:
        """Keep `value` under `key`, in place of what was there; it is on the disk when this returns."""
        with self._lock, self._connection:
            self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (store, key, value))

    def remove(self, store: str, key: str) -> None:
        """Forget what is under `key`, if anything is."""
        with self._lock, self._connection:
            self._connection.execute("DELETE FROM kept WHERE store = ? AND key = ?", (store, key))

    def keys(self, store: str) -> list[str]:
        """Return the keys of everything kept in `store`, in order."""
        with self._lock:
            rows = self._connection.execute("SELECT key FROM kept WHERE store = ? ORDER BY key", (store,))
            return [key for (key,) in rows]

    def all(self, store: str) -> dict[str, bytes]:
        """Return everything kept in `store`, in the order of its keys."""
        with self._lock:
            rows = self._connection.execute("SELECT key, value FROM kept WHERE store = ? ORDER BY key", (store,))
            return dict(rows.fetchall())


@contextmanager
def open_state(folder: Path) -> Iterator[State]:
    """Open the state in `folder`, which is made where there is none, for the time of the context.

    Raises `StateError` for a folder that another run uses, that newer code wrote, that is damaged or cannot be written.
    """
    path = folder / _FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_file(path)
        connection = sqlite3.connect(path, timeout=0, check_same_thread=False)
    except (OSError, sqlite3.OperationalError) as error:
        raise StateError(f"{folder} cannot be used ({error}): name another with --folder") from error
    try:
        _prepare(connection, path)
        yield State(connection)
    finally:
        connection.close()


def private_file(path: Path) -> None:
    """Create the file if it is missing, and allow only its owner to read and write it. Raises `OSError`."""
    path.touch(mode=0o600)  # never opened where it exists: closing it would free SQLite's locks
    path.chmod(0o600)


@contextmanager
def private_files() -> Iterator[None]:
    """Files written during the context, by this process or its children, are the owner's alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # held from the first transaction on
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN EXCLUSIVE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (health,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        if not tables:
            connection.execute("CREATE TABLE kept (store TEXT, key TEXT, value BLOB, PRIMARY KEY (store, key))")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.commit()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise StateError(f"another run uses {path.parent}: end it first, or name another --folder") from error
        raise StateError(f"{path} cannot be used ({error}): check the disk, or name another --folder") from error
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error
    if health != "ok":
        raise _damaged(path, health.splitlines()[-1])
    if tables not in ([], ["kept"]):
        raise _damaged(path, "it is another program's")
    if version > FORMAT:
        raise StateError(
            f"{path} has format {version}, this code reads {FORMAT}: run the newer version, or name another --folder"
        )


def _damaged(path: Path, reason: str) -> StateError:
    return StateError(f"{path} is damaged ({reason}): bring back a copy of it, or move it away and begin anew")
