"""The model package, a folder that scores items. Only this module knows its files.

`card.json` describes the package and holds the hashes of the other files. `encoder.onnx` and `tokenizer.json` turn an
item's text into an embedding; both are optional. `head.npz` turns the embedding and the item into a score.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from model.serving.card import Card
from model.serving.head import Embeddings, Head, squash
from model.serving.reasons import phrases, read_from_head, strongest, tried_values, without, witnesses
from model.serving.text import compose
from osusume.errors import UserError
from osusume.items import Item
from osusume.records import Reason, Witness

if TYPE_CHECKING:
    from model.serving.encoder import Encoder

CARD = "card.json"
ENCODER = "encoder.onnx"
TOKENIZER = "tokenizer.json"
HEAD = "head.npz"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one item: score from 0 to 1, label at the package's threshold, and what speaks for it."""

    item_id: str
    score: float
    label: int
    reasons: list[Reason]
    witnesses: list[Witness] = field(default_factory=list)


_LEAST_SCORE = 1e-9


class ModelPackage:
    """A loaded package."""

    def __init__(self, card: Card, encoder: Encoder | None, head: Head) -> None:
        """Combine the parts; `encoder` is None if the head uses text and fields alone."""
        self.card = card
        self.encoder = encoder
        self.head = head

    @property
    def version(self) -> str:
        """The version on the card."""
        return self.card.version

    @property
    def threshold(self) -> float:
        """The lowest score of items that are labelled 1."""
        return self.head.threshold

    @classmethod
    def load(cls, folder: Path | str) -> ModelPackage:
        """Return the package in `folder` after checking every file against the card.

        Raises `UserError` when a file is missing, altered, unreadable, or of another format.
        """
        folder = Path(folder)
        card = read_card(folder)
        encoder_files = (ENCODER, TOKENIZER) if {ENCODER, TOKENIZER} & card.files.keys() else ()
        with ThreadPoolExecutor(1) as pool:  # hashing a graph takes as long as importing onnxruntime
            verified = pool.submit(_verify, folder, sorted({HEAD, *encoder_files, *card.files}), card)
            if encoder_files:
                from model.serving.encoder import Encoder  # noqa: PLC0415
            verified.result()
        try:
            head = Head.from_bytes(_contents(folder, HEAD))
        except ValueError as error:
            raise _broken(folder, HEAD, error) from error
        encoder = None
        if encoder_files:
            try:
                encoder = Encoder(folder / ENCODER, _contents(folder, TOKENIZER), card.max_tokens)
            except ValueError as error:
                raise _broken(folder, ENCODER, error) from error
        dimensions = encoder.dimensions if encoder else 0
        if dimensions != len(head.embedding):
            mismatch = f"it weighs {len(head.embedding)} dimensions and the encoder gives {dimensions}"
            raise _broken(folder, HEAD, mismatch)
        return cls(card, encoder, head)

    def with_head(self, card: bytes, head: bytes) -> ModelPackage:
        """Return this package with another head, given as the contents of its `card.json` and `head.npz`.

        Version, threshold, order and keywords are those of the new card. Raises `UserError` when the two are
        unreadable, do not belong together, or were made for another encoder.
        """
        try:
            new_card, new_head = Card.from_json(json.loads(card)), Head.from_bytes(head)
        except ValueError as error:
            raise UserError(
                f"the head cannot be used: {error}; train it again, with this version of the code"
            ) from error
        if _sha256(head) != new_card.files.get(HEAD):
            raise UserError(f"the head does not match the hash on card {new_card.version}: store it again")
        if _beside_head(new_card) != _beside_head(self.card) or len(new_head.embedding) != len(self.head.embedding):
            raise UserError(
                f"head {new_card.version} was made for another encoder than that of package {self.version}:"
                " deploy the package that it was trained with, or train it again"
            )
        return ModelPackage(new_card, self.encoder, new_head)

    def probabilities(self, items: Sequence[Item]) -> list[float]:
        """Return the score of each item, in the order given; this is faster than `score`."""
        return [float(score) for score in self.head.scores(self._embeddings(items), items)]

    def score(self, items: Sequence[Item]) -> list[Prediction]:
        """Return a prediction for each item, in the order given.

        An item's prediction does not depend on the other items. Its reasons come from the head's weights of its values
        if the head weighs fields. Otherwise they are measured: the item is scored again without each of up to
        `model.serving.reasons.MOST_VALUES` values.
        """
        if self.head.fields or self.encoder is None:
            logits = self.head.logits(self._embeddings(items), items)
            scores = [float(score) for score in squash(logits)]
            reasons = [
                read_from_head(item, float(logit), self.head, self.card.order)
                for item, logit in zip(items, logits, strict=True)
            ]
        else:
            scores, reasons = self._measured(items)
        return [
            self._prediction(item, score, item_reasons)
            for item, score, item_reasons in zip(items, scores, reasons, strict=True)
        ]

    def _prediction(self, item: Item, score: float, reasons: list[Reason]) -> Prediction:
        traits = self.head.traits(item)
        told = [*strongest(reasons), *phrases(traits, _logit(score))]
        return Prediction(item.item_id, score, int(score >= self.threshold), told, witnesses(traits, self.head.labels))

    def _embeddings(self, items: Sequence[Item]) -> Embeddings:
        if self.encoder is None:
            return np.zeros((len(items), 0), dtype=np.float32)
        return self.encoder.embed([compose(item, self.card.order, self.card.keywords) for item in items])

    def _measured(self, items: Sequence[Item]) -> tuple[list[float], list[list[Reason]]]:
        """Return scores and reasons, measured by leaving out each value."""
        tried = [(index, *pair) for index, item in enumerate(items) for pair in tried_values(item, self.card.order)]
        lesser = [without(items[index], name, value) for index, name, value in tried]
        scores = self.probabilities([*items, *lesser])
        reasons: list[list[Reason]] = [[] for _ in items]
        for (index, name, value), score in zip(tried, scores[len(items) :], strict=True):
            reasons[index].append(Reason(name, value, scores[index] - score))
        return scores[: len(items)], reasons


