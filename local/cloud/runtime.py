"""One execution environment of a function: a process that handles events.

Simulated: the time limit (which kills the process), an exit in the middle of an event, output by invocation. Not
simulated: the memory limit, the CPU share that depends on memory, extensions, SnapStart.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local.cloud.effort import Effort, cpu_seconds, peak_megabytes, queue_seconds
from local.cloud.output import Output
from local.cloud.processes import Start, kill
from local.cloud.runtime_api import Event, Outcome, RuntimeApi

INIT_SECONDS = 10.0
"""Lambda's limit for the initialization of a process, which precedes the time limit."""


def runtime_script(handler: str) -> list[str]:
    """Return the script that serves `handler` with AWS's client of the Runtime API, and its arguments."""
    return [str(Path(__file__).with_name("awslambdaric_client.py")), handler]


class FunctionProcess:
    """A process that handles events one at a time until it is closed, killed or exits.

    `environment` holds all of the process's variables except the address of its Runtime API.
    """

    def __init__(self, start: Start, script: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._changed = threading.Condition()
        self._event: Event | None = None
        self._is_waiting = False
        self._exit_code: int | None = None
        self._started_at = time.monotonic()
        self._init_seconds: float | None = None
        self._cpu_before = self._queue_before = 0.0
        self._is_first = True
        self._server = RuntimeApi(self)
        self._output = Output()
        variables = {**environment, "AWS_LAMBDA_RUNTIME_API": self._server.address}
        with self._changed:  # the process may ask for an event before its starter knows its id
            self._process = start(script, variables, folder, self._output.writer)
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether the process can handle another event."""
        return self._exit_code is None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def invoke(self, payload: bytes, request_id: str, function_arn: str, seconds: float) -> Outcome:
        """Run the event `payload` within `seconds` and return its outcome, which may be an error."""
        event = Event(request_id, payload, function_arn, seconds)
        began = time.monotonic()
        with self._changed:
            self._event = event
            self._changed.notify_all()
            # the time limit starts when the process takes the event; initialization has its own limit
            self._changed.wait_for(lambda: event.taken_at or self._is_over(event), INIT_SECONDS + seconds)
            remaining = seconds - (time.monotonic() - event.taken_at) if event.taken_at else 0.0
            # an event is over when the process asks for the next one: output until then belongs to the event
            self._changed.wait_for(lambda: self._is_over(event), max(0.0, remaining))
            outcome = event.outcome
            is_late = outcome is None and self._exit_code is None
            is_idle = self._is_waiting
            effort = self._effort()
            self._event = None
        if not is_idle and self._exit_code is None:
            self.kill()
        if outcome is None:
            outcome = Outcome(error=_timeout(request_id, seconds) if is_late else self._exit_error(request_id))
        outcome.log = self._output.lines_so_far()
        if is_late:
            outcome.log.append(str(outcome.error and outcome.error["errorMessage"]))
        outcome.seconds = time.monotonic() - (event.taken_at or began)
        outcome.effort = effort
        return outcome

    def kill(self) -> None:
        """Kill the process and its children, and wait for it."""
        kill(self._process)

    def close(self) -> None:
        """End the process and its Runtime API. No invocation may be running."""
        self.kill()
        self._server.shutdown()
        self._server.server_close()
        self._output.close()

    def _effort(self) -> Effort:
        """Return what the event needed, and the start if it is the process's first."""
        started, self._is_first = self._is_first, False
        return Effort(
            cpu_seconds(self.pid) - self._cpu_before,
            queue_seconds(self.pid) - self._queue_before,
            (self._init_seconds or 0.0) if started else 0.0,
            self._cpu_before if started else 0.0,
            peak_megabytes(self.pid),
        )

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

    # ---- called by the Runtime API ----

    def next_event(self) -> Event | None:
        """Wait for the next event and return it; None if the process ended."""
        with self._changed:
            self._is_waiting = True
            if self._init_seconds is None:
                self._init_seconds = time.monotonic() - self._started_at - queue_seconds(self.pid)
            self._changed.notify_all()
            self._changed.wait_for(lambda: (self._event and not self._event.outcome) or self._exit_code is not None)
            if self._event is None or self._exit_code is not None:
                return None
            self._is_waiting = False
            self._event.taken_at = time.monotonic()
            self._cpu_before, self._queue_before = cpu_seconds(self.pid), queue_seconds(self.pid)
            self._changed.notify_all()
            return self._event

    def answer(self, request_id: str, outcome: Outcome) -> bool:
        """Store the process's response; return False if the event is not its current one."""
        with self._changed:
            if self._event is None or self._event.request_id != request_id:
                return False
            self._event.outcome = outcome
            self._changed.notify_all()
            return True

    def fail_to_start(self, error: dict[str, Any]) -> None:
        """Fail the event that the process was started for with its initialization error."""
        with self._changed:
            self._changed.wait_for(lambda: self._event is not None or self._exit_code is not None)
            if self._event is not None:
                self._event.outcome = Outcome(error=error)
            self._changed.notify_all()


def _timeout(request_id: str, seconds: float) -> dict[str, Any]:
    message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
    return {"errorType": "Sandbox.Timedout", "errorMessage": message}
