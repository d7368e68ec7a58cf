"""The linear head, which turns the features of an item into a score.

A head is the sum of up to three terms and a bias: `embedding` weighs each dimension of the encoder's embedding, `text`
the n-grams of the item's text, and `fields` each value of its fields. A score depends on nothing but the item.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from model.serving.features import FieldValue, Numbers, View, field_values, rarity, weigh
from osusume.items import Item

Embeddings = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class TextTerm:
    """Weights over the n-grams of one view.

    `items` says how many of the `total` training items had each n-gram, which decides how much it counts.
    """

    view: View
    ngrams: tuple[str, ...]
    items: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    total: int
    _index: dict[str, int] = field(init=False, repr=False, compare=False)
    _rarities: Numbers = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {ngram: index for index, ngram in enumerate(self.ngrams)})
        object.__setattr__(self, "_rarities", rarity(self.items, self.total))

    def logit(self, item: Item) -> float:
        """Return what the item's text adds to its logit."""
        weighed = self._weighed(item)
        if weighed is None:
            return 0.0
        _, index, weights, length = weighed
        known = index >= 0
        return self.view.strength / length * float(np.sum(weights[known] * self.weights[index[known]]))

    def parts(self, item: Item) -> dict[str, float]:
        """Return what each n-gram of the item that has a weight adds to its logit."""
        weighed = self._weighed(item)
        if weighed is None:
            return {}
        ngrams, index, weights, length = weighed
        added = self.view.strength / length * weights * np.where(index >= 0, self.weights[index], 0.0)
        return {ngram: float(part) for ngram, part in zip(ngrams, added, strict=True) if part}

    def _weighed(self, item: Item) -> tuple[list[str], npt.NDArray[np.int64], Scores, float] | None:
        """Return the item's n-grams, their rows (-1 without one), their weights in the vector, and its length."""
        ngrams = self.view.ngrams(item)
        if not ngrams or not self.ngrams:
            return None
        # An n-gram without a weight still adds to the length of the vector, like one that was in one item.
        index = np.array([self._index.get(ngram, -1) for ngram in ngrams])
        known = index >= 0
        counts = np.fromiter(ngrams.values(), dtype=np.float64, count=len(ngrams))
        weights = weigh(counts, np.where(known, self._rarities[index], rarity(1, self.total)))
        return list(ngrams), index, weights, math.sqrt(float(np.sum(weights * weights)))


