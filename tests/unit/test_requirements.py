"""Only reviewed contents are installed: packages have hashes, and the base image has a digest."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = [
    *(path for path in sorted((ROOT / "requirements").glob("*.txt")) if path.name != "torch.txt"),
    ROOT / "layers/dependencies/requirements.txt",
    ROOT / "functions/classifier/requirements.txt",
]


@pytest.mark.parametrize("path", LOCKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_requirement_is_pinned_with_a_hash(path: Path) -> None:
    lines = [line for line in path.read_text().replace("\\\n", "").splitlines() if not line.startswith("#")]

    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w.\[\]-]+==\S+(\s+--hash=sha256:[0-9a-f]{64})+", line)] == []


def test_the_base_image_is_named_by_one_digest() -> None:
    lines = (ROOT / "functions/classifier/Dockerfile").read_text().splitlines()

    assert {line.split()[1] for line in lines if line.startswith("FROM ")} == {"${BASE}"}
    (base,) = [line for line in lines if line.startswith("ARG BASE=")]
    assert re.fullmatch(r"ARG BASE=public\.ecr\.aws/lambda/python:3\.13@sha256:[0-9a-f]{64}", base)


def test_the_build_context_holds_every_folder_that_the_image_copies() -> None:
    dockerfile = (ROOT / "functions/classifier/Dockerfile").read_text()
    copied = [
        path for line in re.findall(r"^COPY (?!--from|\$)(.+) \S+$", dockerfile, re.MULTILINE) for path in line.split()
    ]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert copied
    assert [path for path in copied if not path.startswith(tuple(allowed)) or not (ROOT / path).exists()] == []
