"""How good a package is on labelled items: its figures beside the baselines', and what it got wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from model.baselines import CharacterNgrams, Rows, Split, labels_of, majority, splits_of
from model.curve import CurvePoint, learning_curve
from model.dataset import Example, check_both_kinds, check_trainable
from model.feature_importance import Leanings, leanings
from model.intervals import LEVEL, METRICS, RESAMPLES, Estimate, Figures, Judged, bootstrap
from model.metrics import Labels, Scores
from model.serving.head import Embeddings, Head
from model.serving.package import ModelPackage
from model.serving.text import compose
from osusume.errors import UserError
from osusume.items import Item
from osusume.records import Reason

PACKAGE, NGRAMS, MAJORITY = "package", "character n-grams", "majority class"
MOST_MISTAKES = 10
_LEAST_MISTAKE = 0.5
"""A score nearer to the label than this is no mistake worth reading, whatever the threshold."""
_ITEMS_AT_A_TIME = 256

Refit = Callable[[ModelPackage, Sequence[Example]], ModelPackage]
"""Learns from the examples as the package's own training did, and returns the package that came of it."""

Advance = Callable[[str, float], None]
"""Is told what is being done, and the share of it that is done."""


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
    """What came of an evaluation.

    `judged` and `figures` have an entry for each of `PACKAGE`, `NGRAMS` and `MAJORITY`; the n-grams are left out where
    one kind has a single label. `gain` is the package's figures less the n-grams'. `of_folds` has each metric of what
    was judged out of fold, a value a fold; a fold without both kinds of label is left out. `threshold` is the package's
    own. Where the package was `refitted`, its scores are those of its recipe, out of fold, and `curve` tells how they
    grow with the labels.
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
        """Return everything but the single scores as plain JSON values."""
        return {
            "package": {"version": self.version, "taste": self.taste, "threshold": self.threshold},
            "labels": {"interested": self.liked, "not_interested": len(self.labels) - self.liked},
            "out_of_fold": self.refitted,
            "maybe_trained_on_this_file": self.maybe_trained_on,
            "interval": {"level": LEVEL, "resamples": RESAMPLES, "method": "percentile bootstrap, stratified by label"},
            "figures": _plain(self.figures),
            "gain_over_character_ngrams": {name: asdict(estimate) for name, estimate in self.gain.items()},
            "of_folds": self.of_folds,
            "learning_curve": [asdict(point) for point in self.curve],
            "leanings": {name: [asdict(leaning) for leaning in each] for name, each in self.leanings.items()},
            "most_wrong": [
                {**asdict(mistake), "is_interested": int(mistake.is_interested)} for mistake in self.mistakes
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
    """Judge a package by labelled items, beside the baselines.

    The package's own scores are judged, or, given `refit`, those of its recipe: each fold's items are scored by a
    package that `refit` made from the other folds' alone. The baselines are always judged so. Raises `UserError`
    where the labels are all of one kind, or too few to refit.
    """
    check_both_kinds(examples)
    labels, splits = labels_of(examples), splits_of(examples, seed)
    if refit:
        check_trainable(examples)
        if not splits:
            raise UserError("one kind has a single label, which cannot be divided: label more, or leave out --refit")
    items = _Items.read(package, [example.item for example in examples], partial(advance, "scoring"))
    judges = [_Judge(package, np.arange(len(examples)))]
    if refit:
        judges = _refitted(package, examples, splits, refit, partial(advance, "refitting"))
    judged = {PACKAGE: _judged_by(judges, items)}
    curve: list[CurvePoint] = []
    if splits:
        texts = [compose(example.item, package.card.order, package.card.keywords) for example in examples]
        ngrams = CharacterNgrams(texts, labels)
        judged[NGRAMS] = _out_of_fold(ngrams, splits, labels, seed, partial(advance, "baseline"))
        if refit:
            learners = (_learner(package, examples, refit, items), ngrams.scores)
            curve = learning_curve(splits, labels, learners, seed=seed, advance=partial(advance, "learning curve"))
    judged[MAJORITY] = majority(labels)
    sampled = bootstrap(judged, labels, seed=seed, advance=partial(advance, "intervals"))
    return Evaluation(
        version=package.version,
        taste=package.card.taste,
        threshold=package.threshold,
        refitted=refit is not None,
        maybe_trained_on=_counts_are_those_of(package, labels),
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
        leanings=leanings(
            refit(package, examples) if refit else package, items.items, advance=partial(advance, "leanings")
        ),
        mistakes=_mistakes(judges, judged[PACKAGE].scores, examples),
    )


@dataclass(frozen=True, slots=True)
class _Judge:
    """A package, and the rows that it judges."""

    package: ModelPackage
    rows: Rows


@dataclass(frozen=True, slots=True)
class _Items:
    """The items, and what the encoder makes of them: once for all, since refitting keeps the encoder."""

    items: list[Item]
    embeddings: Embeddings

    @classmethod
    def read(cls, package: ModelPackage, items: list[Item], advance: Callable[[float], None]) -> _Items:
        encoder, card = package.encoder, package.card
        if encoder is None:
            return cls(items, np.zeros((len(items), 0), dtype=np.float32))
        embeddings = np.empty((len(items), encoder.dimensions), dtype=np.float32)
        for start in range(0, len(items), _ITEMS_AT_A_TIME):
            batch = items[start : start + _ITEMS_AT_A_TIME]
            texts = [compose(item, card.order, card.keywords) for item in batch]
            embeddings[start : start + len(batch)] = encoder.embed(texts)
            advance((start + len(batch)) / len(items))
        return cls(items, embeddings)

    def scores(self, head: Head, rows: Rows) -> Scores:
        return head.scores(self.embeddings[rows], [self.items[row] for row in rows])


def _refitted(
    package: ModelPackage,
    examples: Sequence[Example],
    splits: Sequence[Split],
    refit: Refit,
    advance: Callable[[float], None],
) -> list[_Judge]:
    judges = []
    for number, split in enumerate(splits, 1):
        judges.append(_Judge(refit(package, [examples[row] for row in split.training]), split.test))
        advance(number / len(splits))
    return judges


def _judged_by(judges: Sequence[_Judge], items: _Items) -> Judged:
    scores, chosen = np.empty(len(items.items)), np.empty(len(items.items), dtype=np.bool_)
    for judge in judges:
        scores[judge.rows] = items.scores(judge.package.head, judge.rows)
        chosen[judge.rows] = scores[judge.rows] >= judge.package.threshold
    return Judged(scores, chosen)


def _out_of_fold(
    ngrams: CharacterNgrams, splits: Sequence[Split], labels: Labels, seed: int, advance: Callable[[float], None]
) -> Judged:
    scores, chosen = np.empty(len(labels)), np.empty(len(labels), dtype=np.bool_)
    for number, split in enumerate(splits, 1):
        judged = ngrams.judge(split, seed)
        scores[split.test], chosen[split.test] = judged.scores, judged.chosen
        advance(number / len(splits))
    return Judged(scores, chosen)


def _of_folds(judged: Judged, labels: Labels, splits: Sequence[Split]) -> dict[str, list[float]]:
    tests = [split.test for split in splits if 0 < labels[split.test].sum() < len(split.test)]
    figures = [
        Figures(Judged(judged.scores[rows], judged.chosen[rows]), labels[rows]).of(np.ones(len(rows), dtype=np.int64))
        for rows in tests
    ]
    return {metric: [float(fold[place]) for fold in figures] for place, metric in enumerate(METRICS)}


def _learner(
    package: ModelPackage, examples: Sequence[Example], refit: Refit, items: _Items
) -> Callable[[Split], Scores]:
    def scores(split: Split) -> Scores:
        return items.scores(refit(package, [examples[row] for row in split.training]).head, split.test)

    return scores


def _mistakes(judges: Sequence[_Judge], scores: Scores, examples: Sequence[Example]) -> list[Mistake]:
    """Return the items whose score is furthest from their label, the furthest first; equally far ones by id."""
    distance = np.abs(scores - labels_of(examples))
    ids = np.array([example.item.item_id for example in examples])
    worst = [int(row) for row in np.lexsort((ids, -distance))[:MOST_MISTAKES] if distance[row] >= _LEAST_MISTAKE]
    mistakes = []
    for row in worst:
        package = next(judge.package for judge in judges if row in judge.rows)
        item = examples[row].item
        (prediction,) = package.score([item])
        mistakes.append(
            Mistake(item.item_id, item.title, examples[row].is_interested, prediction.score, prediction.reasons)
        )
    return mistakes


def _counts_are_those_of(package: ModelPackage, labels: Labels) -> bool:
    """Return whether the card counts as many labels of either kind: then it was likely trained on these very ones."""
    liked = int(labels.sum())
    return package.card.labels == {"interested": liked, "not_interested": len(labels) - liked}


def _plain(figures: dict[str, dict[str, Estimate]]) -> dict[str, dict[str, dict[str, float]]]:
    return {name: {metric: asdict(estimate) for metric, estimate in each.items()} for name, each in figures.items()}
