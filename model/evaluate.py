"""How good a package is on labelled items, compared with baselines, and what it gets wrong. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from model.baselines import CharacterNgrams, majority
from model.curve import CurvePoint, learning_curve
from model.feature_importance import Leanings, leanings
from model.intervals import LEVEL, METRICS, RESAMPLES, Estimate, Figures, Judged, bootstrap
from model.learning.embeddings import embed
from model.learning.examples import Example, check_both_kinds, check_trainable
from model.learning.folds import Split, labels_of, splits_of
from model.learning.matrix import Rows
from model.learning.metrics import Labels, Scores
from model.serving.head import Head
from model.serving.package import ModelPackage
from model.serving.text import compose
from osusume.errors import UserError
from osusume.records import Reason

PACKAGE, NGRAMS, MAJORITY = "package", "character n-grams", "majority class"
MOST_MISTAKES = 10
_LEAST_MISTAKE = 0.5
"""A score closer to the label than this is not reported as a mistake, whatever the threshold."""

Refit = Callable[[ModelPackage, Sequence[Example]], ModelPackage]
"""Trains on the examples as the package itself was trained, and returns the new package."""

Advance = Callable[[str, float], None]
"""Called with the current stage and the share of it that is done."""

_Judge = tuple[ModelPackage, Rows]
"""A package and the rows that it judges."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """An item whose score is far from its label, and what moved the score."""

    item_id: str
    title: str
    is_interested: bool
    score: float
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of an evaluation.

    `judged` and `figures` have an entry for each of `PACKAGE`, `NGRAMS` and `MAJORITY`, without the n-grams where one
    kind has a single label. `gain` is the package's figures less the n-grams'. `of_folds` has, for each model judged
    out of fold, each metric with one value a fold; a fold without both kinds of label is skipped. `threshold` is the
    package's own. Where the package was `refitted`, its scores are out of fold, and `curve` shows how they improve
    with more labels.
    """

    version: str
    taste: str
    threshold: float
    refitted: bool
    maybe_trained_on: bool
    labels: Labels
    judged: dict[str, Judged]
    figures: dict[str, dict[str, Estimate]]
    gain: dict[str, Estimate]
    of_folds: dict[str, dict[str, list[float]]]
    curve: list[CurvePoint]
    leanings: Leanings
    mistakes: list[Mistake]

    @property
    def liked(self) -> int:
        """How many items are labelled 1."""
        return int(self.labels.sum())

    def to_json(self) -> dict[str, Any]:
        """Return everything except the single scores as plain JSON values."""
        plain = asdict(self)
        return {
            "package": {"version": self.version, "taste": self.taste, "threshold": self.threshold},
            "labels": {"interested": self.liked, "not_interested": len(self.labels) - self.liked},
            "out_of_fold": self.refitted,
            "maybe_trained_on_this_file": self.maybe_trained_on,
            "interval": {"level": LEVEL, "resamples": RESAMPLES, "method": "percentile bootstrap, stratified by label"},
            "figures": plain["figures"],
            "gain_over_character_ngrams": plain["gain"],
            "of_folds": self.of_folds,
            "learning_curve": plain["curve"],
            "leanings": plain["leanings"],
            "most_wrong": [
                {**mistake, "is_interested": int(mistake["is_interested"])} for mistake in plain["mistakes"]
            ],
        }


