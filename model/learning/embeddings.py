"""Embeddings of training texts, computed once: remembered while the encoder lives, and optionally stored in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np

from model.serving.head import Embeddings

_BATCH = 64


class Embeds(Protocol):
    """Turns texts into embeddings; `Encoder` does."""

    dimensions: int

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return one row for each text."""


class KnownEmbeddings:
    """The embeddings of some texts, in place of the encoder that made them: it can go to another process."""

    def __init__(self, texts: Sequence[str], rows: Embeddings) -> None:
        self.dimensions = rows.shape[1]
        self._rows = dict(zip(texts, rows, strict=True))

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return one row for each text. Raises `KeyError` for a text that is not known."""
        return np.array([self._rows[text] for text in texts], dtype=np.float32).reshape(len(texts), self.dimensions)


_remembered: WeakKeyDictionary[Embeds, dict[str, Embeddings]] = WeakKeyDictionary()


def embed(
    encoder: Embeds, texts: Sequence[str], *, store: Path | None = None, advance: Callable[[float], None]
) -> Embeddings:
    """Return one row for each text; the encoder runs only on texts that are new to it.

    `store` is a file of this encoder's embeddings. It is read if it exists, and replaced atomically. `advance` gets the
    share that is done.
    """
    known = _remembered.setdefault(encoder, {})
    if store is not None and store.exists():
        known.update(_read(store, encoder.dimensions))
    keys = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() for text in texts]
    new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    for start in range(0, len(new), _BATCH):
        batch = list(new)[start : start + _BATCH]
        known.update(zip(batch, encoder.embed([new[key] for key in batch]), strict=True))
        advance((start + len(batch)) / len(new))
    if store is not None and (new or not store.exists()):
        _write(store, known)
    return np.array([known[key] for key in keys], dtype=np.float32).reshape(len(texts), encoder.dimensions)


def _read(store: Path, dimensions: int) -> dict[str, Embeddings]:
    """Return the stored embeddings, none if the file cannot be read: then it is replaced."""
    try:
        with np.load(store, allow_pickle=False) as file:
            keys, rows = file["keys"], file["embeddings"]
    except (OSError, ValueError, KeyError, EOFError):
        return {}
    if rows.shape != (len(keys), dimensions):
        return {}
    return dict(zip(keys.tolist(), rows, strict=True))


def _write(store: Path, known: dict[str, Embeddings]) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    unfinished = store.with_name(store.name + ".unfinished")
    with unfinished.open("wb") as file:
        np.savez(file, keys=np.array(list(known)), embeddings=np.array(list(known.values()), dtype=np.float32))
    unfinished.replace(store)
