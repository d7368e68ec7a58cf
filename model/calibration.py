"""Turns a linear head's sums into probabilities, and chooses its threshold. Needs scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from model.metrics import Labels, Scores

_LEAST_SLOPE = 0.05
"""Used when a few labels give a flat or reversed line by chance: it keeps the order of scores and little spread."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A line from a sum to a logit."""

    slope: float
    intercept: float

    def logits(self, sums: Scores) -> Scores:
        """Return the logits of sums."""
        return np.asarray(self.slope * sums + self.intercept, dtype=np.float64)


def calibrate(sums: Scores, labels: Labels) -> Calibration:
    """Return the line that turns sums of items into probabilities (Platt, 1999).

    The sums must come from heads that did not see the item's label. Labels are softened as Platt describes, so that a
    few perfectly separated labels do not give certainty.
    """
    liked = int(labels.sum())
    other = len(labels) - liked
    soft = np.where(labels == 1, (liked + 1) / (liked + 2), 1 / (other + 2))
    scale = float(np.std(sums)) or 1.0
    regression = LogisticRegression(C=1e6, max_iter=1_000)
    twice = np.concatenate([sums, sums])[:, None] / scale
    kinds = np.repeat([1, 0], len(sums))
    regression.fit(twice, kinds, sample_weight=np.concatenate([soft, 1 - soft]))
    slope = float(regression.coef_[0, 0])
    if slope >= _LEAST_SLOPE:
        return Calibration(slope / scale, float(regression.intercept_[0]))
    centre = float(np.mean(sums)) / scale
    share = (liked + 1) / (len(labels) + 2)
    return Calibration(_LEAST_SLOPE / scale, float(np.log(share / (1 - share))) - _LEAST_SLOPE * centre)


def threshold_of_best_f1(probabilities: Scores) -> float:
    """Return the threshold with the highest expected F1, assuming that the probabilities are right.

    It is half of that F1 (Lipton, Elkan and Naryanaswamy, Optimal Thresholding of Classifiers to Maximize F1 Measure,
    2014). The F1 of the labels themselves has many peaks of similar height, and a few items decide which is highest.
    """
    liked = np.cumsum(np.sort(probabilities)[::-1])
    chosen = np.arange(1, len(probabilities) + 1)
    return float(np.max(liked / (chosen + liked[-1])))