def evaluate(
    package: ModelPackage,
    examples: Sequence[Example],
    *,
    refit: Refit | None = None,
    seed: int = 1,
    advance: Advance = lambda _stage, _share: None,
) -> Evaluation:
    """Return how a package judges labelled items, beside the baselines.

    Without `refit` the package's own scores are judged. With `refit` its recipe is: each fold's items are scored by a
    package that `refit` made from the other folds. The baselines are always judged out of fold. Raises `UserError`
    where the labels are all of one kind, or too few to refit.
    """
    check_both_kinds(examples)
    labels, splits = labels_of(examples), splits_of(examples, seed)
    if refit:
        check_trainable(examples)
        if not splits:
            raise UserError("one kind has a single label, which cannot be divided: label more, or leave out --refit")
    items = [example.item for example in examples]
    texts = [compose(item, package.card.order, package.card.keywords) for item in items]
    embeddings = np.zeros((len(items), 0), dtype=np.float32)
    if package.encoder:  # refitting keeps the encoder, so one run of it is enough
        embeddings = embed(package.encoder, texts, advance=partial(advance, "scoring"))

    def scores_of(head: Head, rows: Rows) -> Scores:
        return head.scores(embeddings[rows], [items[row] for row in rows])

    judges: list[_Judge] = [(package, np.arange(len(examples)))]
    if refit:
        judges = _refitted(package, examples, splits, refit, partial(advance, "refitting"))
    scored = ((rows, scores_of(judge.head, rows), judge.threshold) for judge, rows in judges)
    judged = {PACKAGE: _joined(((rows, Judged(scores, scores >= least)) for rows, scores, least in scored), len(items))}
    curve: list[CurvePoint] = []
    if splits:
        ngrams = CharacterNgrams(texts, labels)
        judged[NGRAMS] = _out_of_fold(ngrams, splits, labels, seed, partial(advance, "baseline"))
        if refit:

            def refitted_scores(split: Split) -> Scores:
                return scores_of(refit(package, [examples[row] for row in split.training]).head, split.test)

            learners = (refitted_scores, ngrams.scores)
            curve = learning_curve(splits, labels, learners, seed=seed, advance=partial(advance, "learning curve"))
    judged[MAJORITY] = majority(labels)
    sampled = bootstrap(judged, labels, seed=seed, advance=partial(advance, "intervals"))
    liked = int(labels.sum())
    return Evaluation(
        version=package.version,
        taste=package.card.taste,
        threshold=package.threshold,
        refitted=refit is not None,
        # With the same counts of both kinds the package was probably trained on these labels.
        maybe_trained_on=package.card.labels == {"interested": liked, "not_interested": len(labels) - liked},
        labels=labels,
        judged=judged,
        figures={name: sampled.estimates(name) for name in judged},
        gain=sampled.differences(PACKAGE, NGRAMS) if NGRAMS in judged else {},
        of_folds={
            name: _of_folds(judged[name], labels, splits)
            for name in ((PACKAGE, NGRAMS) if refit else (NGRAMS,))
            if name in judged
        },
        curve=curve,
        leanings=leanings(refit(package, examples) if refit else package, items, advance=partial(advance, "leanings")),
        mistakes=_mistakes(judges, judged[PACKAGE].scores, examples),
    )


def _refitted(
    package: ModelPackage,
    examples: Sequence[Example],
    splits: Sequence[Split],
    refit: Refit,
    advance: Callable[[float], None],
) -> list[_Judge]:
    judges = []
    for number, split in enumerate(splits, 1):
        judges.append((refit(package, [examples[row] for row in split.training]), split.test))
        advance(number / len(splits))
    return judges


def _out_of_fold(
    ngrams: CharacterNgrams, splits: Sequence[Split], labels: Labels, seed: int, advance: Callable[[float], None]
) -> Judged:
    parts = []
    for number, split in enumerate(splits, 1):
        parts.append((split.test, ngrams.judge(split, seed)))
        advance(number / len(splits))
    return _joined(parts, len(labels))


def _joined(parts: Iterable[tuple[Rows, Judged]], count: int) -> Judged:
    """Return what the parts judged as one, in the order of the rows."""
    scores, chosen = np.empty(count), np.empty(count, dtype=np.bool_)
    for rows, judged in parts:
        scores[rows], chosen[rows] = judged.scores, judged.chosen
    return Judged(scores, chosen)


def _of_folds(judged: Judged, labels: Labels, splits: Sequence[Split]) -> dict[str, list[float]]:
    tests = [split.test for split in splits if 0 < labels[split.test].sum() < len(split.test)]
    figures = [
        Figures(Judged(judged.scores[rows], judged.chosen[rows]), labels[rows]).of(np.ones(len(rows), dtype=np.int64))
        for rows in tests
    ]
    return {metric: [float(fold[place]) for fold in figures] for place, metric in enumerate(METRICS)}


def _mistakes(judges: Sequence[_Judge], scores: Scores, examples: Sequence[Example]) -> list[Mistake]:
    """Return the items whose score is furthest from their label, the furthest first; ties are ordered by id."""
    distance = np.abs(scores - labels_of(examples))
    ids = np.array([example.item.item_id for example in examples])
    worst = [int(row) for row in np.lexsort((ids, -distance))[:MOST_MISTAKES] if distance[row] >= _LEAST_MISTAKE]
    mistakes = []
    for row in worst:
        package = next(judge for judge, rows in judges if row in rows)
        item = examples[row].item
        (prediction,) = package.score([item])
        mistakes.append(
            Mistake(item.item_id, item.title, examples[row].is_interested, prediction.score, prediction.reasons)
        )
    return mistakes
