from __future__ import annotations

import io

import numpy as np
import pytest

from model.serving.features import View
from model.serving.head import Head, TextTerm
from osusume.items import Item

RAIN = Item("RJ1", "dlsite", "https://example.com/1", "雨", attributes={"genres": ["癒し", "ＡＳＭＲ"]})
VIEW = View("title", "characters", 1, 1, 1.0)


def head() -> Head:
    term = TextTerm(VIEW, ("雨",), np.array([3], dtype=np.int32), np.array([0.5], dtype=np.float32), total=9)
    return Head(np.zeros(0), bias=0.25, threshold=0.4, text=(term,), fields={("genres", "asmr"): 1.5})


def changed(**changes: object) -> bytes:
    with np.load(io.BytesIO(head().to_bytes())) as file:
        arrays = dict(file)
    written = io.BytesIO()
    np.savez(written, **{**arrays, **changes})
    return written.getvalue()


def logit(item: Item) -> float:
    return float(head().logits(np.zeros((1, 0), dtype=np.float32), [item])[0])


def test_a_head_reads_back_as_it_was_written() -> None:
    again = Head.from_bytes(head().to_bytes())
    assert again.to_bytes() == head().to_bytes()
    assert again.scores(np.zeros((1, 0), dtype=np.float32), [RAIN]) == head().scores(
        np.zeros((1, 0), dtype=np.float32), [RAIN]
    )


def test_width_and_case_of_a_value_do_not_matter() -> None:
    small = Item("RJ1", "dlsite", "https://example.com/1", "雨", attributes={"genres": ["癒し", "asmr"]})
    assert logit(RAIN) == logit(small)


def test_unknown_values_and_ngrams_add_nothing() -> None:
    assert logit(Item("RJ2", "dlsite", "https://example.com/2", "図", attributes={"circle": ["asmr"]})) == 0.25


def test_each_ngram_of_a_longer_text_has_less_weight() -> None:
    title = Item("RJ2", "dlsite", "https://example.com/2", "雨")
    longer = Item("RJ3", "dlsite", "https://example.com/3", "雨の図書館")
    assert 0.25 < logit(longer) < logit(title) < 0.75


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"genres": np.zeros(3)}, "genres cannot be applied"),
        ({"fields.weights": np.array([np.nan])}, "fields must hold finite numbers"),
        ({"fields.weights": np.zeros(2)}, "argument 2 is longer"),
        ({"text.0.weights": np.zeros(2)}, "one weight for each n-gram"),
        ({"embedding": np.zeros((2, 2))}, "embedding must hold"),
        ({"embedding": np.array([object()])}, "pickle"),
        ({"about": np.zeros(0, dtype=np.uint8)}, "Expecting value"),
    ],
)
def test_a_head_with_an_invalid_or_unknown_part_is_refused(changes: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Head.from_bytes(changed(**changes))


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04"])
def test_bytes_that_are_not_an_archive_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a head|pickle|No data|zip"):
        Head.from_bytes(content)