@dataclass(frozen=True, slots=True)
class Label:
    """A label that the head learned from, with the traits of its item that counted most; see `Head.traits`."""

    item_id: str
    title: str
    is_interested: bool
    traits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """A sum of weighted terms and a bias, squashed to a score between 0 and 1.

    `embedding` has a weight for each dimension, none if the package has no encoder; `fields` has a weight for each
    value of a field. An item is labelled 1 when its score reaches `threshold`. `labels` are some of those that it
    learned from; they change no score.
    """

    embedding: npt.NDArray[np.float64]
    bias: float
    threshold: float
    text: tuple[TextTerm, ...] = ()
    fields: Mapping[FieldValue, float] = field(default_factory=dict)
    labels: tuple[Label, ...] = ()

    def traits(self, item: Item) -> dict[str, float]:
        """Return what the item's words and values add to its logit, by field, a tab, and value; words have no field."""
        values = field_values(item, list(item.attributes)) if self.fields else ()
        found = {f"{name}\t{value}": weight for name, value in values if (weight := self.fields.get((name, value)))}
        for term in self.text:
            if term.view.unit == "words":
                for word, part in term.parts(item).items():
                    found[f"\t{word}"] = found.get(f"\t{word}", 0.0) + part
        return found

    @property
    def reads_items(self) -> bool:
        """Whether the head uses more of an item than its embedding."""
        return bool(self.text or self.fields)

    def scores(self, embeddings: Embeddings, items: Sequence[Item] = ()) -> Scores:
        """Return the score of each row of `embeddings` (items by dimensions); a head that reads items needs `items`."""
        return squash(self.logits(embeddings, items))

    def logits(self, embeddings: Embeddings, items: Sequence[Item] = ()) -> Scores:
        """Return the logit of each row of `embeddings`; a head that reads items needs `items`."""
        # Not a matrix product, because its last bits depend on the number of rows.
        logits = (embeddings.astype(np.float64) * self.embedding).sum(axis=1) + self.bias
        if self.reads_items:
            logits += np.array([self._of_text(item) + self._of_fields(item) for item in items])
        return np.asarray(logits, dtype=np.float64)

    def _of_text(self, item: Item) -> float:
        return sum(term.logit(item) for term in self.text)

    def _of_fields(self, item: Item) -> float:
        if not self.fields:
            return 0.0
        return math.fsum(self.fields.get(pair, 0.0) for pair in field_values(item, list(item.attributes)))

    def to_bytes(self) -> bytes:
        """Return the head as the contents of `head.npz`, the inverse of `from_bytes`."""
        about = {
            "bias": self.bias,
            "threshold": self.threshold,
            "text": [{"view": term.view.to_json(), "total": term.total} for term in self.text],
        }
        arrays: dict[str, Array] = {
            "about": _packed(about),
            "embedding": self.embedding,
            "fields": _packed([list(pair) for pair in self.fields]),
            "fields.weights": np.array(list(self.fields.values()), dtype=np.float32),
        }
        for number, term in enumerate(self.text):
            arrays[f"text.{number}.ngrams"] = _packed(list(term.ngrams))
            arrays[f"text.{number}.items"] = term.items
            arrays[f"text.{number}.weights"] = term.weights
        if self.labels:
            arrays["labels"] = _packed([astuple(label) for label in self.labels])
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Head:
        """Return the head that `content` holds.

        Raises `ValueError` naming what is wrong, also for an unknown term: ignoring it would give scores that look
        right and are not.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays: dict[str, Array] = {name: file[name] for name in file.files}
            about = _unpacked(arrays.pop("about"))
            head = cls(
                embedding=_finite(arrays.pop("embedding"), "embedding").astype(np.float64),
                bias=float(about.pop("bias")),
                threshold=float(about.pop("threshold")),
                text=tuple(_text_term(arrays, number, text) for number, text in enumerate(about.pop("text"))),
                fields=_field_weights(arrays),
                labels=_labels(arrays),
            )
        except ValueError:
            raise
        except Exception as error:  # each kind of damage has its own class in zipfile, zlib and numpy
            raise ValueError(f"it is not a head ({type(error).__name__} {error})") from error
        unknown = sorted([*about, *arrays])
        if unknown:
            raise ValueError(f"{', '.join(unknown)} cannot be applied by this version of the code")
        if not math.isfinite(head.bias) or not 0 <= head.threshold <= 1:
            raise ValueError("bias must be finite and threshold must lie between 0 and 1")
        return head


def squash(logits: Scores) -> Scores:
    """Return the scores of logits; it uses tanh, because exp overflows for very negative ones."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float64)


def _text_term(arrays: dict[str, Array], number: int, about: Mapping[str, Any]) -> TextTerm:
    """Return a text term and remove its arrays from `arrays`."""
    ngrams = _unpacked(arrays.pop(f"text.{number}.ngrams"))
    items = arrays.pop(f"text.{number}.items")
    weights = _finite(arrays.pop(f"text.{number}.weights"), "text")
    if not len(ngrams) == len(items) == len(weights):
        raise ValueError("text must have one weight for each n-gram")
    view = View.from_json(about["view"])
    return TextTerm(view, tuple(ngrams), items.astype(np.int32), weights.astype(np.float32), int(about["total"]))


def _labels(arrays: dict[str, Array]) -> tuple[Label, ...]:
    """Return the labels, none in heads of earlier versions, and remove their array."""
    rows = _unpacked(arrays.pop("labels")) if "labels" in arrays else []
    return tuple(
        Label(str(id_), str(title), bool(liked), tuple(map(str, traits))) for id_, title, liked, traits in rows
    )


def _field_weights(arrays: dict[str, Array]) -> dict[FieldValue, float]:
    pairs = [(str(name), str(value)) for name, value in _unpacked(arrays.pop("fields"))]
    weights = _finite(arrays.pop("fields.weights"), "fields")
    return dict(zip(pairs, weights.astype(np.float64).tolist(), strict=True))


def _packed(value: object) -> Array:
    return np.frombuffer(json.dumps(value, ensure_ascii=False).encode(), dtype=np.uint8)


def _unpacked(array: Array) -> Any:  # JSON may be anything; the callers check what they take
    return json.loads(array.tobytes())


def _finite(array: Array, name: str) -> Array:
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers only")
    return array
