"""A program that starts scripts by forking, so that their processes begin with packages that it has imported.

Its arguments are the descriptor of a socket and the packages. A request on the socket is the length of a JSON document
in four bytes, the document (`script` with its arguments, `environment`, `folder`) and two descriptors: where the
process prints to, and where its id and later its exit code are sent. When the socket closes, all processes are killed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.cloud.boto_speed import read_descriptions


@dataclass(frozen=True, slots=True)
class _Request:
    script: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    output: int
    status: int


def main() -> None:
    """Serve until the socket closes. In a forked process this returns when the script has run."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()
    for package in sys.argv[2:]:
        importlib.import_module(package)
    read_descriptions()
    gc.freeze()  # a collection in a process would look through all of this, and thereby copy it
    gc.enable()
    if request := _serve(connection):
        connection.close()
        _run(request)


def _serve(connection: socket.socket) -> _Request | None:
    """Fork a process for each request. Returns the request in that process; None here, when the socket closes."""
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}  # where to send the exit code of a process, by its id
    while True:
        ready, _, _ = select.select([connection.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _send_exit_codes(running)
        if connection.fileno() not in ready:
            continue
        request = _receive(connection)
        if request is None:
            for pid in running:
                os.killpg(pid, signal.SIGKILL)
            return None
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (woken, waker, request.status, *running.values()):
                os.close(descriptor)
            return request
        os.setpgid(pid, pid)  # so that its children are killed with it
        os.close(request.output)
        running[pid] = request.status
        _send(request.status, pid)


def _receive(connection: socket.socket) -> _Request | None:
    size, descriptors, _, _ = socket.recv_fds(connection, 4, 2)
    if not size:
        return None
    document = b""
    while len(document) < int.from_bytes(size, "big"):
        document += connection.recv(65536)
    output, status = descriptors
    return _Request(**json.loads(document), output=output, status=status)


def _send_exit_codes(running: dict[int, int]) -> None:
    while running:
        pid, code = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        status = running.pop(pid)
        _send(status, os.waitstatus_to_exitcode(code))
        os.close(status)


def _send(status: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(status, b"%d\n" % number)


def _run(request: _Request) -> None:
    """Run the script as `python script arguments` does in that environment and folder."""
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    os.chdir(request.folder)
    os.dup2(request.output, 1)
    os.dup2(request.output, 2)
    os.close(request.output)
    sys.argv = list(request.script)
    script = Path(request.script[0])
    # the first entry is the folder in which this server was started
    sys.path[:1] = [str(script.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
