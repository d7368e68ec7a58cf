"""Starts the functions' processes: each as a new interpreter, or forked from a server that has imported packages.

A forked process spends far less time on its start. It differs in what packages read from the environment when they are
imported: that is the server's environment, which is almost empty.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from local.cloud.errors import CloudError

_ROOT = Path(__file__).parents[2]
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a process that forks must have no others


class Process(Protocol):
    """A process that leads a group of its own, with what `subprocess.Popen` has."""

    @property
    def pid(self) -> int:
        """The id of the process."""

    def poll(self) -> int | None:
        """Return the exit code, or None if the process is not known to have ended."""

    def wait(self) -> int:
        """Wait for the end of the process and return its exit code, which is negative after a signal."""


class Start(Protocol):
    """Starts a process."""

    def __call__(self, script: Sequence[str], environment: Mapping[str, str], folder: Path, output: int) -> Process:
        """Run a Python script with its arguments in a folder; it prints to the descriptor `output`."""


def start_interpreter(script: Sequence[str], environment: Mapping[str, str], folder: Path, output: int) -> Process:
    """Start a new interpreter, as `Start` says."""
    return subprocess.Popen(
        [sys.executable, *script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C must not reach it; its children are killed with it
    )


def kill(process: Process) -> None:
    """Kill a process and its children, and wait for it."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@functools.cache
def fork_server(packages: tuple[str, ...]) -> ForkServer:
    """Return the server with these packages, which all clouds of this process share."""
    return ForkServer(packages)


class ForkServer:
    """Starts processes by forking one that has imported `packages`, which may start no threads when imported.

    It begins with the first process and ends with this one.
    """

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def start(self, script: Sequence[str], environment: Mapping[str, str], folder: Path, output: int) -> Process:
        """Fork a process, as `Start` says. Raises CloudError if the server has ended."""
        request = {"script": list(script), "environment": dict(environment), "folder": str(folder)}
        document = json.dumps(request).encode()
        reader, status = os.pipe()
        try:
            with self._lock:
                self._connection = connection = self._connection or self._begin()
                socket.send_fds(connection, [len(document).to_bytes(4, "big")], [output, status])
                connection.sendall(document)
        except OSError as error:
            os.close(reader)
            raise CloudError("the server that forks the functions' processes has ended") from error
        finally:
            os.close(status)
        return _Forked(reader)

    def _begin(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            server = subprocess.Popen(
                [sys.executable, "-m", "local.cloud.fork_server", str(theirs.fileno()), *self._packages],
                cwd=_ROOT,
                env={"PATH": os.defpath, "LANG": "C.UTF-8", **_ONE_THREAD},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C must not reach it
            )
        atexit.register(server.wait)
        atexit.register(ours.close)  # it runs before the one above
        return ours


class _Forked:
    """A process whose id and exit code the server sends, each on a line."""

    def __init__(self, reader: int) -> None:
        self._lines = os.fdopen(reader)
        self._exit_code: int | None = None
        self._lock = threading.Lock()
        pid = self._lines.readline()
        if not pid:
            self._lines.close()
            raise CloudError("the server that forks the functions' processes has ended")
        self.pid = int(pid)

    def poll(self) -> int | None:
        return self._exit_code

    def wait(self) -> int:
        with self._lock:
            if self._exit_code is None:
                with self._lines:
                    self._exit_code = int(self._lines.readline() or -signal.SIGKILL)
            return self._exit_code
