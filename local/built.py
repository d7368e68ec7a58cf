"""`make sizes`: how large each built zip is, and whether Lambda can run what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from osusume.errors import UserError

MOST_BYTES = 250 * 2**20
"""Lambda takes no more of a function and its layers, unzipped. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

# the field e_machine of an ELF file, in the System V ABI
MACHINES = {62: "x86_64", 183: "arm64"}
RUNTIME_MAGIC = 3571
"""The first two bytes of Python 3.13's bytecode, as a little-endian number."""

UNWANTED = {
    *("torch", "triton", "nvidia"),  # training alone needs them
    *("huggingface_hub", "hf_xet"),  # nothing is downloaded at run time
    *("pip", "setuptools", "wheel", "cython", "Cython", "pybind11", "numba", "llvmlite"),  # these build and compile
}


@dataclass(frozen=True, slots=True)
class Artifact:
    """One folder that becomes a zip: its logical id, its size in bytes, its number of files, what is wrong in it."""

    name: str
    size: int
    files: int
    problems: list[str]


def artifact_of(folder: Path, architecture: str) -> Artifact:
    """Return what a built folder holds, with a problem for each thing that Lambda cannot use or does not need."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    problems = [problem for path in files if (problem := _problem(path, folder, architecture))]
    found = {part for path in files for part in path.relative_to(folder).parts[:2]}
    problems += [f"{name} is not needed at run time" for name in sorted(found & UNWANTED)]
    return Artifact(folder.name, sum(path.stat().st_size for path in files), len(files), problems)


def _problem(path: Path, folder: Path, architecture: str) -> str | None:
    with path.open("rb") as file:
        head = file.read(20)
    name = path.relative_to(folder)
    if head[:4] == b"\x7fELF":
        machine = MACHINES.get(int.from_bytes(head[18:20], "little"), "another processor")
        return None if machine == architecture else f"{name} is for {machine}, not for {architecture}"
    if path.suffix == ".pyc":
        is_right = int.from_bytes(head[:2], "little") == RUNTIME_MAGIC and head[2:4] == b"\r\n"
        return None if is_right else f"{name} is not bytecode of Python 3.13"
    if path.suffix == ".py" and not (path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc").exists():
        return f"{name} is not compiled"
    return None


def list_sizes(build: Path, architecture: str, console: Console) -> None:
    """Print the size of each artifact of `sam build`. Raises `UserError` if there is none, or one cannot be used."""
    folders = [path for path in sorted(build.glob("*")) if path.is_dir()]
    if not folders:
        raise UserError(f"there is nothing in {build}: run 'make build' first")
    artifacts = [artifact_of(folder, architecture) for folder in folders]
    table = Table("built", "MB", "files", title=f"for {architecture}, unzipped")
    for artifact in artifacts:
        table.add_row(artifact.name, f"{artifact.size / 2**20:.2f}", str(artifact.files))
    console.print(table)
    if problems := list(_problems(artifacts)):
        shown = "\n".join(f"  {problem}" for problem in problems[:20])
        raise UserError(f"{len(problems)} problems in what was built; run 'make build' again:\n{shown}")


def _problems(artifacts: list[Artifact]) -> Iterator[str]:
    for artifact in artifacts:
        yield from (f"{artifact.name}: {problem}" for problem in artifact.problems)
    layers = sum(artifact.size for artifact in artifacts if artifact.name.endswith("Layer"))
    for artifact in artifacts:
        together = layers + artifact.size
        if not artifact.name.endswith("Layer") and together > MOST_BYTES:
            yield f"{artifact.name} and its layers are {together / 2**20:.0f} MB; Lambda takes {MOST_BYTES // 2**20} MB"
