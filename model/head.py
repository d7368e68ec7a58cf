"""The linear head: it turns what is known of an item into a score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Embeddings = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Head:
    """A sum of weighted terms and a bias, squashed to a score between 0 and 1.

    `embedding` weighs each dimension of the encoder's embedding. An item is labelled 1 when its score reaches
    `threshold`.
    """

    embedding: npt.NDArray[np.float64]
    bias: float
    threshold: float

    def scores(self, embeddings: Embeddings) -> Scores:
        """Return the score of each row of `embeddings` (items by dimensions)."""
        # Not a matrix product, whose last bits depend on how many rows are multiplied at a time.
        logits = (embeddings.astype(np.float64) * self.embedding).sum(axis=1) + self.bias
        # Written with tanh because exp overflows for a strongly negative logit.
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float64)

    def to_json(self) -> dict[str, object]:
        """Return the head as plain JSON values, the inverse of `from_json`."""
        return {"terms": {"embedding": self.embedding.tolist()}, "bias": self.bias, "threshold": self.threshold}

    @classmethod
    def from_json(cls, value: object) -> Head:
        """Return the head that `value` describes.

        Raises `ValueError` naming what is wrong, also for a key or a term that it does not know: leaving a term out
        would give scores that look right and are not.
        """
        if not isinstance(value, Mapping):
            raise ValueError("it must be a JSON object")  # noqa: TRY004  # the caller catches one kind of error
        terms = value.get("terms")
        if not isinstance(terms, Mapping):
            raise ValueError("terms must be an object")  # noqa: TRY004
        unknown = sorted((value.keys() - {"terms", "bias", "threshold"}) | (terms.keys() - {"embedding"}))
        if unknown:
            raise ValueError(f"{', '.join(unknown)} cannot be applied by this version of the code")
        weights = terms.get("embedding")
        if not isinstance(weights, list) or not weights:
            raise ValueError("terms.embedding must be a list of numbers")
        threshold = _finite(value.get("threshold"), "threshold")
        if not 0 <= threshold <= 1:
            raise ValueError("threshold must lie between 0 and 1")
        return cls(
            embedding=np.array([_finite(weight, "terms.embedding") for weight in weights]),
            bias=_finite(value.get("bias"), "bias"),
            threshold=threshold,
        )


def _finite(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} must hold finite numbers only")
    return float(value)
