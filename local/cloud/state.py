"""The data that a run keeps for the next one: one SQLite file, written before each change is acknowledged.

Each change is one transaction, so that the process may be killed at any moment. One process at a time uses the file,
and only its owner may read it. It holds values by key for each bucket and table, the event queue and the channel.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORMAT = 1
"""The file format that this code reads and writes, stored as `user_version`."""

_FILE = "state.sqlite3"


class StateError(RuntimeError):
    """Raised when a folder cannot be used; the message names it and the remedy."""


class State:
    """Values by store and key, safe to use from several threads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def put(self, store: str, key: str, value: bytes) -> None:
        """Store `value` under `key`, replacing any previous value; it is on the disk when this returns."""
        with self._lock, self._connection:
            self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (store, key, value))

    def remove(self, store: str, key: str) -> None:
        """Remove the value under `key`, if there is one."""
        with self._lock, self._connection:
            self._connection.execute("DELETE FROM kept WHERE store = ? AND key = ?", (store, key))

    def keys(self, store: str) -> list[str]:
        """Return the keys in `store`, sorted."""
        with self._lock:
            rows = self._connection.execute("SELECT key FROM kept WHERE store = ? ORDER BY key", (store,))
            return [key for (key,) in rows]

    def all(self, store: str) -> dict[str, bytes]:
        """Return the values in `store` by key, sorted."""
        with self._lock:
            rows = self._connection.execute("SELECT key, value FROM kept WHERE store = ? ORDER BY key", (store,))
            return dict(rows.fetchall())


@contextmanager
def open_state(folder: Path) -> Iterator[State]:
    """Open the state in `folder`, creating it if necessary, for the duration of the context.

    Raises `StateError` if another run uses the folder, newer code wrote it, or it is damaged or not writable.
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
    path.touch(mode=0o600)  # not open(): closing an existing file would release SQLite's locks
    path.chmod(0o600)


@contextmanager
def private_files() -> Iterator[None]:
    """Make files written during the context, by this process or its children, private to the owner."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # held from the first transaction
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
