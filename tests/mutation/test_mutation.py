"""Every protection is needed: with any one turned off, in a copy of the tree, a test fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from mutation.protections import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
COPIED = ("functions", "layers/common/osusume", "local", "tests/unit", "tests/fixtures")
FILES = (
    "pyproject.toml",
    "template.yaml",
    *(f"tests/{name}.py" for name in ("browser_fixtures", "conftest", "crawling", "injector", "world")),
)
SECONDS = 120
CHOSEN = MUTATIONS if os.environ.get("MUTATIONS") == "all" else MUTATIONS[::5]
"""`make mutations` turns off every protection, the suite every fifth: each starts a pytest of its own."""


def copy_tree(target: Path) -> None:
    """Copy what the tests of the protections need; with its compiled files, so that the tests start sooner."""
    for name in COPIED:
        shutil.copytree(ROOT / name, target / name)
    for name in FILES:
        shutil.copy2(ROOT / name, target / name)


def run_tests(tree: Path, tests: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy in a process of its own, which looks for modules in the copy first."""
    paths = [f"tests/unit/{name}" for name in tests]
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(  # noqa: S603  # pytest on a copy of this project
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--show-capture=no", *paths],
        cwd=tree,
        env={**os.environ, **environment, "PYTHONPATH": "", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def turned_off(mutation: Mutation, source: str) -> str:
    """Return `source` without the protection, which must stand there once: else the mutation proves nothing."""
    assert source.count(mutation.on) == 1, f"{mutation.path} has {mutation.on!r} {source.count(mutation.on)} times"
    return source.replace(mutation.on, mutation.off)


def test_tests_pass_on_an_unchanged_copy(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    # one of each file; on the tree itself the whole suite runs them all
    by_file = {name.partition("::")[0]: name for mutation in CHOSEN for name in mutation.tests}
    ran = run_tests(tmp_path, by_file.values())
    assert ran.returncode == pytest.ExitCode.OK, ran.stdout + ran.stderr


def test_every_protection_stands_once_in_the_code() -> None:
    for mutation in MUTATIONS:
        turned_off(mutation, (ROOT / mutation.path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("mutation", CHOSEN, ids=lambda mutation: mutation.protection)
def test_a_protection_turned_off_makes_its_tests_fail(mutation: Mutation, tmp_path: Path) -> None:
    copy_tree(tmp_path)
    path = tmp_path / mutation.path
    path.write_text(turned_off(mutation, path.read_text(encoding="utf-8")), encoding="utf-8")
    ran = run_tests(tmp_path, mutation.tests)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    assert "\nERROR " not in ran.stdout, ran.stdout
