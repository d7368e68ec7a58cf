"""How good scores are, against labels of 0 and 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]


def accuracy(scores: Scores, labels: Labels, threshold: float) -> float:
    """Return the share of items on the right side of the threshold."""
    return float(np.mean((scores >= threshold) == (labels == 1)))


def f1(scores: Scores, labels: Labels, threshold: float) -> float:
    """Return the harmonic mean of precision and recall at the threshold, 0 where neither label nor score says 1."""
    predicted = scores >= threshold
    hits = int(np.sum(predicted & (labels == 1)))
    said = int(np.sum(predicted)) + int(np.sum(labels == 1))
    return 2 * hits / said if said else 0.0


def average_precision(scores: Scores, labels: Labels) -> float:
    """Return the mean, over the items labelled 1, of the precision down to that item's score; 0 where there is none.

    Items of equal score count as one step, so their order makes no difference.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(labels[order] == 1)[last_of_ties]
    if not len(hits) or not hits[-1]:
        return 0.0
    precision = hits / (np.flatnonzero(last_of_ties) + 1)
    return float(np.sum(np.diff(hits, prepend=0) * precision) / hits[-1])


def best_threshold(scores: Scores, labels: Labels) -> float:
    """Return the threshold of the best F1, halfway between two neighbouring scores; the lowest of equally good ones.

    Where it is best to choose every item, that is the lowest score itself.
    """
    order = np.argsort(scores, kind="stable")
    ordered, liked = scores[order], labels[order] == 1
    first_of_ties = np.append(True, np.diff(ordered) != 0)
    hits = np.cumsum(liked[::-1])[::-1][first_of_ties]
    chosen = np.arange(len(scores), 0, -1)[first_of_ties]
    best = int(np.argmax(2 * hits / (chosen + liked.sum())))
    levels = ordered[first_of_ties]
    return float(levels[0] if best == 0 else (levels[best - 1] + levels[best]) / 2)
