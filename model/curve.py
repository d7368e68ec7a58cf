"""The learning curve: how good a recipe is after so many labels, beside a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model.baselines import Split, in_turn
from model.metrics import Labels, Scores, average_precision

SIZES = (20, 50, 100, 200, 400, 800)
REPEATS = 3
_LEAST_OF_A_KIND = 3

Learner = Callable[[Split], Scores]
"""Learns from a split's training rows and returns the scores of its test rows."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The average precision after learning from `labels` labels: one value a repeat, of the package and the n-grams."""

    labels: int
    package: list[float]
    ngrams: list[float]


def learning_curve(
    splits: Sequence[Split],
    labels: Labels,
    learners: tuple[Learner, Learner],
    *,
    seed: int,
    advance: Callable[[float], None] = lambda _share: None,
) -> list[CurvePoint]:
    """Return a point for each of `SIZES` that the training parts hold, and one for all of them.

    `learners` are the package's recipe and the n-grams. Each of up to `REPEATS` repeats learns from the first rows of
    another fold's training part, shuffled, and is judged by that fold. A size at which some repeat would see
    fewer than a few labels of one kind is left out. `advance` is told the share that is done.
    """
    repeats = splits[:REPEATS]
    orders = [in_turn(split.training, labels, seed + number) for number, split in enumerate(repeats)]
    all_of_them = min(len(order) for order in orders)
    sizes = [
        size
        for size in [*(size for size in SIZES if size < all_of_them), all_of_them]
        if size >= SIZES[0]
        and all(np.bincount(labels[order[:size]], minlength=2).min() >= _LEAST_OF_A_KIND for order in orders)
    ]
    points = []
    for number, size in enumerate(sizes, 1):
        values = [_average_precisions(Split(order[:size], split.test), labels, learners)
                  for order, split in zip(orders, repeats, strict=True)]  # fmt: skip
        points.append(CurvePoint(size, [package for package, _ in values], [ngrams for _, ngrams in values]))
        advance(number / len(sizes))
    return points


def _average_precisions(split: Split, labels: Labels, learners: tuple[Learner, Learner]) -> tuple[float, float]:
    package, ngrams = (average_precision(learner(split), labels[split.test]) for learner in learners)
    return package, ngrams
