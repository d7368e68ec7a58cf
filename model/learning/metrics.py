"""How good scores are against labels of 0 and 1. Needs scikit-learn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, average_precision_score, confusion_matrix_at_thresholds, f1_score

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


def accuracy(scores: Scores, labels: Labels, threshold: float) -> float:
    """Return the share of items on the right side of the threshold."""
    return float(accuracy_score(labels, scores >= threshold))


def f1(scores: Scores, labels: Labels, threshold: float) -> float:
    """Return the harmonic mean of precision and recall at the threshold; 0 where no label and no score says 1."""
    return float(f1_score(labels, scores >= threshold, zero_division=0))


def average_precision(scores: Scores, labels: Labels) -> float:
    """Return the average precision of the scores; 0 where no item is labelled 1."""
    return float(average_precision_score(labels, scores)) if labels.any() else 0.0


def best_threshold(scores: Scores, labels: Labels) -> float:
    """Return the threshold of the best F1, halfway between two neighbouring scores; the lowest of equally good ones.

    Where choosing every item is best, that is the lowest score itself.
    """
    _, false_positives, false_negatives, hits, levels = confusion_matrix_at_thresholds(labels, scores)
    f1_at = 2 * hits / (2 * hits + false_positives + false_negatives)
    best = int(np.flatnonzero(f1_at == f1_at.max())[-1])  # levels fall, so the last is the lowest
    return float(np.mean(levels[best : best + 2]))
