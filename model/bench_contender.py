"""Measures one contender of `python -m model bench` in a fresh process: the time to its first score, and its rate.

Run as `python -m model.bench_contender KIND FOLDER TEXTS STARTED`: KIND is `pipeline`, for a checkpoint that
transformers' pipeline runs, or `package`; TEXTS is a JSON file of lists of texts by name; STARTED is the time of
`time.monotonic` at the start. Prints JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Score = Callable[[Sequence[str], int], list[float]]


def main(kind: str, folder: str, texts_file: str, started: float) -> None:
    """Print `load` (seconds), `rates` (texts a second), `scores` (of the mixed texts) and peak `memory` (bytes)."""
    texts: dict[str, list[str]] = json.loads(Path(texts_file).read_text(encoding="utf-8"))
    score = _pipeline(folder) if kind == "pipeline" else _package(folder)
    score(texts["mixed"][:1], 1)
    load = time.monotonic() - started
    best = 1
    if kind == "pipeline":
        best = max((1, 8, 16), key=lambda size: _rate(score, texts["mixed"], size))
    found = {
        "load": load,
        "rates": {name: _rate(score, part, best) for name, part in texts.items()},
        "batch_size": best,
        "scores": score(texts["mixed"], best),
        "memory": _peak_memory(),
    }
    print(json.dumps(found))


def _rate(score: Score, texts: Sequence[str], size: int) -> float:
    """Return texts a second."""
    began = time.perf_counter()
    score(texts, size)
    return len(texts) / (time.perf_counter() - began)


def _pipeline(folder: str) -> Score:
    from transformers import pipeline  # noqa: PLC0415  # importing it is measured too

    classifier = pipeline("text-classification", model=folder, device="cpu")

    def score(texts: Sequence[str], size: int) -> list[float]:
        # With top_k=None it returns a list of labels for each text, which its types do not say.
        rows: Any = classifier(list(texts), batch_size=size, truncation=True, top_k=None)
        return [next(row["score"] for row in labels if row["label"] == "LABEL_1") for labels in rows]

    return score


def _package(folder: str) -> Score:
    from model.serving.package import ModelPackage  # noqa: PLC0415  # importing it is measured too
    from osusume.items import Item  # noqa: PLC0415

    package = ModelPackage.load(folder)

    def score(texts: Sequence[str], _size: int) -> list[float]:
        return package.probabilities([Item(f"RJ{index}", "dlsite", "", text) for index, text in enumerate(texts)])

    return score


def _peak_memory() -> int:
    try:  # on Linux ru_maxrss includes the memory of the parent at the start of this process
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
