"""The output of a process, split by invocation."""

from __future__ import annotations

import os
import secrets
import threading


class Output:
    """The pipe that a process prints to; `writer` is the end for the process."""

    def __init__(self) -> None:
        reading, self.writer = os.pipe()
        self._mark = secrets.token_hex(16).encode()
        self._chunks: list[bytes] = []
        self._marks = threading.Semaphore(0)
        self._lock = threading.Lock()
        threading.Thread(target=self._read, args=(reading,), daemon=True).start()

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            tail = b""
            while chunk := pipe.read(65536):
                *parts, tail = (tail + chunk).split(self._mark)
                for part in parts:
                    with self._lock:
                        self._chunks.append(part)
                    self._marks.release()

    def lines_so_far(self) -> list[str]:
        """Return the lines printed since the last call.

        A mark is written to the pipe and awaited at its other end: everything that the process printed before the mark
        has been read by then.
        """
        os.write(self.writer, self._mark)
        self._marks.acquire()
        with self._lock:
            printed = b"".join(self._chunks)
            self._chunks.clear()
        # awslambdaric prints a traceback as one line with carriage returns
        return printed.decode("utf-8", "replace").replace("\r", "\n").splitlines()

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.writer)
