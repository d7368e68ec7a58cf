"""How certain the figures are: percentile bootstrap intervals of a model's metrics.

Rows are resampled with replacement within each kind of label, so that every resample has both kinds and every metric a
value. An interval holds 95 % of the resamples' figures (B. Efron and R. J. Tibshirani, An Introduction to the
Bootstrap, 1993: percentile intervals in chapter 13, several samples in chapter 8). The intervals show the effect of
other items of the same kind, not of another training.

This is not scipy.stats.bootstrap, which refuses a kind with a single label, and the metrics are not scikit-learn's,
which sort all rows again in each resample. `tests/unit/test_intervals.py` shows that they give the same figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.learning.metrics import Labels, Scores

METRICS = ("accuracy", "precision", "recall", "f1", "average_precision", "roc_auc", "brier")
RESAMPLES = 1_000
LEVEL = 0.95

Counts = npt.NDArray[np.int64]
"""How often each row counts: once in the original rows, 0 to many times in a resample."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A model's scores of the rows, and which rows it labels 1."""

    scores: Scores
    chosen: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its interval."""

    value: float
    low: float
    high: float


class Figures:
    """The metrics of one model on one set of rows; it sorts once, so that a resample needs only a few sums."""

    def __init__(self, judged: Judged, labels: Labels) -> None:
        """`labels` must hold both 0 and 1."""
        self._order = np.argsort(-judged.scores, kind="stable")
        self._liked = labels[self._order] == 1
        self._chosen = judged.chosen[self._order]
        self._squared_errors = (judged.scores[self._order] - self._liked) ** 2
        # Rows of equal score are one step of every curve, so their order does not matter.
        self._last_of_ties = np.append(np.diff(judged.scores[self._order]) != 0, True)

    def of(self, counts: Counts) -> npt.NDArray[np.float64]:
        """Return the figures in the order of `METRICS`; precision is 0 where nothing is chosen."""
        sorted_counts = counts[self._order]
        liked_counts = sorted_counts * self._liked
        rows, liked = int(sorted_counts.sum()), int(liked_counts.sum())
        chosen, hits = int(sorted_counts[self._chosen].sum()), int(liked_counts[self._chosen].sum())
        above, liked_above = np.cumsum(sorted_counts)[self._last_of_ties], np.cumsum(liked_counts)[self._last_of_ties]
        step = np.diff(liked_above, prepend=0)
        others_step = np.diff(above, prepend=0) - step
        pairs_won = float(others_step @ (liked_above - step / 2))
        return np.array(
            [
                (rows - liked - chosen + 2 * hits) / rows,
                hits / chosen if chosen else 0.0,
                hits / liked,
                2 * hits / (chosen + liked),
                float(step @ (liked_above / np.maximum(above, 1))) / liked,
                pairs_won / (liked * (rows - liked)),
                float(sorted_counts @ self._squared_errors) / rows,
            ]
        )


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The figures of several models on the same rows, and on the same resamples of them."""

    values: dict[str, npt.NDArray[np.float64]]
    resampled: dict[str, npt.NDArray[np.float64]]

    def estimates(self, model: str) -> dict[str, Estimate]:
        """Return each metric of a model with its interval."""
        return _estimates(self.values[model], self.resampled[model])

    def differences(self, model: str, other: str) -> dict[str, Estimate]:
        """Return the paired differences of two models' metrics: both see the same rows in every resample."""
        return _estimates(self.values[model] - self.values[other], self.resampled[model] - self.resampled[other])


def bootstrap(
    models: Mapping[str, Judged],
    labels: Labels,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    advance: Callable[[float], None] = lambda _share: None,
) -> Bootstrap:
    """Return the figures of each model on rows with `labels`, which must hold both 0 and 1.

    `advance` gets the share that is done.
    """
    figures = {name: Figures(judged, labels) for name, judged in models.items()}
    rng = np.random.default_rng(seed)
    kinds = [np.flatnonzero(labels == kind) for kind in (0, 1)]
    resampled = {name: np.empty((resamples, len(METRICS))) for name in models}
    for number in range(resamples):
        counts = _resample(kinds, rng)
        for name in models:
            resampled[name][number] = figures[name].of(counts)
        advance((number + 1) / resamples)
    once = np.ones(len(labels), dtype=np.int64)
    return Bootstrap({name: figures[name].of(once) for name in models}, resampled)


def _resample(kinds: Sequence[npt.NDArray[np.int64]], rng: np.random.Generator) -> Counts:
    drawn = [rows[rng.integers(0, len(rows), len(rows))] for rows in kinds]
    return np.bincount(np.concatenate(drawn), minlength=sum(map(len, kinds)))


def _estimates(values: npt.NDArray[np.float64], resampled: npt.NDArray[np.float64]) -> dict[str, Estimate]:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {
        name: Estimate(float(values[index]), float(low[index]), float(high[index]))
        for index, name in enumerate(METRICS)
    }