def _logit(score: float) -> float:
    share = min(max(score, _LEAST_SCORE), 1 - _LEAST_SCORE)
    return math.log(share / (1 - share))


def read_card(folder: Path) -> Card:
    """Return the card of the package in `folder`; raises `UserError` if it cannot be read."""
    try:
        return Card.from_json(json.loads(_contents(folder, CARD)))
    except (ValueError, OverflowError, RecursionError) as error:
        raise _broken(folder, CARD, error) from error


def write_package(
    folder: Path, card: Card, head: Head, encoder: bytes | None = None, tokenizer: bytes | None = None
) -> Card:
    """Write a package to `folder` and return its card, as `sealed` makes it.

    Replaces an existing package. The old card is removed first and the new one written last, so that an incomplete
    package is refused.
    """
    parts = {ENCODER: encoder, TOKENIZER: tokenizer}
    files = {name: content for name, content in parts.items() if content is not None}
    card = sealed(replace(card, files={name: _sha256(content) for name, content in files.items()}), head)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    for name in parts.keys() - files.keys():
        (folder / name).unlink(missing_ok=True)
    for name, content in {**files, HEAD: head.to_bytes()}.items():
        (folder / name).write_bytes(content)
    (folder / CARD).write_bytes(card_contents(card))
    return card


def card_contents(card: Card) -> bytes:
    """Return the contents of `card.json`."""
    return _json(card.to_json())


def sealed(card: Card, head: Head) -> Card:
    """Return the card with the head's hash, and with a version made from everything that decides a score.

    A hash of the files, the order, the keywords and `max_tokens` is appended to `card.version`, so that packages of
    the same version give the same scores. `card.files` must hold the encoder's files, if there is one.
    """
    files = {name: sha256 for name, sha256 in card.files.items() if name != HEAD} | {HEAD: _sha256(head.to_bytes())}
    of_all = _sha256(_json([*files.values(), card.order, card.keywords, card.max_tokens]))
    return replace(card, version=f"{card.version}-{of_all[:12]}", files=files)


def _beside_head(card: Card) -> tuple[dict[str, str], int]:
    """Return what a head depends on: the hashes of the other files, and where texts are cut."""
    return {name: sha256 for name, sha256 in card.files.items() if name != HEAD}, card.max_tokens


def _sha256(content: bytes | mmap) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _contents(folder: Path, name: str) -> bytes:
    with _opened(folder, name) as file:
        return file.read()


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[BinaryIO]:
    try:
        with (folder / name).open("rb") as file:
            yield file
    except FileNotFoundError:
        raise UserError(
            f"model package {folder} has no {name}: write one with 'python -m model train --output {folder}', "
            "or set MODEL_PACKAGE to a folder that holds one"
        ) from None
    except OSError as error:
        raise UserError(f"{name} of model package {folder} cannot be read ({error}): fix its permissions") from error


def _verify(folder: Path, names: Iterable[str], card: Card) -> None:
    for name in names:
        with _opened(folder, name) as file:
            # A mapped file is hashed in one call, without a copy and without the GIL.
            sha256 = _sha256(mmap(file.fileno(), 0, access=ACCESS_READ) if os.fstat(file.fileno()).st_size else b"")
        if name not in card.files:
            raise _broken(folder, CARD, f"it has no sha256 for {name}")
        if sha256 != card.files[name]:
            raise _broken(folder, name, f"its sha256 is not the one in {CARD}, so it was altered or cut short")


def _broken(folder: Path, name: str, why: object) -> UserError:
    return UserError(
        f"{name} of model package {folder} cannot be used: {why}; "
        "restore the package, write it again with 'python -m model', or deploy the code that wrote it"
    )
