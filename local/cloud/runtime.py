"""One execution environment of a function: its process and the Lambda Runtime API that the process asks for events.

Simulated: the API's next, response and error calls, the deadline, the time limit (the process is killed when it
passes), an exit in the middle of an event, output by invocation, the 6 MB limit of an answer. Not simulated: the memory limit,
the share of a processor that memory buys, response streaming, extensions, SnapStart.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MAX_ANSWER_BYTES = 6_291_556
"""The largest answer that Lambda takes from a function."""

INIT_SECONDS = 10.0
"""What Lambda gives a process to get ready, before its time limit begins to count."""

_API = "/2018-06-01/runtime/"


def runtime_command(handler: str) -> list[str]:
    """Return the command of a process that serves `handler`: AWS's own client, or ours where that is not installed."""
    if importlib.util.find_spec("awslambdaric"):
        return [sys.executable, "-m", "awslambdaric", handler]
    return fallback_command(handler)


def fallback_command(handler: str) -> list[str]:
    """Return the command of a process that serves `handler` with the small client of this project."""
    return [sys.executable, str(Path(__file__).with_name("client.py")), handler]


@dataclass(slots=True)
class Outcome:
    """What became of one event: the answer as JSON text, or an error document. `log` holds the lines printed."""

    response: bytes | None = None
    error: dict[str, Any] | None = None
    log: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class _Event:
    request_id: str
    payload: bytes
    function_arn: str
    seconds: float
    taken_at: float | None = None
    outcome: Outcome | None = None


class FunctionProcess:
    """A process that answers events one at a time until it is closed, killed or exits.

    `environment` is all that the process gets, but for the address of its Runtime API.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._changed = threading.Condition()
        self._event: _Event | None = None
        self._is_waiting = False
        self._exit_code: int | None = None
        self._server = _RuntimeApi(self)
        self._output = _Output()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}"},
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
        event = _Event(request_id, payload, function_arn, seconds)
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

    def _is_over(self, event: _Event) -> bool:
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

    def next_event(self) -> _Event | None:
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


class _Output:
    """The pipe that a process prints to, cut into the lines of each invocation."""

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

        We print a mark behind what the process printed and wait until it comes out at the other end: nothing that the
        process printed before can still be in the pipe then.
        """
        os.write(self.writer, self._mark)
        self._marks.acquire()
        with self._lock:
            printed = b"".join(self._chunks)
            self._chunks.clear()
        # awslambdaric sends a traceback as one line, with carriage returns in it
        return printed.decode("utf-8", "replace").replace("\r", "\n").splitlines()

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self.writer)


class _RuntimeApi(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a killed process may leave a request waiting

    def __init__(self, process: FunctionProcess) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeRequest)
        self.process = process
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Keep quiet: a killed process breaks its connection."""


class _RuntimeRequest(BaseHTTPRequestHandler):
    server: _RuntimeApi
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body in one segment: else Nagle's algorithm costs 40 ms a call

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        if self.path != f"{_API}invocation/next":
            self._send(404, b"{}")
            return
        event = self.server.process.next_event()
        if event is None:
            self._send(500, b"{}")
            return
        self._send(
            200,
            event.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": event.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + event.seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self._body()
        match self.path.removeprefix(_API).split("/"):
            case ["init", "error"]:
                self.server.process.fail_to_start(_error_document(body))
                self._send(202, b'{"status":"OK"}')
            case ["invocation", request_id, "error"]:
                self._answer(request_id, Outcome(error=_error_document(body)))
            case ["invocation", request_id, "response"] if len(body) > MAX_ANSWER_BYTES:
                message = f"Response payload size exceeded maximum allowed payload size ({MAX_ANSWER_BYTES} bytes)."
                error = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}
                self._answer(request_id, Outcome(error=error), 413)
            case ["invocation", request_id, "response"]:
                self._answer(request_id, Outcome(response=body))
            case _:
                self._send(404, b"{}")

    def _answer(self, request_id: str, outcome: Outcome, status: int = 202) -> None:
        is_known = self.server.process.answer(request_id, outcome)
        self._send(status if is_known else 400, b'{"status":"OK"}' if is_known else b"{}")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _error_document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"errorType": "Unknown", "errorMessage": body.decode("utf-8")}
