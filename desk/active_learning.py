"""What the labels teach so far: how well the taste is learnt, which works would teach most, which labels look wrong.

The head is trained as in `model.learning.train`, over text and fields, but without the search for strengths, since
the desk retrains every few labels. Needs scikit-learn.
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

from model.intervals import Estimate, Judged, bootstrap
from model.learning.calibration import calibrate
from model.learning.matrix import Rows, read_fields, read_view
from model.learning.metrics import Labels
from model.learning.train import Strengths
from model.serving.features import VIEWS
from model.serving.head import Scores, squash
from model.serving.text import ORDER
from osusume.items import Item

_FOLDS = 5
_DRAWS = 3
_ENOUGH = 200
"""With fewer labels the folds are drawn several times, because one draw says little."""

_RESAMPLES = 300
_CHOSEN = 40
"""How many works are chosen to teach much together; the next lesson comes before they run out."""

_CANDIDATES = 400
"""How many of the least certain works they are chosen from."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """How well a head predicts labels that it was not trained on, and the accuracy of the majority class.

    `better_by` is the difference of the two accuracies. The intervals hold 95 % of resamples.
    """

    labels: int
    accuracy: Estimate
    majority_accuracy: float
    average_precision: Estimate
    share_liked: float
    better_by: Estimate


@dataclass(frozen=True, slots=True)
class Lesson:
    """What `labels` labels teach. `teaching` and `doubtful` are item ids, the most useful first.

    `chances` are the probabilities that labelled items are liked, from heads that were not trained on their label.
    """

    labels: int
    learnt: Learnt
    teaching: list[str]
    doubtful: list[str]
    chances: dict[str, float]


class Course:
    """The features of a set of items, read once for all lessons."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._ids = [item.item_id for item in items]
        # A rare n-gram among all items is dropped, but one labelled item is enough to learn from the others.
        self._views = [replace(read_view(items, view, 1), least=1) for view in VIEWS]
        self._fields = read_fields(items, ORDER)[1]

    def knows(self, item_ids: Iterable[str]) -> bool:
        """Return whether all these items are in the course."""
        return set(self._ids).issuperset(item_ids)

    def lesson(self, labels: Mapping[str, bool], seed: int = 1) -> Lesson | None:
        """Return what the labels teach, None if there are fewer than two of one kind."""
        rows = np.array([row for row, item_id in enumerate(self._ids) if item_id in labels], dtype=np.int64)
        kinds = np.array([int(labels[self._ids[row]]) for row in rows], dtype=np.int64)
        folds = min(_FOLDS, int(np.bincount(kinds, minlength=2).min()))
        if folds < 2:
            return None
        with threadpool_limits(1, user_api="blas"):  # on small matrices threads only wait for each other
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
        """Return the sums for the `judged` rows of a head trained on the `training` rows."""
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
        """Return a vector of length 1 for each row; similar works have a product near 1."""
        everything = np.arange(len(self._ids))
        view = self._views[0]
        about = sparse.hstack([view.weighed(rows, view.known(everything)), self._fields[rows] * 0.3], format="csr")
        lengths = np.sqrt(np.asarray(about.multiply(about).sum(axis=1)).ravel())
        return sparse.csr_matrix(sparse.diags(1 / np.maximum(lengths, 1e-9)) @ about)


def most_teaching(distances: Scores, directions: sparse.csr_matrix, chosen: int, candidates: int) -> list[int]:
    """Return rows in the order in which they teach most: uncertain, and unlike the ones before them.

    `distances` are the distances of the logits from the threshold, `directions` vectors of length 1. Each of the first
    `chosen` rows is the one among the `candidates` least certain with the highest product of uncertainty and
    dissimilarity to the most similar row chosen before. The others follow by uncertainty alone.
    """
    by_uncertainty = np.argsort(distances, kind="stable")
    near = by_uncertainty[:candidates]
    # 1 for a probability of a half, near 0 for one near 0 or 1
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
