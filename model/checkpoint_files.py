"""Checks the files of a checkpoint before anything is loaded, so that each fault is reported in one sentence."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from osusume.errors import UserError

MOST_GRAPH_BYTES = 2**31 - 2**24
"""An ONNX graph in one file is a protobuf, which holds 2 GiB; a little of that is for the operators."""

_POINTER = b"version https://git-lfs.github.com"
_TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "bpe.codes",
)
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def check_files(folder: Path) -> None:
    """Raise `UserError` if files of the checkpoint in `folder` are missing, cut short, git-lfs pointers or too large.

    It reads only the beginning of large files.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {what}: give the folder that save_pretrained wrote model and tokenizer to")
    try:
        for path in sorted(folder.iterdir()):
            if path.is_file() and _beginning(path, len(_POINTER)) == _POINTER:
                raise UserError(f"{path} is a git-lfs pointer, not the file itself: run 'git lfs pull'")
        _check_json(folder / "config.json")
        _check_weights(folder)
        _check_tokenizer(folder)
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be read: {error.strerror}") from error


def _check_weights(folder: Path) -> None:
    weights = [path for pattern in _WEIGHTS for path in sorted(folder.glob(pattern))]
    for index in folder.glob("*.index.json"):
        shards = _check_json(index).get("weight_map")
        named = shards.values() if isinstance(shards, dict) else ()
        missing = sorted({str(name) for name in named} - {path.name for path in weights})
        if missing:
            raise UserError(f"{folder} lacks {', '.join(missing[:3])}, which {index.name} names: download it again")
    if not weights:
        raise UserError(f"{folder} has no weights (model.safetensors): download or train the model first")
    parameters = sum(_parameters(path) for path in weights if path.suffix == ".safetensors")
    check_size(folder, parameters)
    for path in weights:
        # torch writes a zip archive, whose directory is at its end; before 2020 it wrote a pickle.
        if path.suffix == ".bin" and not zipfile.is_zipfile(path) and _beginning(path, 1) != b"\x80":
            raise UserError(f"{path} is cut short or damaged: download it again")


def check_size(source: object, parameters: int) -> None:
    """Raise `UserError` if a model of so many parameters does not fit into a graph."""
    if parameters * 4 > MOST_GRAPH_BYTES:
        raise UserError(
            f"{source} has {parameters:,} parameters, {parameters * 4 / 2**30:.1f} GiB in fp32, and a graph holds 2:"
            " use a smaller model"
        )


def _parameters(path: Path) -> int:
    """Return how many numbers a file of safetensors holds."""
    try:
        with safe_open(path, framework="numpy") as file:
            return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise UserError(f"{path} is cut short or damaged: download it again") from error


def _check_tokenizer(folder: Path) -> None:
    if not any((folder / name).exists() for name in _TOKENIZERS):
        raise UserError(f"{folder} has no tokenizer (tokenizer.json): save the tokenizer beside the model")
    for name in ("tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"):
        if (folder / name).exists():
            _check_json(folder / name)


def _check_json(path: Path) -> dict[str, object]:
    if not path.exists():
        raise UserError(f"{path.parent} has no {path.name}: give the folder that save_pretrained wrote")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is cut short or not JSON: download or save it again") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object: download or save it again")
    return value


def _beginning(path: Path, length: int) -> bytes:
    with path.open("rb") as file:
        return file.read(length)
