"""The model package's files: card, head, and the whole folder, with hashes that fit and that do not."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from fuzz.damage import damaged_bytes, damaged_json, happens, one_of
from fuzz.target import Target
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from model.serving.card import Card
from model.serving.features import View
from model.serving.head import Head, TextTerm
from model.serving.package import ModelPackage, read_card
from osusume.errors import UserError
from samples.works import demo_works

STARTER = Path(__file__).parents[2] / "model" / "starter"
WORKS = demo_works()[:2]


def read_a_card(content: bytes) -> None:
    """Read a card from a folder, and check that it can be written again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "card.json").write_bytes(content)
        card = read_card(folder)
    assert Card.from_json(json.loads(json.dumps(card.to_json()))) == card


def read_a_head(content: bytes) -> None:
    """Read a head, and check that what it scores is a score."""
    head = Head.from_bytes(content)
    scores = head.scores(np.zeros((2, len(head.embedding)), dtype=np.float32), WORKS)
    assert ((scores >= 0) & (scores <= 1)).all()


def load_package(content: bytes) -> None:
    """Load a package of which one file is `content`: the file's name in the first line, then what it holds.

    A name that begins with `sealed` has its hash put into the card.
    """
    line, _, held = content.partition(b"\n")
    name = line.decode().removeprefix("sealed ")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for path in STARTER.iterdir():
            shutil.copyfile(path, folder / path.name)
        (folder / name).write_bytes(held)
        if line.startswith(b"sealed"):
            card = json.loads((folder / "card.json").read_text())
            card["files"][name] = hashlib.sha256(held).hexdigest()
            (folder / "card.json").write_text(json.dumps(card))
        ModelPackage.load(folder)


@cache
def _small_head() -> bytes:
    view = View("item", "characters", 2, 3, 1.0)
    ngrams = ("雨の", "図書", "書館")
    term = TextTerm(view, ngrams, np.array([3, 2, 1], np.int32), np.array([0.5, -0.25, 1.0], np.float32), 20)
    fields = {("circle", "青の箱"): 0.5, ("genres", "朗読"): -0.25}
    return Head(np.array([0.5, -0.5, 0.125]), 0.25, 0.5, (term,), fields).to_bytes()


def _cards() -> Sequence[object]:
    return [json.loads((STARTER / "card.json").read_text())]


@st.composite
def _head_damage(draw: DrawFn, _: object) -> bytes:
    """Damage the archive, or what is in it, with sums that fit: zip's own would find the rest."""
    if happens(draw, 20):
        return draw(damaged_bytes(_small_head()))
    with zipfile.ZipFile(io.BytesIO(_small_head())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = one_of(draw, list(members))
    match draw(st.integers(0, 5)):
        case 0:
            del members[chosen]
        case 1:
            members[chosen + "x.npy"] = members[chosen]
        case 2:
            members[chosen] = members[one_of(draw, list(members))]
        case 3 if chosen in {"about.npy", "fields.npy", "text.0.ngrams.npy"}:
            value = json.loads(np.load(io.BytesIO(members[chosen])).tobytes())
            members[chosen] = _array(np.frombuffer(draw(damaged_json(value)), np.uint8))
        case 4:
            odd = (
                np.array(0.5),
                np.zeros((2, 2)),
                np.array([np.nan]),
                np.array(["x"]),
                np.array([1 + 2j]),
                np.zeros(0),
            )
            members[chosen] = _array(one_of(draw, odd))
        case _:
            members[chosen] = draw(damaged_bytes(members[chosen]))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member, zipfile.ZIP_DEFLATED)  # without the time of day
    return file.getvalue()


def _array(value: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    file = io.BytesIO()
    np.save(file, value, allow_pickle=False)
    return file.getvalue()


@st.composite
def _file_damage(draw: DrawFn, _: object) -> bytes:
    match draw(st.integers(0, 3)):
        case 0:
            line, held = "sealed head.npz", draw(_head_damage(None))
        case 1:
            line, held = "sealed tokenizer.json", draw(damaged_json(_tokenizer()))
        case 2:
            line, held = "card.json", draw(damaged_json(_cards()[0]))
        case _:
            line = one_of(draw, ("card.json", "head.npz", "tokenizer.json", "encoder.onnx"))
            held = draw(damaged_bytes((STARTER / line).read_bytes()))
    return f"{line}\n".encode() + held


@cache
def _tokenizer() -> object:
    return json.loads((STARTER / "tokenizer.json").read_text())


TARGETS = (
    Target("card", 4, (UserError,), read_a_card, _cards, damaged_json),
    Target("head", 4, (ValueError,), read_a_head, lambda: [b""], _head_damage),
    Target("model package", 1, (UserError,), load_package, lambda: [b""], _file_damage),
)
