"""What a model must beat: the majority class, and a logistic regression over character n-grams. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression

from model.intervals import Judged
from model.learning.folds import Split, stratified
from model.learning.matrix import Rows
from model.learning.metrics import Labels, Scores, best_threshold

MOST_TRAINING_ROWS = 10_000
"""The n-grams learn from a stratified sample of at most this many rows, so that large files stay quick."""

_INNER_FOLDS = 3


def in_turn(rows: Rows, labels: Labels, seed: int) -> Rows:
    """Return the rows shuffled so that any number of first rows has about the same share of liked ones."""
    shuffled = np.random.default_rng(seed).permutation(rows)
    place = np.empty(len(shuffled))
    for kind in (0, 1):
        of_kind = labels[shuffled] == kind
        place[of_kind] = (np.arange(of_kind.sum()) + 0.5) / max(of_kind.sum(), 1)
    return shuffled[np.argsort(place, kind="stable")]


def majority(labels: Labels) -> Judged:
    """Return the judgement of the majority class: every item's score is the share of liked ones."""
    share = float(labels.mean())
    return Judged(np.full(len(labels), share), np.full(len(labels), share >= 0.5))


class CharacterNgrams:
    """TF-IDF of character 2- to 4-grams and a logistic regression: a strong baseline on short texts.

    It counts every text once. Everything it learns, including which n-grams exist and how rare they are, comes from
    training rows alone.
    """

    def __init__(self, texts: Sequence[str], labels: Labels) -> None:
        vectorizer = CountVectorizer(analyzer="char", ngram_range=(2, 4), dtype=np.float32)
        self._counts: csr_matrix = vectorizer.fit_transform(texts)
        self._labels = labels

    def judge(self, split: Split, seed: int) -> Judged:
        """Return scores and choices of the test rows; the training rows must hold both kinds of label.

        The threshold has the best F1 on the training rows, which are scored out of fold.
        """
        training = in_turn(split.training, self._labels, seed)[:MOST_TRAINING_ROWS]
        labels = self._labels[training]
        threshold = 0.5
        if inner := stratified(labels, _INNER_FOLDS, seed):
            scores = np.empty(len(training))
            for part in inner:
                scores[part.test] = self.scores(Split(training[part.training], training[part.test]))
            threshold = best_threshold(scores, labels)
        test_scores = self.scores(Split(training, split.test))
        return Judged(test_scores, test_scores >= threshold)

    def scores(self, split: Split) -> Scores:
        """Return the scores of the test rows after learning from the training rows."""
        training = self._counts[split.training]
        known = training.getnnz(axis=0) >= (2 if len(split.training) > 100 else 1)
        weights = TfidfTransformer(sublinear_tf=True)
        learnt = weights.fit_transform(training[:, known])
        # Not the default solver: its dense sums use many threads, which are slow on a busy machine.
        regression = LogisticRegression(C=10, solver="liblinear", max_iter=1_000)
        regression.fit(learnt, self._labels[split.training])
        scores: Scores = regression.predict_proba(weights.transform(self._counts[split.test][:, known]))[:, 1]
        return scores
