"""One execution environment of a function: a process that answers events.

Simulated: the time limit (the process is killed when it passes), an exit in the middle of an event, output by
invocation. Not simulated: the memory limit, the share of a processor that memory buys, extensions, SnapStart.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.cloud.output import Output
from local.cloud.runtime_api import Event, Outcome, RuntimeApi

INIT_SECONDS = 10.0
"""What Lambda gives a process to get ready, before its time limit begins to count."""


def runtime_command(handler: str) -> list[str]:
    """Return the command of a process that serves `handler` with AWS's own client of the Runtime API."""
    return [sys.executable, str(Path(__file__).with_name("awslambdaric_client.py")), handler]


class FunctionProcess:
    """A process that answers events one at a time until it is closed, killed or exits.

    `environment` is all that the process gets, but for the address of its Runtime API.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._changed = threading.Condition()
        self._event: Event | None = None
        self._is_waiting = False
        self._exit_code: int | None = None
        self._server = RuntimeApi(self)
        self._output = Output()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": self._server.address},
            stdin=subprocess.DEVNULL,
            stdout=self._output.writer,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for us; what the function started ends with it
        )
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether the process may answer another event."""
        return self._exit_code is None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def invoke(self, payload: bytes, request_id: str, function_arn: str, seconds: float) -> Outcome:
        """Return what the function made of the event `payload` within `seconds`; never raises for its failures."""
        event = Event(request_id, payload, function_arn, seconds)
        began = time.monotonic()
        with self._changed:
            self._event = event
            self._changed.notify_all()
            # the time limit counts from when the process takes the event; getting ready has its own
            self._changed.wait_for(lambda: event.taken_at or self._is_over(event), INIT_SECONDS + seconds)
            remaining = seconds - (time.monotonic() - event.taken_at) if event.taken_at else 0.0
            # an event is over when the process asks for the next one: what it prints until then belongs to it
            self._changed.wait_for(lambda: self._is_over(event), max(0.0, remaining))
            outcome = event.outcome
            is_late = outcome is None and self._exit_code is None
            is_idle = self._is_waiting
            self._event = None
        if not is_idle and self._exit_code is None:
            self.kill()
        if outcome is None:
            outcome = Outcome(error=_timeout(request_id, seconds) if is_late else self._exit_error(request_id))
        outcome.log = self._output.lines_so_far()
        if is_late:
            outcome.log.append(str(outcome.error and outcome.error["errorMessage"]))
        outcome.seconds = time.monotonic() - (event.taken_at or began)
        return outcome

    def kill(self) -> None:
        """End the process and everything that it started, and wait for it."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the process and its Runtime API; for the time when no invocation is under way."""
        self.kill()
        self._server.shutdown()
        self._server.server_close()
        self._output.close()

    def _is_over(self, event: Event) -> bool:
        return self._exit_code is not None or (event.outcome is not None and self._is_waiting)

    def _watch(self) -> None:
        exit_code = self._process.wait()
        with self._changed:
            self._exit_code = exit_code
            self._changed.notify_all()

    def _exit_error(self, request_id: str) -> dict[str, Any]:
        code = self._exit_code or 0
        if code < 0:
            reason = f"signal: {signal.Signals(-code).name.removeprefix('SIG').lower()}"
        else:
            reason = f"exit status {code}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {reason}"
        return {"errorType": "Runtime.ExitError", "errorMessage": message}

    # ---- what the Runtime API does on behalf of the process ----

    def next_event(self) -> Event | None:
        """Wait for an event, as the process asked; None when the process is gone."""
        with self._changed:
            self._is_waiting = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: (self._event and not self._event.outcome) or self._exit_code is not None)
            if self._event is None or self._exit_code is not None:
                return None
            self._is_waiting = False
            self._event.taken_at = time.monotonic()
            self._changed.notify_all()
            return self._event

    def answer(self, request_id: str, outcome: Outcome) -> bool:
        """Take the process's answer; False where it answers an event that is not its own."""
        with self._changed:
            if self._event is None or self._event.request_id != request_id:
                return False
            self._event.outcome = outcome
            self._changed.notify_all()
            return True

    def fail_to_start(self, error: dict[str, Any]) -> None:
        """Take the error that kept the process from getting ready: it fails the event that it was started for."""
        with self._changed:
            self._changed.wait_for(lambda: self._event is not None or self._exit_code is not None)
            if self._event is not None:
                self._event.outcome = Outcome(error=error)
            self._changed.notify_all()


def _timeout(request_id: str, seconds: float) -> dict[str, Any]:
    message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
    return {"errorType": "Sandbox.Timedout", "errorMessage": message}
