import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from local.__main__ import main
from local.built import RUNTIME_MAGIC, artifact_of

FINISH = ROOT / "layers/finish.py"
COMPILED = RUNTIME_MAGIC.to_bytes(2, "little") + b"\r\n" + bytes(12)


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + (3).to_bytes(2, "little") + machine.to_bytes(2, "little") + bytes(44)


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """A layer as it should be, for x86_64."""
    package = tmp_path / "build" / "DependenciesLayer" / "python" / "fast"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("ONE = 1\n")
    (package / "__pycache__" / "__init__.cpython-313.pyc").write_bytes(COMPILED)
    (package / "_fast.so").write_bytes(elf(62))
    return tmp_path / "build" / "DependenciesLayer"


def test_what_lambda_can_run_has_no_problem(layer: Path) -> None:
    built = artifact_of(layer, "x86_64")
    assert built.problems == []
    assert (built.name, built.files) == ("DependenciesLayer", 3)
    assert built.size == sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())


def test_a_library_for_another_processor_is_a_problem(layer: Path) -> None:
    assert artifact_of(layer, "arm64").problems == ["python/fast/_fast.so is for x86_64, not for arm64"]
    (layer / "python/fast/_fast.so").write_bytes(elf(183))
    assert artifact_of(layer, "arm64").problems == []


def test_bytecode_of_another_python_is_a_problem(layer: Path) -> None:
    pyc = layer / "python/fast/__pycache__/__init__.cpython-313.pyc"
    pyc.write_bytes(importlib.util.MAGIC_NUMBER + bytes(12))
    expected = sys.version_info[:2] == (3, 13)
    assert (artifact_of(layer, "x86_64").problems == []) is expected
    pyc.unlink()
    assert artifact_of(layer, "x86_64").problems == ["python/fast/__init__.py is not compiled"]


@pytest.mark.parametrize("name", ["torch", "huggingface_hub", "pip", "setuptools"])
def test_what_only_training_building_or_downloading_needs_is_a_problem(layer: Path, name: str) -> None:
    (layer / "python" / name).mkdir()
    (layer / "python" / name / "data.txt").write_text("")
    assert artifact_of(layer, "x86_64").problems == [f"{name} is not needed at run time"]


def test_the_sizes_are_listed_and_a_problem_ends_in_1(layer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sizes", "--folder", str(layer.parent)]) == 0
    assert "DependenciesLayer" in capsys.readouterr().out
    assert main(["sizes", "--folder", str(layer.parent), "--architecture", "arm64"]) == 1
    assert "_fast.so is for x86_64" in capsys.readouterr().err
    assert main(["sizes", "--folder", str(layer.parent / "nothing")]) == 1
    assert "make build" in capsys.readouterr().err


def test_more_than_lambda_takes_is_a_problem(
    layer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (layer.parent / "CrawlerFunction").mkdir()
    monkeypatch.setattr("local.built.MOST_BYTES", 10)
    assert main(["sizes", "--folder", str(layer.parent)]) == 1
    assert "CrawlerFunction and its layers" in capsys.readouterr().err


def runtime_python() -> str | None:
    """Return a Python 3.13 that runs here, None if there is none."""
    found = os.environ.get("RUNTIME_PYTHON") or shutil.which("python3.13")
    runs = found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0  # noqa: S603
    return found if runs else None


def test_code_is_built_the_same_wherever_and_whenever_and_for_the_runtime(tmp_path: Path) -> None:
    runtime = runtime_python()
    if runtime is None:
        pytest.skip("needs Python 3.13: install it, or name it with RUNTIME_PYTHON=")
    built = []
    for place in ("here", "elsewhere"):
        folder = tmp_path / place / "CommonLayer"
        shutil.copytree(ROOT / "layers/common/osusume", folder / "python/osusume")
        (folder / "python/bin").mkdir()
        (folder / "python/bin/normalizer").write_text(f"#!{sys.executable}\n")
        subprocess.run([runtime, str(FINISH), str(folder / "python"), "/opt/python"], check=True)  # noqa: S603
        assert artifact_of(folder, "x86_64").problems == []
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        built.append([(path.relative_to(folder), path.read_bytes(), path.stat().st_mtime) for path in files])
        assert str(tmp_path).encode() not in b"".join(content for _, content, _ in built[-1])
    assert built[0] == built[1]
    assert not any("bin" in name.parts for name, _, _ in built[0])


def test_only_the_runtimes_python_compiles(tmp_path: Path) -> None:
    if sys.version_info[:2] == (3, 13):
        pytest.skip("this is the runtime's Python")
    ended = subprocess.run(  # noqa: S603
        [sys.executable, str(FINISH), str(tmp_path), "/opt/python"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "compiles for Python 3.13" in ended.stderr


def test_without_an_engine_the_image_test_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["image-test"]) == 1
    assert "no container engine is running: start Docker" in capsys.readouterr().err
