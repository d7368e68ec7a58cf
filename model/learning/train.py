"""Trains a head on labelled items: its weights, their calibration and the threshold. Needs scikit-learn.

Cross-validation among the training items chooses how much each part counts and how strong the regularisation is. The
calibration and the threshold come from the sums that held-out items got.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

from model.learning.calibration import (
    Calibration,
    PressModel,
    SilentCalibration,
    calibrate,
    calibrate_with_silence,
    threshold_of_best_f1,
    threshold_of_cost,
)
from model.learning.embeddings import embed
from model.learning.examples import LEAST_LABELS, Example, check_trainable
from model.learning.folds import FOLDS, labels_of, stratified
from model.learning.matrix import Known, Rows, ViewColumns, read_fields, read_view
from model.learning.metrics import Labels, accuracy, average_precision, f1
from model.serving import features
from model.serving.encoder import Encoder
from model.serving.features import VIEWS
from model.serving.head import Embeddings, Head, Scores, TextTerm, squash
from model.serving.package import ModelPackage, sealed
from model.serving.text import KEYWORDS, ORDER, compose
from osusume.items import Item

MOST_CHARACTERS = 4_000_000
"""If the texts are longer than this in total, a sample of the examples is trained on: it bounds time and memory."""

MOST_SEARCHED = 3_000
"""The search for strengths uses at most this many examples."""

_SECOND, _THIRD = 500, 1_000
"""With at least so many examples an n-gram must be in two items, or in three; with fewer, in one."""

_SMOOTHING = 0.1
"""Added to each kind's sum of an n-gram, in the scale of the views' strengths."""

_ENOUGH = 400
"""With fewer examples the folds are drawn several times, because one draw is not reliable."""

_SILENCES = (0.0, 0.3, 1.0)
_LEAST_SILENT = 10

Advance = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Strengths:
    """How much the parts count relative to the text, and how free the weights are (the inverse of the penalty).

    `emphasis` is how much an n-gram that separates the kinds is scaled up; with 0 all are alike.
    """

    emphasis: float = 0.5
    embedding: float = 1.0
    fields: float = 0.5
    freedom: float = 10.0


@dataclass(frozen=True, slots=True)
class Silence:
    """The items that the owner saw and did not press, and the ids of all items that were posted in those weeks.

    Only labels of those weeks can be compared with the silence to tell how often the owner presses.
    """

    items: Sequence[Item] = ()
    posted: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Fitness:
    """What the gate compares of a head: its labels, and how well it judged them while they were held out.

    `brier` is the mean Brier score of the labels, `error` the standard error of that; `share` is the share of the
    candidates that it recommends, of the examples if there are no candidates.
    """

    liked: int
    disliked: int
    brier: float
    error: float
    share: float


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained head, how it was trained, and its metrics on held-out items.

    `silence` is the weight of a silent item as a negative, `presses` how the owner presses if there are silent items.
    """

    head: Head
    strengths: Strengths
    metrics: dict[str, float]
    labels: dict[str, int]
    fitness: Fitness
    silence: float = 0.0
    presses: PressModel | None = None


