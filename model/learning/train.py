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
from model.learning.embeddings import Embeds, embed
from model.learning.examples import LEAST_LABELS, Example, check_trainable
from model.learning.folds import FOLDS, labels_of, stratified
from model.learning.matrix import Known, Rows, ViewColumns, read_fields, read_view
from model.learning.metrics import Labels, accuracy, average_precision, f1
from model.serving import features
from model.serving.features import VIEWS
from model.serving.head import Embeddings, Head, Label, Scores, TextTerm, squash
from model.serving.package import ModelPackage, sealed
from model.serving.text import KEYWORDS, ORDER, compose
from osusume.items import Item
from osusume.sanitize import legible

MOST_CHARACTERS = 4_000_000
"""If the texts are longer than this in total, a sample of the examples is trained on: it bounds time and memory."""

LEAST_SEARCHED, MOST_SEARCHED = 100, 3_000
"""Strengths are searched with at least so many examples, and the search uses at most so many.

With fewer the default is the better guess: what a search finds among them is chance.
"""

_FEW = 100
"""With more labels than this the embedding counts less by default, by the root of how many times as many."""

_SECOND, _THIRD = 500, 1_000
"""With at least so many examples an n-gram must be in two items, or in three; with fewer, in one."""

_SMOOTHING = 0.1
"""Added to each kind's sum of an n-gram, in the scale of the views' strengths."""

_ENOUGH = 400
"""With fewer examples the folds are drawn several times, because one draw is not reliable."""

MOST_UNLABELLED = 1_500
"""At most so many recent works without a label are read, the newest."""

_FORMER = (0.3, 0.1, 0.03)
"""How much labels may count that were given before the taste changed."""

_LEAST_FRESH = 20

_SILENCES = (0.0, 0.3, 1.0)
_LEAST_SILENT = 10

MOST_TOLD = 300
"""At most so many labels are kept in the head, to tell which of them speak for an item and against it."""

_TRAITS, _TITLE_LENGTH = 12, 60

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

    @classmethod
    def usual(cls, labels: int, dimensions: int) -> Strengths:
        """Return the strengths that are used where a search finds none that are better.

        What an embedding knows counts less, the more the labels say themselves: model/README.md has the figures. A
        single dimension is what a fine-tuned encoder learned from the labels.
        """
        return cls(embedding=min(1.0, (_FEW / max(labels, 1)) ** 0.5) if dimensions > 1 else 1.0)


