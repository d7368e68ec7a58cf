"""`python -m model bench`: compares packages with transformers' pipeline, on the same texts, in one run.

Nothing here imports torch: models are made and measured in separate processes.
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

MODELS = ("ModernBERT-30m", "DistilBERT-base")
STARTER = Path(__file__).parent / "starter"

Figures = dict[str, Any]
"""The figures of a contender, or of the whole run, as JSON values."""

_GEMM = 2048
_PEAK_RUNS = 5
_STARTS, _QUICK_STARTS = 5, 1
"""How often a contender is started to measure its first score, of which the median is reported."""


def run_bench(*, quick: bool, advance: Callable[[str], None]) -> Figures:
    """Return the figures of the machine, of each model's contenders, and of the starter package.

    `advance` is called with the name of each of the `steps` before it. `quick` uses one small model, to test the
    benchmark itself.
    """
    starts = _QUICK_STARTS if quick else _STARTS
    advance("the machine's peak")
    peak = {"fp32": _peak(np.float32, quick=quick), "int8": _peak(np.int8, quick=quick)}
    figures: Figures = {"machine": _machine(), "products_a_second": peak, "models": {}}
    with tempfile.TemporaryDirectory() as temporary:
        for name in model_names(quick=quick):
            advance(f"making {name}")
            folder = Path(temporary, name)
            folder.mkdir()
            _run("model.bench_models", name, str(folder))
            contenders = {}
            for contender, kind, part in (
                ("pipeline", "pipeline", "checkpoint"),
                ("fp32", "package", "fp32"),
                ("int8", "package", "int8"),
            ):
                advance(f"{name}: {contender}")
                contenders[contender] = _measured(kind, folder / part, folder / "texts.json", starts)
            products = json.loads((folder / "products.json").read_text())
            figures["models"][name] = _compared(contenders, products, peak)
            starter_texts = folder / "texts.json"
        advance("starter package")
        figures["starter"] = _measured("package", STARTER, starter_texts, starts)
        del figures["starter"]["scores"]
    return figures


def model_names(*, quick: bool) -> tuple[str, ...]:
    """Return the names of the models that are measured in addition to the starter package."""
    return ("quick",) if quick else MODELS


def steps(*, quick: bool) -> int:
    """Return how many progress steps a run reports."""
    return 2 + 4 * len(model_names(quick=quick))


def tables(figures: Figures) -> list[Table]:
    """Return the figures as tables, one for each model."""
    return [_table(name, contenders) for name, contenders in figures["models"].items()] + [
        _table("starter package", {"int8": figures["starter"]})
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
        theirs, ours = found.get("pipeline"), found.get("int8")
        table.add_row(title, *cells, *([f"{ours / theirs:.3g}"] if theirs and ours else []))
    return table


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


def _measured(kind: str, folder: Path, texts: Path, starts: int) -> Figures:
    def run(*mode: str) -> Figures:
        started = time.monotonic()
        figures: Figures = json.loads(_run("model.bench_contender", kind, str(folder), str(texts), str(started), *mode))
        return figures

    figures = run()
    loads = [figures["load"], *(run("first")["load"] for _ in range(starts - 1))]
    return {**figures, "load": median(loads), "size": sum(file.stat().st_size for file in folder.iterdir())}


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