def train(
    examples: Sequence[Example],
    *,
    encoder: Encoder | None,
    embeddings: Embeddings | None = None,
    store: Path | None = None,
    order: Sequence[str] = ORDER,
    keywords: Sequence[str] = KEYWORDS,
    seed: int = 1,
    advance: Advance = lambda _share: None,
    silence: Silence | None = None,
    candidates: Sequence[Item] = (),
    strengths: Strengths | None = None,
    cost: float | None = None,
    least: int = LEAST_LABELS,
) -> Trained:
    """Train a head on the examples.

    `embeddings` has a row for each example. Without it the encoder computes those that `store` (see
    `model.learning.embeddings`) lacks; without both, the head uses text and fields alone. `advance` gets the share
    that is done. The same arguments give the same head, bit for bit, on one machine. Raises `UserError` if the
    examples are fewer than `least`, or all of one kind.

    The items of `silence` tell how often likes and dislikes are pressed, and are weak negatives if that explains the
    presses better out of fold. Strengths are searched unless given. With the `cost` of an unwanted post, where a like
    is worth 1, the threshold has the highest expected utility, without it the highest expected F1. `candidates` are
    recent items: the share of them that the head would recommend is reported.
    """
    check_trainable(examples, least)
    drawn = _drawn(examples, seed)
    kept = [examples[row] for row in drawn]
    silence = silence or Silence()
    silent = silence.items
    items = [*(example.item for example in kept), *silent]
    labels = np.concatenate([labels_of(kept), np.zeros(len(silent), dtype=np.int64)])
    began = 0.4 if encoder and embeddings is None else 0.0

    def embedded(texts: Sequence[Item], advance: Advance = lambda _share: None) -> Embeddings:
        if encoder is None:
            return np.zeros((len(texts), 0), dtype=np.float32)
        return embed(encoder, [compose(item, order, keywords) for item in texts], store=store, advance=advance)

    computed = embedded(items, lambda share: advance(share * began)) if embeddings is None else embeddings[drawn]
    parts = _Parts.read(items, computed, order)
    # The matrices are sparse or small: more threads would wait for each other, and would change the order of sums.
    with threadpool_limits(1, user_api="blas"):
        advance(began + 0.1)
        rows, weight, presses = np.arange(len(kept)), 0.0, None
        if strengths is None:
            strengths, sums = _searched(
                parts, labels[rows], seed, lambda share: advance(began + 0.1 + share * (0.85 - began))
            )
        else:
            sums = _held_out(parts, labels, rows, rows[:0], strengths, 0.0, seed)[rows]
        calibration = calibrate(sums, labels[rows])
        observed = np.array([example.item.item_id in silence.posted for example in kept])
        if len(silent) >= _LEAST_SILENT and observed.sum() >= _LEAST_SILENT:
            weight, calibration, presses, sums = _with_silence(parts, labels, observed, strengths, seed)
        scores = squash(calibration.logits(sums))
        threshold = threshold_of_best_f1(scores) if cost is None else threshold_of_cost(cost)
        head = parts.head(labels, _weights(len(kept), len(silent), weight), strengths, calibration, threshold)
        found = head.scores(embedded(candidates), candidates) if candidates else scores
    advance(1.0)
    labels, scores = labels[rows], scores[rows]
    liked = int(labels.sum())
    # presses tell of the likes among the pressed items, which are more than among all if dislikes are pressed seldom
    losses = ((presses.among_pressed(scores) if presses else scores) - labels) ** 2
    return Trained(
        head,
        strengths,
        {
            "cross_validated_accuracy": round(accuracy(scores, labels, threshold), 4),
            "cross_validated_f1": round(f1(scores, labels, threshold), 4),
            "cross_validated_average_precision": round(average_precision(scores, labels), 4),
        },
        {"interested": liked, "not_interested": len(labels) - liked},
        Fitness(
            liked,
            len(labels) - liked,
            float(losses.mean()),
            float(losses.std() / np.sqrt(len(losses))),
            float(np.mean(found >= threshold)),
        ),
        weight,
        presses,
    )


def refit(
    package: ModelPackage, examples: Sequence[Example], *, seed: int = 1, created_on: date | None = None
) -> ModelPackage:
    """Return the package with a new head, trained on the examples of the owner's taste.

    Encoder, order and keywords stay. `created_on` is the new card's date, by default the old one. Embeddings are
    remembered as long as the package lives, so that a second refit does not run the encoder again. Raises `UserError`
    as `train` does.
    """
    card = package.card
    trained = train(examples, encoder=package.encoder, order=card.order, keywords=card.keywords, seed=seed)
    card = replace(
        card,
        version="refit",
        taste="owner",
        created_on=created_on.isoformat() if created_on else card.created_on,
        labels=trained.labels,
        metrics=trained.metrics,
    )
    return ModelPackage(sealed(card, trained.head), package.encoder, trained.head)


@dataclass(frozen=True, slots=True)
class _Fold:
    """What some rows teach about the parts: the known n-grams, and the embedding's mean and spread."""

    known: list[Known]
    mean: Scores
    spread: Scores


