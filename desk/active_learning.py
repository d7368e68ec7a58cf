"""What the labels teach so far: how well, which works would teach more, which labels look doubtful.

The head learns as `model.train`'s does, over text and fields, but with the strengths that it begins its search from:
the desk learns anew every few labels. Needs scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from model.calibration import calibrate
from model.intervals import Estimate, Judged, bootstrap
from model.matrix import Rows, read_fields, read_view
from model.metrics import Labels
from model.serving.features import VIEWS
from model.serving.head import Scores, squash
from model.serving.text import ORDER
from model.train import Strengths
from osusume.items import Item

_FOLDS = 5
_DRAWS = 3
_ENOUGH = 200
"""With fewer labels the folds are drawn several times, since one draw says little."""

_RESAMPLES = 300
_CHOSEN = 40
"""So many works are chosen at a time for teaching much together; the next lesson comes sooner than they run out."""

_CANDIDATES = 400
"""They are chosen from so many of the least certain."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """How well a head predicts labels that it has not seen, and the accuracy of the majority class.

    `better_by` is the accuracy above always giving the more frequent answer; the intervals hold 95 % of resamples.
    """

    labels: int
    accuracy: Estimate
    majority_accuracy: float
    average_precision: Estimate
    share_liked: float
    better_by: Estimate


@dataclass(frozen=True, slots=True)
class Lesson:
    """What `labels` labels teach; ids of items in `teaching` and `doubtful` stand the most worthwhile first.

    `chances` are the probabilities that labelled items are liked, by heads that had not seen their label.
    """

    labels: int
    learnt: Learnt
    teaching: list[str]
    doubtful: list[str]
    chances: dict[str, float]


class Course:
    """The features of a set of items, read once, and the lessons drawn from labels of some of them."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._ids = [item.item_id for item in items]
        # An n-gram is left out where too few of all items have it, but one labelled item is enough to learn of it.
        self._views = [replace(read_view(items, view, 1), least=1) for view in VIEWS]
        self._fields = read_fields(items, ORDER)[1]

    def knows(self, item_ids: Iterable[str]) -> bool:
        """Return whether it has read all these items."""
        return set(self._ids).issuperset(item_ids)

    def lesson(self, labels: Mapping[str, bool], seed: int = 1) -> Lesson | None:
        """Return what the labels teach, None where one kind has fewer than two."""
        rows = np.array([row for row, item_id in enumerate(self._ids) if item_id in labels], dtype=np.int64)
        kinds = np.array([int(labels[self._ids[row]]) for row in rows], dtype=np.int64)
        folds = min(_FOLDS, int(np.bincount(kinds, minlength=2).min()))
        if folds < 2:
            return None
        with threadpool_limits(1, user_api="blas"):  # the matrices are small: more threads would wait for each other
            return self._lesson(rows, kinds, folds, seed)

    def _lesson(self, rows: Rows, kinds: Labels, folds: int, seed: int) -> Lesson:
        sums = np.zeros(len(rows))
        draws = _DRAWS if len(rows) < _ENOUGH else 1
        for draw in range(draws):
            for training, test in StratifiedKFold(folds, shuffle=True, random_state=seed + draw).split(rows, kinds):
                sums[test] += self._sums(rows[training], kinds[training], rows[test]) / draws
        line = calibrate(sums, kinds)
        chances = squash(line.logits(sums))
        left = np.setdiff1d(np.arange(len(self._ids)), rows)
        teaching = most_teaching(
            np.abs(line.logits(self._sums(rows, kinds, left))), self._directions(left), _CHOSEN, _CANDIDATES
        )
        distance = np.abs(chances - kinds)
        doubtful = [int(row) for row in np.argsort(-distance, kind="stable") if distance[row] > 0.5]
        return Lesson(
            labels=len(rows),
            learnt=_learnt(chances, kinds, seed),
            teaching=[self._ids[left[row]] for row in teaching],
            doubtful=[self._ids[rows[row]] for row in doubtful],
            chances={self._ids[row]: float(chance) for row, chance in zip(rows, chances, strict=True)},
        )

    def _sums(self, training: Rows, kinds: Labels, judged: Rows) -> Scores:
        """Return the sums that a head which learns from the `training` rows gives the `judged` ones."""
        if not len(judged):
            return np.zeros(0)
        known = [view.known(training) for view in self._views]
        strengths = Strengths()

        def features(rows: Rows) -> sparse.csr_matrix:
            text = [view.weighed(rows, ngrams) for view, ngrams in zip(self._views, known, strict=True)]
            return sparse.csr_matrix(sparse.hstack([*text, self._fields[rows] * strengths.fields]))

        regression = LogisticRegression(C=strengths.freedom, solver="liblinear", max_iter=1_000)
        regression.fit(features(training), kinds)
        return np.asarray(regression.decision_function(features(judged)), dtype=np.float64)

    def _directions(self, rows: Rows) -> sparse.csr_matrix:
        """Return what the rows are about, each a row of length 1: works about the same have a product near 1."""
        everything = np.arange(len(self._ids))
        view = self._views[0]
        about = sparse.hstack([view.weighed(rows, view.known(everything)), self._fields[rows] * 0.3], format="csr")
        lengths = np.sqrt(np.asarray(about.multiply(about).sum(axis=1)).ravel())
        return sparse.csr_matrix(sparse.diags(1 / np.maximum(lengths, 1e-9)) @ about)


def most_teaching(distances: Scores, directions: sparse.csr_matrix, chosen: int, candidates: int) -> list[int]:
    """Return rows in the order in which they teach most: uncertain, and unlike those before them.

    `distances` are how far from the threshold each row's logit lies, `directions` rows of length 1. Each of the first
    `chosen` is the one with the highest uncertainty times unlikeness to the most alike of those chosen before, among
    the `candidates` least certain; the others follow by uncertainty alone.
    """
    by_uncertainty = np.argsort(distances, kind="stable")
    near = by_uncertainty[:candidates]
    # the uncertainty of a chance: 1 where it is a half, near 0 where it is almost 0 or 1
    uncertainty = 4 * squash(distances[near]) * (1 - squash(distances[near]))
    about = directions[near]
    unlike: npt.NDArray[np.float64] = np.ones(len(near))
    picked: list[int] = []
    for _ in range(min(chosen, len(near))):
        worth = uncertainty * unlike
        worth[picked] = -1.0
        best = int(np.argmax(worth))
        picked.append(best)
        alike = np.asarray((about @ about[best].T).todense()).ravel()
        unlike = np.minimum(unlike, np.maximum(1 - alike, 0.0))
    first = [int(near[row]) for row in picked]
    return first + [int(row) for row in by_uncertainty if int(row) not in set(first)]


def _learnt(chances: Scores, kinds: Labels, seed: int) -> Learnt:
    share = float(kinds.mean())
    models = {
        "head": Judged(chances, chances >= 0.5),
        "majority": Judged(np.full(len(kinds), share), np.full(len(kinds), share >= 0.5)),
    }
    drawn = bootstrap(models, kinds, seed=seed, resamples=_RESAMPLES)
    head = drawn.estimates("head")
    return Learnt(
        labels=len(kinds),
        accuracy=head["accuracy"],
        majority_accuracy=max(share, 1 - share),
        average_precision=head["average_precision"],
        share_liked=share,
        better_by=drawn.differences("head", "majority")["accuracy"],
    )
