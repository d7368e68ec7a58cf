"""The processes of the local cloud's functions, as new interpreters and forked from a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from conftest import ROOT

from local.cloud.processes import ForkServer, Process, Start, kill, start_interpreter
from local.cloud.runtime import FunctionProcess

SERVER = ForkServer(["json"])
FOUND = """
import json, os, sys, time
print(json.dumps([sys.argv, sys.path, dict(os.environ), os.getcwd(), time.tzname[0], os.getpgid(0) == os.getpid()]))
"""
SLEEP = """
print("begun", flush=True)
import time
time.sleep(60)
print("not killed")
"""
ECHO = """
import http.client, os, pathlib
address, _, root = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")
api = http.client.HTTPConnection(address)
invocation = f"/{root}/2018-06-01/runtime/invocation"
api.request("GET", f"{invocation}/next")
pathlib.Path("asked").touch()
event = api.getresponse()
api.request("POST", f"{invocation}/{event.headers['Lambda-Runtime-Aws-Request-Id']}/response", event.read())
api.getresponse().read()
api.request("GET", f"{invocation}/next")
api.getresponse()
"""
STARTS = pytest.mark.parametrize("start", [start_interpreter, SERVER.start], ids=["new", "forked"])


def run(start: Start, folder: Path, text: str) -> tuple[int, str]:
    """Run a script in the folder, kill it once it has begun to sleep; return its exit code and what it printed."""
    script = folder / "script.py"
    script.write_text(text)
    environment = {"TZ": "Asia/Tokyo", "PYTHONPATH": f"{folder / 'a'}:{folder / 'b'}", "LANG": "C.UTF-8"}
    reader, output = os.pipe()
    with os.fdopen(reader) as printed:
        process = start([str(script), "argument"], environment, folder, output)
        os.close(output)
        lines = []
        for line in printed:  # until nobody who can print is left
            lines.append(line)
            if line == "begun\n":
                kill(process)
    code = process.wait()
    assert process.poll() == code
    return code, "".join(lines)


def test_a_forked_process_finds_what_a_new_interpreter_finds(tmp_path: Path) -> None:
    new, forked = (json.loads(run(start, tmp_path, FOUND)[1]) for start in (start_interpreter, SERVER.start))
    assert forked == new
    assert new[3:] == [str(tmp_path), "JST", True]


@STARTS
@pytest.mark.parametrize(
    ("text", "code"), [("", 0), ("raise SystemExit(3)", 3), ("import os; os._exit(4)", 4), ("1 / 0", 1)]
)
def test_the_exit_code_is_known(start: Start, tmp_path: Path, text: str, code: int) -> None:
    assert run(start, tmp_path, text)[0] == code


@STARTS
def test_what_a_process_starts_is_killed_with_it(start: Start, tmp_path: Path) -> None:
    text = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
    assert run(start, tmp_path, text) == (-signal.SIGKILL, "begun\n")


def test_forked_processes_end_with_the_process_that_started_their_server(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SLEEP)
    text = """
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from local.cloud.processes import ForkServer
ForkServer([]).start([sys.argv[1]], {}, Path("/"), 1).wait()
"""
    command = [sys.executable, "-c", text, str(tmp_path / "script.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as starter:  # noqa: S603  # our own
        assert starter.stdout
        assert starter.stdout.readline() == "begun\n"
        starter.kill()
        assert starter.stdout.read() == ""


def test_a_process_that_asks_for_its_event_before_its_starter_knows_its_id_gets_it(tmp_path: Path) -> None:
    def start(script: Sequence[str], environment: Mapping[str, str], folder: Path, output: int) -> Process:
        process = start_interpreter(script, environment, folder, output)
        while not (folder / "asked").exists():
            time.sleep(0.01)
        return process

    script = tmp_path / "script.py"
    script.write_text(ECHO)
    process = FunctionProcess(start, [str(script)], {}, tmp_path)
    outcome = process.invoke(b'"rain"', "a-request", "arn:of:a:function", 20.0)
    process.close()
    assert (outcome.response, outcome.error) == (b'"rain"', None)
