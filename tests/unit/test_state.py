"""The state in a run's folder: stored values survive any end, and unusable folders raise clear errors."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from local.cloud.state import FORMAT, StateError, open_state


def test_what_is_put_is_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    with open_state(tmp_path / "new" / "folder") as state:
        state.put("Bucket", "a", b"\x00old")
        state.put("Bucket", "a", b"\x00new")
        state.put("Bucket", "b", b"")
        state.put("LabelsTable", "a", b"{}")
        state.remove("Bucket", "b")
        state.remove("Bucket", "never put")
    with open_state(tmp_path / "new" / "folder") as state:
        assert state.all("Bucket") == {"a": b"\x00new"}
        assert state.keys("Bucket") == ["a"]
        assert state.all("LabelsTable") == {"a": b"{}"}
        assert state.all("ItemsTable") == {}


def test_nothing_that_was_put_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, threading\n"
        "from local.cloud.state import open_state\n"
        "with open_state(pathlib.Path(sys.argv[1])) as state:\n"
        "    for number in range(1000000):\n"
        "        state.put('Bucket', f'{number:07}', b'x')\n"
        "        print(number, flush=True)\n"
    )
    process = subprocess.Popen(  # noqa: S603  # the program above
        [sys.executable, "-c", program, tmp_path],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout
    for _ in range(20):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    told = 20 + len(process.stdout.read().split())
    process.wait()
    process.stdout.close()
    with open_state(tmp_path) as state:
        assert len(state.all("Bucket")) >= told


def test_a_second_run_on_a_folder_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with (
        open_state(tmp_path) as first,
        pytest.raises(StateError, match=r"another run uses .*--folder"),
        open_state(tmp_path),
    ):
        first.put("Bucket", "a", b"")
    with open_state(tmp_path) as state:
        assert state.all("Bucket") == {}


def test_a_folder_of_newer_code_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with open_state(tmp_path) as state:
        state.put("Bucket", "a", b"")
    connection = sqlite3.connect(tmp_path / "state.sqlite3")
    connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    connection.close()
    with pytest.raises(StateError, match=rf"has format {FORMAT + 1}, this code reads {FORMAT}: run the newer version"):
        open_state(tmp_path).__enter__()
    connection = sqlite3.connect(tmp_path / "state.sqlite3")
    assert connection.execute("SELECT key FROM kept").fetchall() == [("a",)]
    connection.close()


@pytest.mark.parametrize("damage", ["no database", "cut off", "overwritten", "another program's"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.sqlite3"
    if damage == "another program's":
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE songs (title TEXT)")
        connection.close()
    else:
        with open_state(tmp_path) as state:
            for number in range(200):
                state.put("Bucket", str(number), b"x" * 1000)
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes(
            {
                "no database": b"{}" * 600,
                "cut off": whole[:middle],
                "overwritten": whole[:4096] + b"\xff" * middle + whole[4096 + middle :],
            }[damage]
        )
    with pytest.raises(StateError, match=r"state\.sqlite3 is damaged .*move it away"):
        open_state(tmp_path).__enter__()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"file/state cannot be used .*--folder"):
        open_state(tmp_path / "file" / "state").__enter__()
