"""What an encoder adds: average precision with it and without it, by number of labels. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from model.learning.embeddings import embed
from model.learning.examples import Example
from model.learning.folds import labels_of
from model.learning.metrics import average_precision
from model.learning.train import train
from model.serving.package import ModelPackage
from model.serving.text import compose
from osusume.errors import UserError

SIZES = (20, 50, 100, 200)
HELD_OUT = 0.2
LEAST_OF_A_KIND = 10

Advance = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Gain:
    """The average precision after learning from `labels` labels, one value a draw: with the encoder and without it."""

    labels: int
    with_encoder: list[float]
    without: list[float]

    @property
    def mean(self) -> float:
        """What the encoder adds."""
        return float(np.mean(np.subtract(self.with_encoder, self.without)))

    @property
    def standard_error(self) -> float:
        """The standard error of `mean` over the draws, which overlap: of a file, not of all files."""
        differences = np.subtract(self.with_encoder, self.without)
        return float(differences.std(ddof=1) / np.sqrt(len(differences)))


def gains(package: ModelPackage, examples: Sequence[Example], *, draws: int, seed: int, advance: Advance) -> list[Gain]:
    """Return what the package's encoder adds at each of `SIZES` that fits, and with all labels.

    Each draw holds a fifth of the examples out, and learns from some of the others; both with the same share of each
    kind, and the same with and without the encoder. Raises `UserError` if the package has no encoder, and if there are
    too few examples.
    """
    encoder, card = package.encoder, package.card
    if encoder is None:
        raise UserError("the package has no encoder: name one that has, such as that of `make model`")
    labels = labels_of(examples)
    most = len(examples) - round(HELD_OUT * len(examples))
    if draws < 2:
        raise UserError("--draws must be at least 2: the standard error is over them")
    if most < SIZES[0] or np.bincount(labels, minlength=2).min() < LEAST_OF_A_KIND:
        raise UserError(
            f"it takes {round(SIZES[0] / (1 - HELD_OUT))} labels, {LEAST_OF_A_KIND} of each kind, to measure the gain"
        )
    texts = [compose(example.item, card.order, card.keywords) for example in examples]
    rows = embed(encoder, texts, advance=lambda share: advance("embedding", share))
    sizes = [*(size for size in SIZES if size < most), most]
    found = []
    for number, size in enumerate(sizes):
        parts = StratifiedShuffleSplit(draws, test_size=len(examples) - most, train_size=size, random_state=seed)
        gain = Gain(size, [], [])
        for draw, (training, test) in enumerate(parts.split(labels, labels), 1):
            learnt_from = [examples[row] for row in training]
            judged = [examples[row].item for row in test]
            for precisions, embeddings in ((gain.with_encoder, rows), (gain.without, rows[:, :0])):
                trained = train(learnt_from, encoder=None, embeddings=embeddings[training], order=card.order, seed=seed)
                scores = trained.head.scores(embeddings[test], judged)
                precisions.append(average_precision(scores, labels[test]))
            advance("training", (number + draw / draws) / len(sizes))
        found.append(gain)
    return found
