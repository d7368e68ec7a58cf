"""The model package: a folder that scores items, and the one place that knows its files.

`card.json` describes the package and hashes the other files: `encoder.onnx` and `tokenizer.json` turn an item's text
into an embedding, `head.json` turns that into a score.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.card import Card
from model.encoder import Encoder
from model.head import Head
from model.reasons import Reason, strongest, tried_values, without
from model.text import compose
from osusume.items import Item

CARD = "card.json"
ENCODER = "encoder.onnx"
TOKENIZER = "tokenizer.json"
HEAD = "head.json"


class PackageError(Exception):
    """Raised when a folder is not a package that can be trusted to score; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of one item: a score from 0 to 1, the label at the package's threshold, and the reasons."""

    item_id: str
    score: float
    label: int
    reasons: list[Reason]


class ModelPackage:
    """A loaded package."""

    def __init__(self, card: Card, encoder: Encoder, head: Head) -> None:
        self.card = card
        self._encoder = encoder
        self._head = head

    @property
    def version(self) -> str:
        """The version of the package, as its card gives it."""
        return self.card.version

    @property
    def threshold(self) -> float:
        """The score from which on an item is labelled 1."""
        return self._head.threshold

    @classmethod
    def load(cls, folder: Path | str) -> ModelPackage:
        """Return the package in `folder`, every file checked against the card.

        Raises `PackageError` when a file is missing, altered, not readable, or of a format newer than this code.
        """
        folder = Path(folder)
        card = read_card(folder)
        files = {name: _verified(folder, name, card) for name in (ENCODER, TOKENIZER, HEAD, *card.files)}
        try:
            head = Head.from_json(json.loads(files[HEAD]))
        except ValueError as error:
            raise _broken(folder, HEAD, error) from error
        try:
            encoder = Encoder(files[ENCODER], files[TOKENIZER], card.max_tokens)
        except ValueError as error:
            raise _broken(folder, ENCODER, error) from error
        if encoder.dimensions != len(head.embedding):
            mismatch = f"it weighs {len(head.embedding)} dimensions and the encoder gives {encoder.dimensions}"
            raise _broken(folder, HEAD, mismatch)
        return cls(card, encoder, head)

    def probabilities(self, items: Sequence[Item]) -> list[float]:
        """Return the score of each item, in the order given, without the cost of reasons."""
        texts = [compose(item, self.card.order, self.card.keywords) for item in items]
        return [float(score) for score in self._head.scores(self._encoder.embed(texts))]

    def score(self, items: Sequence[Item]) -> list[Prediction]:
        """Return a prediction for each item, in the order given.

        An item's prediction is the same whatever it is scored with. Its reasons are measured by scoring the item again
        without each of up to `model.reasons.MOST_VALUES` values.
        """
        tried = [(index, *pair) for index, item in enumerate(items) for pair in tried_values(item, self.card.order)]
        lesser = [without(items[index], field, value) for index, field, value in tried]
        scores = self.probabilities([*items, *lesser])
        reasons: list[list[Reason]] = [[] for _ in items]
        for (index, field, value), score in zip(tried, scores[len(items) :], strict=True):
            reasons[index].append(Reason(field, value, scores[index] - score))
        return [
            Prediction(item.item_id, score, int(score >= self.threshold), strongest(item_reasons))
            for item, score, item_reasons in zip(items, scores, reasons, strict=False)
        ]


def read_card(folder: Path) -> Card:
    """Return the card of the package in `folder`; raises `PackageError` where there is none that can be read."""
    try:
        return Card.from_json(json.loads(_contents(folder, CARD)))
    except ValueError as error:
        raise _broken(folder, CARD, error) from error


def write_package(folder: Path, card: Card, head: Head, encoder: bytes, tokenizer: bytes) -> Card:
    """Write a package to `folder` and return its card, with the hashes of the files and a version made from them.

    `card.files` is set here, and a hash over all that decides a score is appended to `card.version`, so that
    packages of equal version score equally. The card is written last: a folder whose writing
    was cut short is refused.
    """
    files = {ENCODER: encoder, TOKENIZER: tokenizer, HEAD: _json(head.to_json())}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    of_all = hashlib.sha256(_json([*hashes.values(), card.order, card.keywords, card.max_tokens])).hexdigest()
    card = replace(card, version=f"{card.version}-{of_all[:12]}", files=hashes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / CARD).write_bytes(_json(card.to_json()))
    return card


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _contents(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise PackageError(
            f"model package {folder} has no {name}: write one with 'python -m model starter --output {folder}', "
            "or set MODEL_PACKAGE to a folder that holds one"
        ) from None
    except OSError as error:
        raise PackageError(
            f"{name} of model package {folder} cannot be read ({error}): mend its permissions"
        ) from error


def _verified(folder: Path, name: str, card: Card) -> bytes:
    content = _contents(folder, name)
    if name not in card.files:
        raise _broken(folder, CARD, f"it gives no sha256 for {name}")
    if hashlib.sha256(content).hexdigest() != card.files[name]:
        raise _broken(folder, name, f"its sha256 is not the one in {CARD}, so it was altered or cut short")
    return content


def _broken(folder: Path, name: str, why: object) -> PackageError:
    return PackageError(
        f"{name} of model package {folder} cannot be used: {why}; "
        "restore the package, write it anew with 'python -m model', or deploy the code that wrote it"
    )
