"""The folds of cross-validation. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import PredefinedSplit, StratifiedKFold

from model.learning.examples import Example
from model.learning.matrix import Rows
from model.learning.metrics import Labels
from osusume.errors import UserError

FOLDS = 5


class Split(NamedTuple):
    """One fold: the rows to learn from, and the rows to judge."""

    training: Rows
    test: Rows


def labels_of(examples: Sequence[Example]) -> Labels:
    """Return the labels as 0 and 1."""
    return np.array([int(example.is_interested) for example in examples], dtype=np.int64)


def stratified(labels: Labels, folds: int, seed: int) -> list[Split]:
    """Return up to `folds` shuffled folds with both kinds of label in each; none where a kind has only one label."""
    folds = min(folds, int(np.bincount(labels, minlength=2).min()))
    if folds < 2:
        return []
    return [Split(*rows) for rows in StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)]


def splits_of(examples: Sequence[Example], seed: int) -> list[Split]:
    """Return the folds that the examples name, or `FOLDS` stratified ones where they name none.

    Raises `UserError` where only some examples name a fold, or where a training part would lack one kind of label.
    """
    labels = labels_of(examples)
    named = [example.fold for example in examples if example.fold is not None]
    if not named:
        return stratified(labels, FOLDS, seed)
    if len(named) < len(examples):
        raise UserError(f"{len(examples) - len(named)} examples have no fold and the others do: name all or none")
    folds, fold_of_row = np.unique(named, return_inverse=True)
    splits = [Split(*rows) for rows in PredefinedSplit(fold_of_row).split()]
    for fold, split in zip(folds, splits, strict=True):
        if len(np.unique(labels[split.training])) < 2:
            raise UserError(f"the examples outside fold {fold} are not of both kinds: divide them differently")
    return splits
