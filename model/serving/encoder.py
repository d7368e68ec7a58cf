"""Turns texts into embeddings, with ONNX Runtime and a fast tokenizer."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from onnxruntime import InferenceSession, SessionOptions  # type: ignore[attr-defined]  # it has no __all__
from tokenizers import Tokenizer

from model.serving.head import Embeddings

_CHARACTERS_A_TOKEN = 64
"""Texts are cut at so many characters for each token they may keep, which bounds the tokenizer's work."""


class Encoder:
    """An ONNX graph that outputs one `embedding` for each text, and its tokenizer."""

    def __init__(self, graph: bytes | Path, tokenizer: bytes, max_tokens: int) -> None:
        """Read the graph and the tokenizer; a graph in a file is read without a copy in memory.

        Texts are cut at `max_tokens`. Raises `ValueError` naming the part that cannot be read.
        """
        with ThreadPoolExecutor(1) as pool:  # the graph is read without the GIL, so the tokenizer loads meanwhile
            session = pool.submit(_session, graph)
            try:
                self._tokenizer = Tokenizer.from_buffer(tokenizer)
            except ValueError as error:
                raise ValueError(f"its tokenizer cannot be read ({error})") from error
            self._session = session.result()
        self._tokenizer.no_padding()
        self._keeps_the_end = (self._tokenizer.truncation or {}).get("direction") == "left"
        self._tokenizer.enable_truncation(max_tokens, direction="left" if self._keeps_the_end else "right")
        self._most_characters = max_tokens * _CHARACTERS_A_TOKEN
        self._cores = available_cores()
        inputs = {graph_input.name for graph_input in self._session.get_inputs()}
        outputs = {output.name: output.shape for output in self._session.get_outputs()}
        if not {"input_ids"} <= inputs <= {"input_ids", "attention_mask"} or "embedding" not in outputs:
            raise ValueError("its graph must turn input_ids (and attention_mask) into embedding")
        self._takes_mask = "attention_mask" in inputs
        self.dimensions = int(outputs["embedding"][-1])
        """The length of an embedding."""

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return one row for each text, in the order given.

        A text's row does not depend on the others. The int8 graph uses one scale for all activations of a run, so the
        texts of a batch would change each other's scores. Therefore each text runs alone, and equal texts run once.
        """
        token_ids = [tuple(self._tokenizer.encode(self._readable(text)).ids) for text in texts]
        # Longest first, so that no thread gets a long text at the end.
        distinct = sorted(set(token_ids), key=len, reverse=True)
        with ThreadPoolExecutor(self._cores) as pool:
            rows = dict(zip(distinct, pool.map(self._embed_one, distinct), strict=True))
        return np.array([rows[ids] for ids in token_ids], dtype=np.float32).reshape(len(texts), self.dimensions)

    def _readable(self, text: str) -> str:
        # JSON may hold half a surrogate pair, which no tokenizer accepts.
        kept = text[-self._most_characters :] if self._keeps_the_end else text[: self._most_characters]
        return kept.encode("utf-8", "replace").decode("utf-8")

    def _embed_one(self, token_ids: tuple[int, ...]) -> Embeddings:
        if not token_ids:  # an empty text, if the tokenizer adds no tokens of its own
            return np.zeros(self.dimensions, dtype=np.float32)
        ids = np.array([token_ids], dtype=np.int64)
        mask = {"attention_mask": np.ones_like(ids)} if self._takes_mask else {}
        outputs = self._session.run(["embedding"], {"input_ids": ids, **mask})
        return np.asarray(outputs[0], dtype=np.float32).reshape(self.dimensions)


def _session(graph: bytes | Path) -> InferenceSession:
    options = SessionOptions()
    # One thread for each text: a text is too short to be divided.
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no other base class
        raise ValueError(f"its graph cannot be read ({error})") from error


def available_cores(cpu_max: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return how many cores this process may use, by its affinity and the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cpu_max.read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no control group, or a quota of "max"
        pass
    return max(cores, 1)
