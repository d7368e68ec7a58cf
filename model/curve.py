"""The learning curve: how good a recipe is by number of labels, beside a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model.baselines import in_turn
from model.learning.folds import Split
from model.learning.metrics import Labels, Scores, average_precision

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
    """Return a point for each of `SIZES` that fits the training rows, and one for all training rows.

    `learners` are the package's recipe and the n-grams. Each of up to `REPEATS` repeats takes another fold: it learns
    from the first of the shuffled training rows and is judged on the test rows. A size is skipped if a repeat would
    see too few labels of one kind. `advance` gets the share that is done.
    """
    repeats = splits[:REPEATS]
    orders = [in_turn(split.training, labels, seed + number) for number, split in enumerate(repeats)]
    most = min(len(order) for order in orders)
    sizes = [
        size
        for size in [*(size for size in SIZES if size < most), most]
        if size >= SIZES[0]
        and all(np.bincount(labels[order[:size]], minlength=2).min() >= _LEAST_OF_A_KIND for order in orders)
    ]
    points = []
    for number, size in enumerate(sizes, 1):
        parts = [Split(order[:size], split.test) for order, split in zip(orders, repeats, strict=True)]
        package, ngrams = (
            [average_precision(learner(part), labels[part.test]) for part in parts] for learner in learners
        )
        points.append(CurvePoint(size, package, ngrams))
        advance(number / len(sizes))
    return points