@dataclass(frozen=True, slots=True)
class _Parts:
    """The features of all items, by part."""

    views: list[ViewColumns]
    pairs: list[tuple[str, str]]
    values: sparse.csr_matrix
    embeddings: Embeddings

    @classmethod
    def read(cls, items: Sequence[Item], embeddings: Embeddings, order: Sequence[str]) -> _Parts:
        least = 1 + (len(items) >= _SECOND) + (len(items) >= _THIRD)
        pairs, values = read_fields(items, order)
        return cls([read_view(items, view, least) for view in VIEWS], pairs, values, embeddings)

    def fold(self, rows: Rows) -> _Fold:
        embeddings = self.embeddings[rows].astype(np.float64)
        spread = embeddings.std(axis=0)
        return _Fold(
            [view.known(rows) for view in self.views], embeddings.mean(axis=0), np.where(spread > 1e-9, spread, np.inf)
        )

    def blocks(self, rows: Rows, fold: _Fold) -> list[sparse.csr_matrix]:
        """Return text, fields and embedding of the rows; embeddings are scaled to about the length of a view."""
        text = [view.weighed(rows, known) for view, known in zip(self.views, fold.known, strict=True)]
        dimensions = max(self.embeddings.shape[1], 1)
        standard = (self.embeddings[rows].astype(np.float64) - fold.mean) / (fold.spread * np.sqrt(dimensions))
        return [sparse.hstack(text, format="csr"), self.values[rows], sparse.csr_matrix(standard)]

    def head(
        self, labels: Labels, weights: Scores, strengths: Strengths, calibration: Calibration, threshold: float
    ) -> Head:
        """Return the head trained on all items with a weight; the calibration turns its sums into logits."""
        rows = np.flatnonzero(weights)
        fold = self.fold(rows)
        slope = calibration.slope
        learnt, intercept = _learnt(self.blocks(rows, fold), labels[rows], strengths, weights[rows])
        weights = slope * learnt
        sizes = [len(known.columns) for known in fold.known]
        *texts, rest = np.split(weights, np.cumsum(sizes))
        fields = rest[: len(self.pairs)].astype(np.float32)
        embedding = rest[len(self.pairs) :] / (fold.spread * np.sqrt(max(self.embeddings.shape[1], 1)))
        return Head(
            embedding=embedding,
            bias=slope * intercept + calibration.intercept - float(embedding @ fold.mean),
            threshold=threshold,
            text=tuple(
                TextTerm(
                    view.view,
                    tuple(view.ngrams[column] for column in known.columns),
                    known.items,
                    text.astype(np.float32),
                    known.total,
                )
                for view, known, text in zip(self.views, fold.known, texts, strict=True)
            ),
            fields=dict(zip(self.pairs, fields.tolist(), strict=True)),
        )


def _learnt(
    blocks: Sequence[sparse.csr_matrix], labels: Labels, strengths: Strengths, weights: Scores | None = None
) -> tuple[Scores, float]:
    """Return the weight of each column of text, fields and embedding, and the intercept."""
    text, fields, embedding = blocks
    scales = [
        _stretch(text, labels, strengths.emphasis),
        np.full(fields.shape[1], strengths.fields),
        np.full(embedding.shape[1], strengths.embedding),
    ]
    scale = np.concatenate(scales)
    regression = LogisticRegression(C=strengths.freedom, solver="liblinear", max_iter=1_000)
    regression.fit(sparse.csr_matrix(sparse.hstack(blocks) @ sparse.diags(scale)), labels, weights)
    return regression.coef_[0] * scale, float(regression.intercept_[0])


