"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEARCHED = (ROOT / "functions", ROOT / "layers" / "common", ROOT)
ROOMS = ("functions", "layers", "model", "desk", "local", "ops", "samples", "web")


def module_name(path: Path) -> str:
    base = next(base for base in SEARCHED if path.is_relative_to(base))
    return ".".join(path.relative_to(base).with_suffix("").parts)


WITH_EXAMPLES = sorted(
    path for room in ROOMS for path in (ROOT / room).rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_examples_of_a_module_are_true(path: Path) -> None:
    assert doctest.testmod(importlib.import_module(module_name(path))).failed == 0
