"""The law of rooms: which package may import which, as in the picture in docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT

# a room may import the named ones, which are all listed above it: so there is no circle
MAY_IMPORT = {
    "osusume": "",
    "web": "",
    "local.cloud": "web",
    "samples": "osusume",
    "model.serving": "osusume",
    "crawler": "osusume",
    "notifier": "osusume",
    "feedback": "osusume",
    "classifier": "osusume model.serving",
    "model.learning": "osusume model.serving",
    "trainer": "osusume model.serving model.learning",
    "model": "osusume model.serving model.learning samples notifier trainer",
    "desk": "osusume model.serving model.learning model web",
    "local.slack": "osusume web",
    "local.shop": "osusume samples web",
    "local.scale.handlers": "osusume notifier feedback",
    "local": "osusume model.serving model.learning model samples web crawler local.cloud local.slack local.shop"
    " local.scale.handlers",
    "ops": "osusume model.serving model.learning model desk classifier notifier local.cloud",
}
FOLDERS = {"osusume": "layers/common/osusume", **{name: f"functions/{name}" for name in ("crawler", "notifier")}}
FOLDERS |= {name: f"functions/{name}" for name in ("classifier", "feedback", "trainer")}

OF_TESTS = {path.stem for folder in ("tests", "tests/integration") for path in (ROOT / folder).iterdir()}


def folder_of(room: str) -> Path:
    return ROOT / FOLDERS.get(room, room.replace(".", "/"))


def room_of(module: str) -> str:
    if module.split(".", maxsplit=1)[0] in OF_TESTS:
        return "tests"
    return max((room for room in MAY_IMPORT if f"{module}.".startswith(f"{room}.")), key=len, default="")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_the_picture_shows(room: str) -> None:
    inner = [folder_of(other) for other in MAY_IMPORT if other.startswith(f"{room}.")]
    files = [path for path in folder_of(room).rglob("*.py") if not any(each in path.parents for each in inner)]
    allowed = {room, "", *MAY_IMPORT[room].split()}
    against = {f"{path.name}: {name}" for path in files for name in imported(path) if room_of(name) not in allowed}

    assert files
    assert against == set()


def test_the_picture_has_no_circle_and_every_package_is_in_it() -> None:
    above: set[str] = set()
    for room, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= above
        above.add(room)
    packages = {
        path.parent for folder in (".", "functions", "layers/common") for path in (ROOT / folder).glob("*/__init__.py")
    }
    assert packages == {folder_of(room) for room in MAY_IMPORT if "." not in room}
