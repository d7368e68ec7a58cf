"""`make image-test`: builds the classifier's image and lets it score works under Lambda's runtime emulator."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from rich.console import Console

from local.built import UNWANTED
from local.machine import ROOT
from model.serving.package import ModelPackage
from osusume.errors import UserError
from osusume.items import Item
from samples.works import demo_works

TAG = "osusume-classifier:image-test"
ENGINES = ("docker", "podman")
START_SECONDS = 120
PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
WORKS = 5

# runs in the image: what must not be there, and what must be compiled and loadable
_LOOK = """
import importlib.util, pathlib, platform, shutil, sys
task = pathlib.Path("/var/task")
unwanted = [name for name in sys.argv[1:] if (task / name).exists()]
unwanted += [name for name in ("cc", "gcc", "c++", "g++", "clang") if shutil.which(name)]
sources = [path for path in task.rglob("*.py")]
bare = [path for path in sources if not pathlib.Path(importlib.util.cache_from_source(path)).exists()]
import trainer.night, trainer.stores
print(platform.machine(), platform.python_version(), len(sources), "sources", len(bare), "without bytecode")
sys.exit(f"not wanted in the image: {unwanted}" if unwanted else bool(bare))
"""


def image_test(architecture: str, model: Path, base: str | None, console: Console) -> None:
    """Build the image, look into it and compare its scores with those of the package `model`. Raises `UserError`.

    `base` replaces the Dockerfile's base image, where that cannot be pulled.
    """
    engine = next((name for name in ENGINES if _runs(name)), None)
    if engine is None:
        raise UserError("no container engine is running: start Docker, or install podman")
    console.print(f"building {TAG} with {engine}")
    if not model.resolve().is_relative_to(ROOT):
        raise UserError(f"{model} is not in this folder, of which the image is built: copy it to model/package")
    package = ModelPackage.load(model)
    replaced = ["--build-arg", f"MODEL_PACKAGE={model.resolve().relative_to(ROOT)}"]
    replaced += ["--build-arg", f"BASE={base}"] if base else []
    dockerfile = ["--file", "functions/classifier/Dockerfile", "--platform", PLATFORMS[architecture]]
    _run(engine, "build", *dockerfile, *replaced, "--tag", TAG, ".")
    console.print(_run(engine, "run", "--rm", "--entrypoint", "python", TAG, "-c", _LOOK, *sorted(UNWANTED)))
    works = demo_works()[:WORKS]
    with _serving(engine) as address:
        event = json.loads((ROOT / "events" / "classifier.json").read_text())
        event["body"] = json.dumps({"items": [work.to_json() for work in works]})
        answer = _answer(address, event)
    if answer.get("statusCode") != requests.codes.ok:
        raise UserError(f"the image answered {answer}")
    scores = [prediction["score"] for prediction in json.loads(answer["body"])["predictions"]]
    console.print(_compared(scores, package, works))
    console.print(_run(engine, "history", "--format", "{{.Size}}  {{.CreatedBy}}", TAG))


def _compared(scores: Sequence[float | None], package: ModelPackage, works: Sequence[Item]) -> str:
    """Return in words how the image's scores compare with the package's here. Raises `UserError` if they differ."""
    if not package.card.knows_owner(use_made_up_taste=True):
        if any(score is not None for score in scores):
            raise UserError(f"the image scores without a taste: {scores}")
        return f"scored {len(works)} works with nothing, since the package has no taste yet"
    found = [score for score in scores if score is not None]
    if len(found) < len(works):
        raise UserError(f"the image does not score every work: {scores}")
    difference = max(abs(score - own) for score, own in zip(found, package.probabilities(works), strict=True))
    if difference > 1e-4:  # int8 on another processor rounds otherwise
        raise UserError(f"the image scores differ by {difference:g} from those of the package here")
    return f"scored {len(works)} works as the package does here, to {difference:.0e}"


def _runs(engine: str) -> bool:
    found = shutil.which(engine)
    return bool(found) and subprocess.run([str(found), "info"], capture_output=True, check=False).returncode == 0


def _run(*command: str) -> str:
    ran = subprocess.run(_found(command), cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise UserError(f"{' '.join(command[:2])} failed:\n{ran.stdout[-1000:]}{ran.stderr[-3000:]}")
    return ran.stdout.strip()


def _found(command: Sequence[str]) -> list[str]:
    return [shutil.which(command[0]) or command[0], *command[1:]]


@contextmanager
def _serving(engine: str) -> Iterator[str]:
    """Run the image under its runtime emulator while the context lasts; yield the emulator's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # without a bucket the image's own head scores
    container = _run(
        engine, "run", "--detach", "--publish", f"127.0.0.1:{port}:8080", "--env", "MADE_UP_TASTE=use", TAG
    )
    try:
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    finally:
        _run(engine, "rm", "--force", container)


def _answer(address: str, event: object) -> dict[str, Any]:
    """Return the emulator's answer to an event, as soon as it listens."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            answer = requests.post(address, json=event, timeout=START_SECONDS)
        except requests.ConnectionError as error:
            if time.monotonic() > deadline:
                raise UserError(f"the image did not listen within {START_SECONDS} s") from error
            time.sleep(0.5)
        else:
            said: dict[str, Any] = answer.json()
            return said
