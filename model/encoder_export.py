"""Turns a Hugging Face encoder into the files of a model package. Needs torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, normalizers
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils.hub import cached_file

from model.checkpoint_files import check_files, check_size
from model.graph import quantized, trace
from osusume.errors import UserError

DOCUMENT_PROMPTS = ("passage", "document", "text")
"""The names under which models keep the prompt of texts that are no queries, the first choice first."""


@dataclass(frozen=True, slots=True)
class EncoderParts:
    """The contents of a package's `encoder.onnx` and `tokenizer.json`, the most tokens they take, and a name."""

    graph: bytes
    tokenizer: bytes
    max_tokens: int
    name: str


@dataclass(frozen=True, slots=True)
class Pooling:
    """How the vectors of a text's tokens become its embedding: their `mean` or the first (`cls`), maybe normalized."""

    mode: str = "mean"
    normalize: bool = False


def export_encoder(source: str, *, max_tokens: int, int8: bool = True, table_bits: int = 8) -> EncoderParts:
    """Return the encoder in a local folder or on the Hugging Face hub as package files.

    An embedding is what sentence-transformers gives for the text after the source's prompt for documents, or the mean
    of the tokens' vectors if the source has no sentence-transformers files. Texts are cut at `max_tokens`, or at the
    most that the encoder takes if that is less. With `int8` the weights are quantized, the tokens' vectors to
    `table_bits`, 8 or 4.

    Raises `UserError` when the encoder is unavailable or of a kind that cannot be exported.
    """
    model, tokenizer = load_pretrained(AutoModel.from_pretrained, source)
    pooling = read_pooling(source)
    max_tokens = min(max_tokens, most_tokens(model, tokenizer))
    graph = trace(_Pooled(model, pooling), model, max_tokens)
    return EncoderParts(
        graph=quantized(graph, table_bits=table_bits) if int8 else graph,
        tokenizer=stored_tokenizer(tokenizer, read_prompt(source)),
        max_tokens=max_tokens,
        name=short_name(source),
    )


def short_name(source: str) -> str:
    """Return the name of the source: its name on the hub, or that of its folder."""
    return Path(source).resolve().name if Path(source).is_dir() else source


def most_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """Return how many tokens the model takes, according to its position table and its tokenizer."""
    positions = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
    # RoBERTa counts positions from the padding's index on, so the rows before it are never used.
    embeddings = getattr(model.base_model, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if isinstance(table, torch.nn.Embedding) and table.padding_idx is not None:
        positions -= table.padding_idx + 1
    return int(min(positions, tokenizer.model_max_length))


def read_pooling(source: str) -> Pooling:
    """Return the pooling that the source's sentence-transformers files ask for, the mean without such files.

    Raises `UserError` for unknown modules and modes.
    """
    pooling = Pooling()
    for module in (_json(source, "modules.json") or [])[1:]:
        kind = module["type"].rpartition(".")[2]
        if kind == "Pooling":
            pooling = Pooling(_mode(source, _json(source, f"{module['path']}/config.json") or {}))
        elif kind == "Normalize":
            pooling = Pooling(pooling.mode, normalize=True)
        else:
            raise UserError(f"{source} has a module {kind} after its encoder, which cannot be exported: use another")
    return pooling


def read_prompt(source: str) -> str:
    """Return what the source's sentence-transformers files put before a text that is no query, mostly nothing."""
    about = _json(source, "config_sentence_transformers.json") or {}
    prompts = about.get("prompts") or {}
    names = (*DOCUMENT_PROMPTS, about.get("default_prompt_name"))
    return next((str(prompts[name]) for name in names if prompts.get(name)), "")


def _mode(source: str, config: dict[str, object]) -> str:
    mode = config.get("pooling_mode")
    modes = [mode] if mode else [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
    if modes in (["cls"], ["pooling_mode_cls_token"]):
        return "cls"
    if modes in (["mean"], ["pooling_mode_mean_tokens"]):
        return "mean"
    raise UserError(f"{source} pools its tokens by {modes}: only the mean and the first token can be exported")


class _Pooled(torch.nn.Module):
    """The encoder followed by the pooling."""

    def __init__(self, model: PreTrainedModel, pooling: Pooling) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.model(input_ids=input_ids).last_hidden_state
        embedding = vectors[:, 0] if self.pooling.mode == "cls" else vectors.mean(dim=1)
        return torch.nn.functional.normalize(embedding, dim=-1) if self.pooling.normalize else embedding


def load_pretrained(
    load: Callable[..., PreTrainedModel], source: str, **options: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Return the model that transformers' `load` makes of a source, in fp32, and its tokenizer.

    Raises `UserError` when the source is unavailable or has no fast tokenizer.
    """
    try:
        if Path(source).is_dir():
            check_files(Path(source))
        tokenizer = load_part(AutoTokenizer.from_pretrained, source)
        model = load_part(load, source, dtype=torch.float32, **options)
    except UserError as error:
        raise UserError(
            f"the encoder {source} is unavailable: {error}; "
            "give the folder of a downloaded encoder, or go without one: --encoder none"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"the encoder {source} has a slow tokenizer: save its fast form (tokenizer.json) beside it")
    check_tokenizer(source, model, tokenizer)
    check_size(source, sum(parameter.numel() for parameter in model.parameters()))
    return model, tokenizer


def load_part(load: Callable[..., Any], source: object, **options: Any) -> Any:
    """Return what transformers' `load` makes of a source; turns every error into a `UserError` of one sentence."""
    try:
        return load(source, **options)
    except ImportError as error:
        raise UserError(
            f"{source} needs a package that is not installed ({first_line(error)}): install it, or save the tokenizer's"
            " fast form (tokenizer.json) beside the model"
        ) from error
    except Exception as error:  # torch, safetensors, tokenizers and the architecture's code share no other base class
        raise UserError(
            f"{source} cannot be loaded by transformers ({first_line(error)}): save or download it again"
        ) from error


def check_tokenizer(source: object, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Raise `UserError` if a tokenizer knows no words, or more words than its model has vectors."""
    vocabulary = tokenizer.get_vocab()
    if len(vocabulary) <= len(tokenizer.all_special_tokens):
        raise UserError(f"the tokenizer of {source} knows no words: save the one that the model was trained with")
    rows = int(model.get_input_embeddings().num_embeddings)  # type: ignore[arg-type]  # it is an nn.Embedding
    if max(vocabulary.values()) >= rows:
        raise UserError(
            f"the tokenizer of {source} has ids up to {max(vocabulary.values())}, its model {rows} vectors: they do"
            " not belong together, so save both again"
        )


def stored_tokenizer(tokenizer: PreTrainedTokenizerFast, prompt: str = "") -> bytes:
    """Return the content of a package's `tokenizer.json`, with the prompt, and from which side long texts are cut."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    if prompt:
        own = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([normalizers.Prepend(prompt), *own])
    backend.enable_truncation(1, direction=tokenizer.truncation_side)  # the length is in the package's card
    return bytes(backend.to_str().encode())


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the error's name."""
    lines = str(error).strip().splitlines()
    return f"{lines[0][:300]}" if lines else type(error).__name__


def _json(source: str, name: str) -> Any:
    path = cached_file(
        source, name, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
    )
    return None if path is None else json.loads(Path(path).read_text())