@dataclass(frozen=True, slots=True)
class Recent:
    """A work of the last weeks, whether it was posted, and whether the owner saw it and did not press.

    Only labels of works that were posted in these weeks can be compared with the silence to tell how often the owner
    presses.
    """

    item: Item
    is_posted: bool = False
    is_silent: bool = False


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

    `silence` is the weight of a silent item as a negative, `presses` how the owner presses if there are silent items,
    `former` the weight of a label that was given before the taste changed.
    """

    head: Head
    strengths: Strengths
    metrics: dict[str, float]
    labels: dict[str, int]
    fitness: Fitness
    silence: float = 0.0
    presses: PressModel | None = None
    former: float = 1.0


def train(
    examples: Sequence[Example],
    *,
    encoder: Embeds | None,
    embeddings: Embeddings | None = None,
    store: Path | None = None,
    order: Sequence[str] = ORDER,
    keywords: Sequence[str] = KEYWORDS,
    seed: int = 1,
    advance: Advance = lambda _share: None,
    recent: Sequence[Recent] = (),
    fresh: Collection[str] = (),
    strengths: Strengths | None = None,
    cost: float | None = None,
    least: int = LEAST_LABELS,
) -> Trained:
    """Train a head on the examples.

    `embeddings` has a row for each example. Without it the encoder computes those that `store` (see
    `model.learning.embeddings`) lacks; without both, the head uses text and fields alone. `advance` gets the share
    that is done. The same arguments give the same head, bit for bit, on one machine. Raises `UserError` if the
    examples are fewer than `least`, or all of one kind.

    The `recent` works, labelled or not, tell how rare an n-gram is. Those without a label that the owner passed over
    tell how often likes and dislikes are pressed, and are weak negatives if that explains the presses better out of
    fold. The share of the recent works that the head would recommend is reported. `fresh` are the ids of the labels
    since the taste changed: the others count less if that explains the fresh ones better out of fold.

    Strengths are searched unless given or labels are few. With the `cost` of an unwanted post, where a like is worth 1,
    the threshold has the highest expected utility, without it the highest expected F1.
    """
    check_trainable(examples, least)
    drawn = _drawn(examples, seed)
    kept = [examples[row] for row in drawn]
    labelled = {example.item.item_id for example in examples}
    silent = [each.item for each in recent if each.is_silent and each.item.item_id not in labelled]
    others = [each.item for each in recent if not each.is_silent and each.item.item_id not in labelled]
    items = [*(example.item for example in kept), *silent, *others[-MOST_UNLABELLED:]]
    labels = np.concatenate([labels_of(kept), np.zeros(len(silent), dtype=np.int64)])
    began = 0.4 if encoder and embeddings is None else 0.0

    def embedded(texts: Sequence[Item], advance: Advance = lambda _share: None) -> Embeddings:
        if encoder is None:
            return np.zeros((len(texts), 0), dtype=np.float32)
        return embed(encoder, [compose(item, order, keywords) for item in texts], store=store, advance=advance)

    computed = embedded(items, lambda share: advance(share * began)) if embeddings is None else embeddings[drawn]
    parts = _Parts.read(items, computed, order, len(kept))
    # The matrices are sparse or small: more threads would wait for each other, and would change the order of sums.
    with threadpool_limits(1, user_api="blas"):
        advance(began + 0.1)
        rows, weight, presses = np.arange(len(kept)), 0.0, None
        if strengths is None and len(kept) >= LEAST_SEARCHED:
            strengths, sums = _searched(
                parts, labels[rows], seed, lambda share: advance(began + 0.1 + share * (0.85 - began))
            )
        else:
            strengths = strengths or Strengths.usual(len(kept), computed.shape[1])
            sums = _held_out(parts, labels[rows], np.ones(len(rows)), len(rows), strengths, seed)
        former, judged = np.ones(len(rows)), rows
        is_fresh = np.array([example.item.item_id in fresh for example in kept])
        if min(is_fresh.sum(), (~is_fresh).sum()) >= _LEAST_FRESH:
            former, sums = _without_former_taste(parts, labels[rows], is_fresh, strengths, sums, seed)
            judged = rows if former.min() == 1.0 else np.flatnonzero(is_fresh)
        calibration = calibrate(sums[judged], labels[judged])
        posted = {each.item.item_id for each in recent if each.is_posted}
        observed = [int(row) for row in judged if kept[row].item.item_id in posted]
        if min(len(silent), len(observed)) >= _LEAST_SILENT:
            weight, calibration, presses, sums = _with_silence(parts, labels, former, observed, strengths, seed)
        scores = squash(calibration.logits(sums))
        threshold = threshold_of_best_f1(scores) if cost is None else threshold_of_cost(cost)
        head = parts.head(labels, _weights(former, silent, weight), strengths, calibration, threshold)
        head = replace(head, labels=_told(head, kept))
        candidates = [each.item for each in recent]
        found = head.scores(embedded(candidates), candidates) if candidates else scores
    advance(1.0)
    labels, scores = labels[judged], scores[judged]
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
        float(former.min()),
    )


def search_strengths(
    examples: Sequence[Example],
    *,
    encoder: Embeds | None,
    store: Path | None = None,
    order: Sequence[str] = ORDER,
    keywords: Sequence[str] = KEYWORDS,
    seed: int = 1,
) -> Strengths:
    """Return the strengths that `train` would find for these examples, the default ones if they are few.

    Nothing but the examples counts, so that a forgotten label leaves no trace.
    """
    liked = sum(example.is_interested for example in examples)
    if len(examples) < LEAST_SEARCHED or liked in {0, len(examples)}:
        return Strengths()
    kept = [examples[row] for row in _drawn(examples, seed)]
    items = [example.item for example in kept]
    embeddings = np.zeros((len(items), 0), dtype=np.float32)
    if encoder is not None:
        texts = [compose(item, order, keywords) for item in items]
        embeddings = embed(encoder, texts, store=store, advance=lambda _share: None)
    with threadpool_limits(1, user_api="blas"):
        return _searched(_Parts.read(items, embeddings, order, len(kept)), labels_of(kept), seed, lambda _: None)[0]


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
    """The features of all items, by part; the rows from `labelled` on have no label."""

    views: list[ViewColumns]
    pairs: list[tuple[str, str]]
    values: sparse.csr_matrix
    embeddings: Embeddings
    labelled: int

    @classmethod
    def read(cls, items: Sequence[Item], embeddings: Embeddings, order: Sequence[str], labelled: int) -> _Parts:
        least = 1 + (labelled >= _SECOND) + (labelled >= _THIRD)
        pairs, values = read_fields(items, order)
        return cls([read_view(items, view, least) for view in VIEWS], pairs, values, embeddings, labelled)

    def fold(self, rows: Rows) -> _Fold:
        embeddings = self.embeddings[rows].astype(np.float64)
        spread = embeddings.std(axis=0)
        unlabelled = np.setdiff1d(np.arange(self.labelled, len(self.embeddings)), rows)
        return _Fold(
            [view.known(rows, unlabelled) for view in self.views],
            embeddings.mean(axis=0),
            np.where(spread > 1e-9, spread, np.inf),
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
            fields={pair: weight for pair, weight in zip(self.pairs, fields.tolist(), strict=True) if weight},
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
        return Strengths.usual(len(labels), parts.embeddings.shape[1]), np.zeros(len(labels))
    best = Strengths.usual(len(labels), parts.embeddings.shape[1])
    steps: list[tuple[str, tuple[float, ...]]] = [("emphasis", (0.25, 0.0))]
    if parts.embeddings.shape[1]:
        steps.append(("embedding", tuple(times * best.embedding for times in (0.5, 0.25, 0.0, 2.0, 4.0))))
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


def _told(head: Head, examples: Sequence[Example]) -> tuple[Label, ...]:
    """Return the newest labels with the strongest traits of their items."""
    newest = sorted(examples, key=lambda example: (example.created_at or "", example.item.item_id))[-MOST_TOLD:]
    labels = []
    for example in newest:
        traits = head.traits(example.item)
        strongest = sorted(traits, key=lambda trait: (-abs(traits[trait]), trait))[:_TRAITS]
        title = legible(example.item.title, _TITLE_LENGTH)
        labels.append(Label(example.item.item_id, title, example.is_interested, tuple(strongest)))
    return tuple(labels)


def _weights(labelled: Scores, silent: Sequence[Item], silence: float) -> Scores:
    return np.concatenate([labelled, np.full(len(silent), silence)])


def _held_out(parts: _Parts, labels: Labels, weights: Scores, labelled: int, strengths: Strengths, seed: int) -> Scores:
    """Return the sums of labelled and silent rows by heads that did not learn from them, 0 where there are no folds."""
    rows, silent = np.arange(labelled), np.arange(labelled, len(weights))
    sums, times = np.zeros(len(weights)), np.zeros(len(weights))
    for draw in range(_draws(labelled)):
        part = np.random.default_rng(seed + draw).integers(FOLDS, size=len(silent))
        for number, split in enumerate(stratified(labels[rows], FOLDS, seed + draw)):
            test = np.concatenate([rows[split.test], silent[part == number]])
            training = np.concatenate([rows[split.training], silent[part != number]])
            training = training[weights[training] > 0]
            fold = parts.fold(training)
            learnt, intercept = _learnt(parts.blocks(training, fold), labels[training], strengths, weights[training])
            sums[test] += sparse.hstack(parts.blocks(test, fold)) @ learnt + intercept
            times[test] += 1
    return np.asarray(sums / np.maximum(times, 1), dtype=np.float64)


def _without_former_taste(
    parts: _Parts, labels: Labels, is_fresh: npt.NDArray[np.bool_], strengths: Strengths, sums: Scores, seed: int
) -> tuple[Scores, Scores]:
    """Return the weights of the labels that explain the fresh ones best, and the held-out sums with these weights.

    `sums` are those with all weights 1. The likelihood of the fresh labels decides: that the taste changed is known.
    """

    def likelihood(sums: Scores) -> float:
        fresh = labels[is_fresh]
        p = squash(calibrate(sums[is_fresh], fresh).logits(sums[is_fresh]))
        return float(np.log(np.where(fresh == 1, p, 1 - p)).sum())

    best, best_sums, reached = np.ones(len(labels)), sums, likelihood(sums)
    for weight in _FORMER:
        weights = np.where(is_fresh, 1.0, weight)
        found = _held_out(parts, labels, weights, len(labels), strengths, seed)
        if (gained := likelihood(found)) > reached:
            best, best_sums, reached = weights, found, gained
    return best, best_sums


def _with_silence(
    parts: _Parts, labels: Labels, labelled: Scores, observed: Sequence[int], strengths: Strengths, seed: int
) -> tuple[float, Calibration, PressModel, Scores]:
    """Return the weight of silent items that explains presses and silence best, and what comes of it.

    `labelled` are the weights of the labelled rows, `observed` those of them that belong to the weeks of the silent
    ones, which follow them. A weight must gain twice its standard error over the items: else silent items are not
    learned from.
    """
    silent = np.arange(len(labelled), len(labels))
    seen = np.concatenate([np.asarray(observed, dtype=np.int64), silent])
    silent_of_seen = np.arange(len(observed), len(seen))
    tried: list[tuple[float, SilentCalibration, Scores]] = []
    for silence in _SILENCES:
        weights = np.concatenate([labelled, np.full(len(silent), silence)])
        sums = _held_out(parts, labels, weights, len(labelled), strengths, seed)
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
