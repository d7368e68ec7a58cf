from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from model.intervals import METRICS, Figures, Judged, bootstrap
from model.learning.metrics import Labels, Scores


def rows(count: int, seed: int, *, levels: int | None = None) -> tuple[Scores, Labels]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < 0.3).astype(np.int64)
    labels[:2] = 0, 1
    scores = np.clip(0.5 * rng.random(count) + 0.3 * labels, 0, 1)
    return (np.round(scores * levels) / levels if levels else scores), labels


def figures(scores: Scores, labels: Labels, threshold: float = 0.5) -> dict[str, float]:
    values = Figures(Judged(scores, scores >= threshold), labels).of(np.ones(len(labels), dtype=np.int64))
    return dict(zip(METRICS, values.tolist(), strict=True))


@pytest.mark.parametrize("levels", [None, 7, 1], ids=["distinct scores", "many ties", "two scores"])
def test_figures_are_those_of_scikit_learn(levels: int | None) -> None:
    scores, labels = rows(400, 1, levels=levels)
    chosen = scores >= 0.5
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, chosen),
        "precision": sklearn_metrics.precision_score(labels, chosen, zero_division=0),
        "recall": sklearn_metrics.recall_score(labels, chosen),
        "f1": sklearn_metrics.f1_score(labels, chosen),
        "average_precision": sklearn_metrics.average_precision_score(labels, scores),
        "roc_auc": sklearn_metrics.roc_auc_score(labels, scores),
        "brier": sklearn_metrics.brier_score_loss(labels, scores),
    }
    assert figures(scores, labels) == pytest.approx(expected)


def test_figures_of_a_resample_are_those_of_its_repeated_rows() -> None:
    scores, labels = rows(200, 3, levels=30)
    counts = np.random.default_rng(3).integers(0, 4, len(labels))
    drawn = np.repeat(np.arange(len(labels)), counts)
    found = Figures(Judged(scores, scores >= 0.5), labels).of(counts)
    assert dict(zip(METRICS, found.tolist(), strict=True)) == pytest.approx(figures(scores[drawn], labels[drawn]))


def test_choosing_nothing_has_a_precision_of_zero() -> None:
    scores, labels = rows(50, 4)
    found = figures(scores, labels, threshold=2.0)
    assert (found["precision"], found["recall"], found["f1"]) == (0.0, 0.0, 0.0)


def test_an_interval_holds_its_figure_and_narrows_with_more_rows() -> None:
    widths = []
    for count in (100, 1600):
        scores, labels = rows(count, 5)
        estimate = bootstrap({"model": Judged(scores, scores >= 0.5)}, labels, seed=1).estimates("model")["roc_auc"]
        assert estimate.low < estimate.value < estimate.high
        widths.append(estimate.high - estimate.low)
    assert widths[1] < widths[0] / 2


def test_about_95_percent_of_intervals_hold_the_true_value() -> None:
    rng = np.random.default_rng(6)
    held = 0
    for seed in range(100):
        labels = np.repeat([0, 1], 100)
        scores = rng.normal(labels.astype(float))  # a liked one scores higher with probability Phi(1/sqrt(2))
        sampled = bootstrap({"model": Judged(scores, scores >= 0.5)}, labels, seed=seed, resamples=200)
        estimate = sampled.estimates("model")["roc_auc"]
        held += estimate.low <= 0.7602 <= estimate.high
    assert 87 <= held <= 100


def test_the_same_seed_gives_the_same_intervals() -> None:
    scores, labels = rows(80, 7)
    models = {"model": Judged(scores, scores >= 0.5)}
    assert bootstrap(models, labels, seed=1).estimates("model") == bootstrap(models, labels, seed=1).estimates("model")


def test_a_model_does_not_differ_from_itself_in_any_resample() -> None:
    scores, labels = rows(80, 8)
    judged = Judged(scores, scores >= 0.5)
    for difference in bootstrap({"one": judged, "other": judged}, labels, seed=1).differences("one", "other").values():
        assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_a_hundred_thousand_rows_take_seconds() -> None:
    scores, labels = rows(100_000, 9)
    began = time.process_time()
    bootstrap({"model": Judged(scores, scores >= 0.5)}, labels, seed=1, resamples=100)
    assert time.process_time() - began < 5
