"""The features of many items as sparse matrices, for training. Needs scipy.

The columns are what `model.serving.head` weighs; `tests/unit/test_train.py` compares the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from model.serving.features import FieldValue, View, field_values, rarity
from osusume.items import Item

Rows = npt.NDArray[np.int64]

_NONE: Rows = np.zeros(0, dtype=np.int64)

MOST_NGRAMS = 40_000
"""The most n-grams of one view, which bounds the package's size. Beyond it n-grams must be in more items."""


@dataclass(frozen=True, slots=True)
class Known:
    """The n-grams in some rows: their columns, how many items have each, and of how many items that is counted."""

    columns: Rows
    items: npt.NDArray[np.int32]
    total: int


@dataclass(frozen=True, slots=True)
class ViewColumns:
    """The n-grams of one view in all items: one row for each item, `1 + log(count)` in each cell.

    An n-gram that fewer than `least` items have has no column; `rest` is the sum of squares of those.
    """

    view: View
    ngrams: list[str]
    cells: sparse.csr_matrix
    rest: npt.NDArray[np.float64]
    least: int

    def known(self, rows: Rows, unlabelled: Rows = _NONE) -> Known:
        """Return the n-grams of the rows that at least `least` of the rows and of the unlabelled rows together have."""
        together = np.concatenate([rows, unlabelled])
        items = self.cells[together].getnnz(axis=0)
        columns = np.flatnonzero((items >= self.least) & (self.cells[rows].getnnz(axis=0) > 0))
        return Known(columns, items[columns].astype(np.int32), len(together))

    def weighed(self, rows: Rows, known: Known) -> sparse.csr_matrix:
        """Return the rows as the head sees them, with a column for each known n-gram."""
        cells = self.cells[rows]
        kept = cells[:, known.columns] @ sparse.diags(rarity(known.items, known.total))
        left_out = _squares(cells) - _squares(cells[:, known.columns]) + self.rest[rows]
        lengths = np.sqrt(_squares(kept) + np.maximum(left_out, 0.0) * rarity(1, known.total) ** 2)
        scale = np.divide(self.view.strength, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return sparse.csr_matrix(sparse.diags(scale) @ kept)


def read_view(items: Sequence[Item], view: View, least: int) -> ViewColumns:
    """Return the n-grams of a view that at least `least` items have, or more items if there are too many n-grams."""
    having: Counter[str] = Counter()
    for item in items:
        having.update(view.ngrams(item).keys())
    levels = np.array(list(having.values()))
    while np.sum(levels >= least) > MOST_NGRAMS:
        least += 1
    ngrams = sorted(ngram for ngram, count in having.items() if count >= least)
    index = {ngram: column for column, ngram in enumerate(ngrams)}
    columns: list[Rows] = []
    values: list[npt.NDArray[np.float64]] = []
    starts, rest = [0], np.zeros(len(items))
    for row, item in enumerate(items):
        found = view.ngrams(item)
        cells = 1.0 + np.log(np.fromiter(found.values(), dtype=np.float64, count=len(found)))
        place = np.array([index.get(ngram, -1) for ngram in found], dtype=np.int64)
        columns.append(place[place >= 0])
        values.append(cells[place >= 0])
        rest[row] = float(np.sum(cells[place < 0] ** 2))
        starts.append(starts[-1] + len(columns[-1]))
    matrix = sparse.csr_matrix(
        (np.concatenate(values), np.concatenate(columns), starts), shape=(len(items), len(ngrams))
    )
    return ViewColumns(view, ngrams, matrix, rest, least)


def read_fields(items: Sequence[Item], order: Sequence[str]) -> tuple[list[FieldValue], sparse.csr_matrix]:
    """Return the values of the items' fields, sorted, and a matrix of which item (row) has which value (column)."""
    having = [list(field_values(item, order)) for item in items]
    pairs = sorted({pair for values in having for pair in values})
    index = {pair: column for column, pair in enumerate(pairs)}
    columns = [index[pair] for values in having for pair in values]
    starts = np.cumsum([0, *(len(values) for values in having)])
    matrix = sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(len(items), len(pairs)))
    return pairs, matrix


def _squares(matrix: sparse.csr_matrix) -> npt.NDArray[np.float64]:
    """Return the sum of squares of each row."""
    return np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64).ravel()
