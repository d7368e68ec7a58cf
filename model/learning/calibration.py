"""Turns a linear head's sums into probabilities, and chooses its threshold. Needs scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from model.learning.matrix import Rows
from model.learning.metrics import Labels, Scores

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


def threshold_of_cost(cost: float) -> float:
    """Return the threshold with the highest expected utility if a like is worth 1 and an unwanted post costs `cost`.

    A post with the probability p of a like is worth p - cost (1 - p), so it pays from p = cost / (1 + cost) on.
    """
    return cost / (1 + cost)


@dataclass(frozen=True, slots=True)
class PressModel:
    """How the owner presses: the probability that a seen item gets a press if they like it, and if they do not."""

    liked: float
    disliked: float

    def probability_of_press(self, probabilities: Scores) -> Scores:
        """Return the probability of a press for items with these probabilities of a like."""
        return np.asarray(self.liked * probabilities + self.disliked * (1 - probabilities), dtype=np.float64)

    def among_pressed(self, probabilities: Scores) -> Scores:
        """Return the probability that a press says 1."""
        return np.asarray(self.liked * probabilities / self.probability_of_press(probabilities), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class SilentCalibration:
    """A calibration that counts silence, how the owner presses, and the log-likelihood of what each item got."""

    calibration: Calibration
    presses: PressModel
    log_likelihood: Scores


_STARTS = ((0.9, 0.9), (0.9, 0.3), (0.6, 0.6))


def calibrate_with_silence(sums: Scores, labels: Labels, silent: Rows) -> SilentCalibration:
    """Return the calibration of items of which some were seen and got no press; `silent` are their rows.

    An item with the probability p of a like is pressed as liked with a p, as disliked with b (1 - p), and else left
    alone. Line, a and b are those of the greatest likelihood: the best items show how many likes are pressed, the worst
    how many dislikes. Weak priors keep a and b away from 0 and 1, and a above b where nothing is known.
    """
    scale = float(np.std(sums)) or 1.0
    pressed = np.ones(len(sums), dtype=bool)
    pressed[silent] = False
    liked, disliked = pressed & (labels == 1), pressed & (labels == 0)

    def likelihoods(point: Scores) -> Scores:
        p = np.clip(expit(point[0] * sums / scale + point[1]), 1e-9, 1 - 1e-9)
        a, b = np.clip(expit(point[2:]), 1e-6, 1 - 1e-6)
        return np.asarray(
            np.log(np.select([liked, disliked], [a * p, b * (1 - p)], 1 - a * p - b * (1 - p))), dtype=np.float64
        )

    def cost(point: Scores) -> float:
        a, b = np.clip(expit(point[2:]), 1e-6, 1 - 1e-6)
        prior = 2 * np.log(a) + 0.5 * np.log(1 - a) + 0.5 * np.log(b) + 0.5 * np.log(1 - b)
        return float(-likelihoods(point).sum() - prior + 0.02 * (point[0] - 1) ** 2)

    found = min(
        (minimize(cost, [1.5, 0.0, logit(a), logit(b)], method="BFGS") for a, b in _STARTS),
        key=lambda result: float(result.fun),
    )
    slope, intercept = max(float(found.x[0]), _LEAST_SLOPE), float(found.x[1])
    a, b = (float(value) for value in expit(found.x[2:]))
    return SilentCalibration(Calibration(slope / scale, intercept), PressModel(a, b), likelihoods(found.x))
