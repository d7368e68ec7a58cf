"""Measures what a head costs: scoring with it, reading it, and fitting it anew, apart from embedding the works."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.learning.examples import Example
from model.learning.train import Strengths, train
from model.serving.head import Head
from model.serving.package import ModelPackage
from model.serving.text import compose
from samples.works import generate_works, made_up_taste

LABELS = 200
"""Labels of the refit that is measured: some months of presses."""


@dataclass(frozen=True, slots=True)
class HeadSeconds:
    """Processor seconds: of embedding a work, of scoring one with reasons, of reading a head, of a refit."""

    embed: float
    score: float
    read: float
    refit: float


def measure_heads(folder: Path, works: int, labels: int = LABELS) -> HeadSeconds:
    """Return what the heads of the package in `folder` take, scoring `works` at a time, and fitted to `labels`."""
    package = ModelPackage.load(folder)
    items = generate_works(max(works, labels), seed=works)
    texts = [compose(item, package.card.order, package.card.keywords) for item in items]
    encoder = package.encoder
    if encoder is None:
        raise ValueError(f"{folder} has no encoder: take a package that has one")
    embed = _seconds(lambda: encoder.embed(texts[:works])) / works
    whole = _seconds(lambda: package.score(items[:works])) / works
    stored = package.head.to_bytes()
    examples = [Example(item, made_up_taste(item)) for item in items[:labels]]
    embeddings = encoder.embed(texts[:labels])
    strengths = Strengths.usual(labels, embeddings.shape[1])
    return HeadSeconds(
        embed=embed,
        score=max(0.0, whole - embed),
        read=_seconds(lambda: Head.from_bytes(stored)),
        refit=_seconds(lambda: train(examples, encoder=encoder, embeddings=embeddings, strengths=strengths), times=1),
    )


def _seconds(work: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken)
