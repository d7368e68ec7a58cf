"""`python -m model bench`: compares packages with transformers' pipeline, on the same texts, in one run.

Contenders are measured in turn, each time in a fresh process, so that what else the machine does meets all of them; the
ratio of two is taken round by round. Nothing here imports torch: models are made and measured in separate processes.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from onnxruntime import InferenceSession, SessionOptions  # type: ignore[attr-defined]  # it has no __all__
from rich.table import Table

from model.serving.encoder import available_cores
from model.serving.package import CARD

MODELS = ("ModernBERT-30m", "DistilBERT-base")
STARTER = Path(__file__).parent / "starter"
PACKAGE = Path(__file__).parent / "package"
"""Where `make model` writes the encoder that reads Japanese; measured too once it is there."""

Figures = dict[str, Any]
"""The figures of a contender, of one of its rounds, or of the whole run, as JSON values."""

_GEMM = 2048
_PEAK_RUNS = 5
_ROUNDS = 3


def run_bench(*, quick: bool, advance: Callable[[str], None]) -> Figures:
    """Return the figures of the machine, of each model's contenders, and of the starter package.

    `advance` is called with the name of each of the `steps` before it. `quick` uses one small model, to test the
    benchmark itself.
    """
    rounds = 1 if quick else _ROUNDS
    advance("the machine's peak")
    peak = {"fp32": _peak(np.float32, quick=quick), "int8": _peak(np.int8, quick=quick)}
    figures: Figures = {"machine": _machine(), "products_a_second": peak, "models": {}}
    with tempfile.TemporaryDirectory() as temporary:
        for name in model_names(quick=quick):
            advance(f"making {name}")
            folder = Path(temporary, name)
            folder.mkdir()
            _run("model.bench_models", name, str(folder))
            advance(f"measuring {name}")
            texts = folder / "texts.json"
            contenders = {
                "pipeline": ("pipeline", folder / "checkpoint"),
                "fp32": ("package", folder / "fp32"),
                "int8": ("package", folder / "int8"),
            }
            products = json.loads((folder / "products.json").read_text())
            figures["models"][name] = _compared(_in_turn(contenders, texts, rounds), products, peak)
        advance("measuring the packages of this repository")
        own = {"starter": STARTER, **({"package": PACKAGE} if (PACKAGE / CARD).is_file() and not quick else {})}
        found = _in_turn({name: ("package", path) for name, path in own.items()}, texts, rounds)
        for one in found.values():
            del one["scores"]
        figures["packages"] = found
    return figures


def model_names(*, quick: bool) -> tuple[str, ...]:
    """Return the names of the models that are measured in addition to the starter package."""
    return ("quick",) if quick else MODELS


def steps(*, quick: bool) -> int:
    """Return how many progress steps a run reports."""
    return 2 + 2 * len(model_names(quick=quick))


def tables(figures: Figures) -> list[Table]:
    """Return the figures as tables, one for each model."""
    return [_table(name, contenders) for name, contenders in figures["models"].items()] + [
        _table("packages", figures["packages"])
    ]


def _table(name: str, contenders: Mapping[str, Figures]) -> Table:
    table = Table(name)
    for contender, one in contenders.items():
        batches = f", batches of {one['batch_size']}" if one["batch_size"] > 1 else ""
        table.add_column(f"{contender}{batches}", justify="right")
    kinds = next(iter(contenders.values()))["rates"]
    rows: list[tuple[str, str, Callable[[Figures], float | None]]] = [
        *((f"{kind}, items/s", ".1f", lambda one, kind=kind: one["rates"][kind]) for kind in kinds),
        ("first score, s", ".2f", lambda one: one["load"]),
        ("size, MB", ".1f", lambda one: one["size"] / 1e6),
        ("peak memory, MB", ".0f", lambda one: one["memory"] / 1e6),
        ("largest difference", ".1g", lambda one: one.get("largest_difference")),
        ("of the machine's peak", ".0%", lambda one: one.get("share_of_peak", {}).get("mixed")),
    ]
    if "pipeline" in contenders:
        table.add_column("int8 : pipeline", justify="right")
    for title, form, figure in rows:
        found = {contender: figure(one) for contender, one in contenders.items()}
        cells = ["" if value is None else format(value, form) for value in found.values()]
        table.add_row(title, *cells, *([_ratio(contenders, figure)] if "pipeline" in contenders else []))
    return table


def _ratio(contenders: Mapping[str, Figures], figure: Callable[[Figures], float | None]) -> str:
    """Return the ratio of int8 and pipeline: the median of the rounds, and the least and the most of them."""
    pairs = [
        (figure({**contenders["int8"], **ours}), figure({**contenders["pipeline"], **theirs}))
        for ours, theirs in zip(contenders["int8"]["rounds"], contenders["pipeline"]["rounds"], strict=True)
    ]
    ratios = sorted(ours / theirs for ours, theirs in pairs if ours and theirs)
    if not ratios:
        return ""
    return (
        f"{median(ratios):.3g}"
        if ratios[0] == ratios[-1]
        else f"{median(ratios):.3g} ({ratios[0]:.3g} to {ratios[-1]:.3g})"
    )


def _compared(
    contenders: dict[str, Figures], products: Mapping[str, list[float]], peak: Mapping[str, float]
) -> Figures:
    """Return the contenders with the largest difference from the pipeline's scores, and the share of the peak.

    The share is the time that the products would take at the peak, divided by the measured time. A package in int8
    multiplies weights in eight bits, and queries with keys in fp32.
    """
    exact = np.array(contenders["pipeline"]["scores"])
    for contender, figures in contenders.items():
        figures["largest_difference"] = float(np.abs(np.array(figures.pop("scores")) - exact).max())
        of_weights = peak["int8" if contender == "int8" else "fp32"]
        figures["share_of_peak"] = {
            kind: (weights / of_weights + attention / peak["fp32"]) * figures["rates"][kind]
            for kind, (weights, attention) in products.items()
        }
    return contenders


def _in_turn(contenders: Mapping[str, tuple[str, Path]], texts: Path, rounds: int) -> dict[str, Figures]:
    """Return each contender's median figures, its `rounds` and its size; `contenders` are kinds and folders by name."""
    measured: dict[str, list[Figures]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (kind, folder) in contenders.items():
            started = time.monotonic()
            found = _run("model.bench_contender", kind, str(folder), str(texts), str(started))
            measured[name].append(json.loads(found))
    return {name: _medians(of_rounds, contenders[name][1]) for name, of_rounds in measured.items()}


def _medians(rounds: list[Figures], folder: Path) -> Figures:
    return {
        "rates": {kind: median(one["rates"][kind] for one in rounds) for kind in rounds[0]["rates"]},
        "load": median(one["load"] for one in rounds),
        "memory": max(one["memory"] for one in rounds),
        "size": sum(file.stat().st_size for file in folder.iterdir()),
        "batch_size": rounds[0]["batch_size"],
        "scores": rounds[0]["scores"],
        "rounds": [{"rates": one["rates"], "load": one["load"], "memory": one["memory"]} for one in rounds],
    }


def _run(module: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(  # noqa: S603  # this project's own module
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _peak(kind: type[np.float32 | np.int8], *, quick: bool) -> float:
    """Return how many products a second ONNX Runtime computes in one large matrix product on all cores."""
    size = _GEMM // 8 if quick else _GEMM
    rng = np.random.default_rng(1)
    left: np.ndarray
    right: np.ndarray
    if kind is np.int8:
        left = rng.integers(0, 255, (size, size), dtype=np.uint8)
        right = rng.integers(-63, 63, (size, size), dtype=np.int8)
        operator, of_left, of_right, of_output = "MatMulInteger", TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32
    else:
        left, right = rng.random((2, size, size), dtype=np.float32)
        operator, of_left, of_right, of_output = "MatMul", TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["output"])],
        "peak",
        [helper.make_tensor_value_info("left", of_left, [size, size])],
        [helper.make_tensor_value_info("output", of_output, [size, size])],
        [helper.make_tensor("right", of_right, [size, size], right.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    options = SessionOptions()
    options.intra_op_num_threads = available_cores()
    session = InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    taken = []
    for _ in range(_PEAK_RUNS):
        began = time.perf_counter()
        session.run(None, {"left": left})
        taken.append(time.perf_counter() - began)
    return float(size**3 / min(taken[1:]))


def _machine() -> Figures:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = told.get("flags", "").split()
    return {
        "processor": told.get("model name", platform.processor()),
        "cores": available_cores(),
        "instructions": [flag for flag in ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8") if flag in flags],
        "system": platform.system(),
        "python": platform.python_version(),
    }