def _stretch(text: sparse.csr_matrix, labels: Labels, emphasis: float) -> Scores:
    """Return the factor of each n-gram's column before the regression: larger if it separates the kinds better.

    It is the log-count ratio of Wang and Manning, Baselines and Bigrams (ACL 2012), scaled to a mean square of 1. The
    sign is dropped, because a weight has its own. The power of `emphasis` weakens it, because the counts are noisy.
    """
    liked = np.asarray(text[labels == 1].sum(axis=0)).ravel() + _SMOOTHING
    other = np.asarray(text[labels == 0].sum(axis=0)).ravel() + _SMOOTHING
    ratio = np.abs(np.log(liked / liked.sum()) - np.log(other / other.sum())) ** emphasis
    length = np.sqrt(np.mean(ratio**2)) if ratio.any() else 0.0
    return np.asarray(ratio / length if length else np.ones(text.shape[1]), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Split:
    """One fold of cross-validation: rows and features to learn from, and rows and features to judge."""

    training: Rows
    test: Rows
    learnt_from: list[sparse.csr_matrix]
    judged: list[sparse.csr_matrix]

    def sums(self, labels: Labels, strengths: Strengths) -> Scores:
        weights, intercept = _learnt(self.learnt_from, labels[self.training], strengths)
        return np.asarray(sparse.hstack(self.judged) @ weights + intercept, dtype=np.float64)


def _searched(parts: _Parts, labels: Labels, seed: int, advance: Advance) -> tuple[Strengths, Scores]:
    """Return the strengths that judge held-out items best, and the sums of all items while they were held out.

    The search varies one strength after another. A change must gain twice its standard error over the folds: with few
    labels a smaller gain is chance, and the default is the better guess.
    """
    drawn = _stratified_draw(labels, MOST_SEARCHED, seed)
    splits = list(_splits(parts, drawn, labels, seed))
    if not splits:
        return Strengths(), np.zeros(len(labels))
    best = Strengths()
    steps: list[tuple[str, tuple[float, ...]]] = [("emphasis", (0.25, 0.0))]
    if parts.embeddings.shape[1]:
        steps.append(("embedding", (0.5, 0.25, 0.0, 2.0, 4.0)))
    if parts.pairs:
        steps.append(("fields", (0.25, 1.0)))
    steps.append(("freedom", (3.0, 1.0, 30.0)))
    total, done = 2 + sum(len(values) for _, values in steps), 0

    def precisions(strengths: Strengths) -> Scores:
        nonlocal done
        done += 1
        advance(done / total)
        return np.array([average_precision(split.sums(labels, strengths), labels[split.test]) for split in splits])

    reached = precisions(best)
    for name, values in steps:
        for value in values:
            tried = replace(best, **{name: value})
            gained = (found := precisions(tried)) - reached
            if gained.mean() > 2 * gained.std() / np.sqrt(len(splits)):
                best, reached = tried, found
    sums, times = np.zeros(len(labels)), np.zeros(len(labels))
    # One fold's matrices at a time: those of all folds would take too much memory.
    every = splits if len(drawn) == len(labels) else _splits(parts, np.arange(len(labels)), labels, seed)
    for split in every:
        sums[split.test] += split.sums(labels, best)
        times[split.test] += 1
    advance(1.0)
    return best, sums / times


def _weights(labelled: int, silent: int, silence: float) -> Scores:
    return np.concatenate([np.ones(labelled), np.full(silent, silence)])


def _held_out(
    parts: _Parts, labels: Labels, rows: Rows, silent: Rows, strengths: Strengths, silence: float, seed: int
) -> Scores:
    """Return the sums of labelled and silent rows by heads that did not learn from them, 0 where there are no folds."""
    sums, times = np.zeros(len(labels)), np.zeros(len(labels))
    for draw in range(_draws(len(rows))):
        part = np.random.default_rng(seed + draw).integers(FOLDS, size=len(silent))
        for number, split in enumerate(stratified(labels[rows], FOLDS, seed + draw)):
            test = np.concatenate([rows[split.test], silent[part == number]])
            training = rows[split.training]
            if silence:
                training = np.concatenate([training, silent[part != number]])
            fold = parts.fold(training)
            weights = _weights(len(split.training), len(training) - len(split.training), silence)
            learnt, intercept = _learnt(parts.blocks(training, fold), labels[training], strengths, weights)
            sums[test] += sparse.hstack(parts.blocks(test, fold)) @ learnt + intercept
            times[test] += 1
    return np.asarray(sums / np.maximum(times, 1), dtype=np.float64)


def _with_silence(
    parts: _Parts, labels: Labels, observed: npt.NDArray[np.bool_], strengths: Strengths, seed: int
) -> tuple[float, Calibration, PressModel, Scores]:
    """Return the weight of silent items that explains presses and silence best, and what comes of it.

    `observed` tells which labelled rows belong to the weeks of the silent ones, which follow them. A weight must gain
    twice its standard error over the items: else silent items are not learned from.
    """
    rows = np.arange(len(observed))
    silent = np.arange(len(rows), len(labels))
    seen = np.concatenate([np.flatnonzero(observed), silent])
    silent_of_seen = np.arange(int(observed.sum()), len(seen))
    tried: list[tuple[float, SilentCalibration, Scores]] = []
    for silence in _SILENCES:
        sums = _held_out(parts, labels, rows, silent, strengths, silence, seed)
        tried.append((silence, calibrate_with_silence(sums[seen], labels[seen], silent_of_seen), sums))
    best = tried[0]
    for other in tried[1:]:
        gain = other[1].log_likelihood - best[1].log_likelihood
        if gain.sum() > 2 * np.sqrt((gain**2).sum()):
            best = other
    silence, found, sums = best
    return silence, found.calibration, found.presses, sums


def _draws(rows: int) -> int:
    return max(1, min(4, _ENOUGH // rows))


def _splits(parts: _Parts, rows: Rows, labels: Labels, seed: int) -> Iterator[_Split]:
    """Yield stratified folds of the rows: several draws if rows are few, none if a kind has only one row."""
    for draw in range(_draws(len(rows))):
        for split in stratified(labels[rows], FOLDS, seed + draw):
            training, test = rows[split.training], rows[split.test]
            fold = parts.fold(training)
            yield _Split(training, test, parts.blocks(training, fold), parts.blocks(test, fold))


def _drawn(examples: Sequence[Example], seed: int) -> Rows:
    """Return all rows, or a stratified sample whose texts are short enough in total to train on."""
    lengths = [len(e.item.title) + sum(len(section.text) for section in e.item.sections) for e in examples]
    mean = sum(min(length, features.MOST_CHARACTERS) for length in lengths) / len(lengths)
    return _stratified_draw(labels_of(examples), int(MOST_CHARACTERS / max(mean, 1.0)), seed)


def _stratified_draw(labels: Labels, most: int, seed: int) -> Rows:
    """Return about `most` rows at most, in their order, with about the same share of each kind."""
    if len(labels) <= most:
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    kinds = [np.flatnonzero(labels == kind) for kind in (0, 1)]
    drawn = [rng.permutation(rows)[: max(FOLDS, round(most * len(rows) / len(labels)))] for rows in kinds]
    return np.sort(np.concatenate(drawn))
