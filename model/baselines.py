"""What a model must beat: the majority class, and character n-grams under a logistic regression. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from model.dataset import Example
from model.intervals import Judged
from model.metrics import Labels, Scores, best_threshold
from osusume.errors import UserError

FOLDS = 5
MOST_TRAINING_ROWS = 10_000
"""The n-grams learn from no more rows than this, drawn from both kinds alike, so that large files stay quick."""

_INNER_FOLDS = 3

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """One fold: the rows to learn from, and the rows to judge."""

    training: Rows
    test: Rows


def splits_of(examples: Sequence[Example], seed: int) -> list[Split]:
    """Return the folds that the examples name, or else `FOLDS` stratified ones, fewer where a kind has fewer labels.

    Raises `UserError` where only some examples name a fold, or where a training part would lack one kind of label.
    """
    labels = labels_of(examples)
    named = [example.fold for example in examples if example.fold is not None]
    if not named:
        return _stratified(labels, FOLDS, seed)
    if len(named) < len(examples):
        raise UserError(f"{len(examples) - len(named)} examples have no fold and the others do: name all or none")
    folds = np.array(named)
    splits = [Split(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in np.unique(folds)]
    for fold, split in zip(np.unique(folds), splits, strict=True):
        if len(np.unique(labels[split.training])) < 2:
            raise UserError(f"outside fold {fold} all labels are of one kind or there is none: divide anew")
    return splits


def labels_of(examples: Sequence[Example]) -> Labels:
    """Return the labels as 0 and 1."""
    return np.array([int(example.is_interested) for example in examples], dtype=np.int64)


def in_turn(rows: Rows, labels: Labels, seed: int) -> Rows:
    """Return the rows shuffled so that the first of them, however many, have about the same share of liked ones."""
    shuffled = np.random.default_rng(seed).permutation(rows)
    place = np.empty(len(shuffled))
    for kind in (0, 1):
        of_kind = labels[shuffled] == kind
        place[of_kind] = (np.arange(of_kind.sum()) + 0.5) / max(of_kind.sum(), 1)
    return shuffled[np.argsort(place, kind="stable")]


def majority(labels: Labels) -> Judged:
    """Return what knowing nothing of the items gives: the share of liked ones as everyone's score."""
    share = float(labels.mean())
    return Judged(np.full(len(labels), share), np.full(len(labels), share >= 0.5))


class CharacterNgrams:
    """TF-IDF of character 2- to 4-grams and a logistic regression, a hard baseline on short texts.

    It counts every text once; what it learns, the n-grams it knows and their rarity included, comes from training rows
    alone.
    """

    def __init__(self, texts: Sequence[str], labels: Labels) -> None:
        vectorizer = CountVectorizer(analyzer="char", ngram_range=(2, 4), dtype=np.float32)
        self._counts: csr_matrix = vectorizer.fit_transform(texts)
        self._labels = labels

    def judge(self, split: Split, seed: int) -> Judged:
        """Return scores and choices of the test rows; both kinds of label must be among the training rows.

        The threshold is the best for F1 on the training rows, scored out of fold among themselves.
        """
        training = in_turn(split.training, self._labels, seed)[:MOST_TRAINING_ROWS]
        labels = self._labels[training]
        inner = _stratified(labels, _INNER_FOLDS, seed)
        threshold = 0.5
        if inner:
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
        # liblinear: the default solver's dense sums run on many threads, which crawl on a busy machine
        regression = LogisticRegression(C=10, solver="liblinear", max_iter=1_000)
        regression.fit(learnt, self._labels[split.training])
        scores: Scores = regression.predict_proba(weights.transform(self._counts[split.test][:, known]))[:, 1]
        return scores


def _stratified(labels: Labels, folds: int, seed: int) -> list[Split]:
    """Return up to `folds` folds with both kinds in each, none where a kind has only one label."""
    folds = min(folds, int(np.bincount(labels, minlength=2).min()))
    if folds < 2:
        return []
    divided = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    return [Split(training, test) for training, test in divided]
