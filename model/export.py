"""Turns a Hugging Face sequence classifier into the parts of a model package. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from model.checkpoint_files import check_files
from model.encoder_export import check_tokenizer, first_line, load_part, most_tokens, stored_tokenizer
from model.graph import quantized, trace
from model.label_names import interested_label
from model.serving.encoder import Encoder
from model.serving.head import Head, Scores, squash
from osusume.errors import UserError

_LARGEST_LOGIT_DIFFERENCE = 1e-4
"""The rounding error allowed between a checkpoint and its own parts, both in fp32."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A sequence classifier and its tokenizer, as `from_pretrained` loads them.

    Texts are cut at `max_tokens`; `interested` is the index of the label that means interest.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    max_tokens: int
    interested: int = 1

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return the probability of interest for each text, as transformers computes it, one text at a time."""
        rows = []
        with torch.inference_mode():
            for text in texts:
                tokens = self.tokenizer(text, truncation=True, max_length=self.max_tokens, return_tensors="pt")
                rows.append(self.model(tokens["input_ids"], attention_mask=tokens["attention_mask"]).logits[0].numpy())
        logits = np.array(rows, dtype=np.float64)
        if logits.shape[1] == 1:
            return squash(logits[:, 0])
        return squash(logits[:, self.interested] - logits[:, 1 - self.interested])

    def is_readable(self, text: str) -> bool:
        """Return whether the text has any token: without one there is no score."""
        return bool(self.tokenizer(text)["input_ids"])


@dataclass(frozen=True, slots=True)
class Parts:
    """The contents of a package's files, made from a checkpoint; the head's threshold is 0.5."""

    encoder: bytes
    tokenizer: bytes
    head: Head
    max_tokens: int

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return the score that a package of these parts gives each text."""
        return self.head.scores(Encoder(self.encoder, self.tokenizer, self.max_tokens).embed(texts))

    def int8(self) -> Parts:
        """Return these parts with the encoder's weights quantized, which changes scores slightly."""
        return replace(self, encoder=quantized(self.encoder))


def load_checkpoint(folder: Path, max_tokens: int | None = None, positive_label: str | None = None) -> Checkpoint:
    """Return the checkpoint in `folder`; texts are cut at `max_tokens`, or at the most that it takes if that is less.

    `positive_label` names the label that means interest, if the names leave it open. Raises `UserError` unless the
    folder holds a trained classifier of two labels and a fast tokenizer that fits it.
    """
    check_files(folder)
    # The tokenizer loads fast, so its errors come first.
    tokenizer = load_part(AutoTokenizer.from_pretrained, folder, local_files_only=True)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"{folder} has a slow tokenizer: save its fast form (tokenizer.json) beside the model")
    model, loading = load_part(
        AutoModelForSequenceClassification.from_pretrained,
        folder,
        local_files_only=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    check_tokenizer(folder, model, tokenizer)
    if loading["missing_keys"]:
        missing = ", ".join(sorted(loading["missing_keys"])[:3])
        raise UserError(f"{folder} lacks trained weights for {missing}: train it as a sequence classifier first")
    _check_labels(model)
    names = {int(label): str(name) for label, name in model.config.id2label.items()}
    interested = interested_label(names, positive_label) if model.config.num_labels == 2 else 1
    most = most_tokens(model, tokenizer)
    return Checkpoint(model.eval(), tokenizer, most if max_tokens is None else min(max_tokens, most), interested)


def export(checkpoint: Checkpoint, *, int8: bool = True) -> Parts:
    """Return the parts of a package that scores as the checkpoint does.

    The identity replaces the classifier's last linear layer, so that the graph outputs that layer's input, the
    `embedding`. The layer becomes the head: one row as it is, or the difference of two rows. Everything before it,
    including poolers and dense layers of the classifier, stays in the graph. With `int8` the graph's weights are
    quantized, which changes scores slightly: `largest_difference` measures how much.

    Raises `UserError` when the checkpoint does not end in such a layer, or needs more input than ids. The checkpoint
    is not changed.
    """
    try:
        return _export(checkpoint, int8=int8)
    except UserError:
        raise
    except Exception as error:  # torch, onnx and the architecture's code share no other base class
        raise UserError(
            f"{type(checkpoint.model).__name__} cannot be exported ({first_line(error)}): "
            "use BERT, DistilBERT, RoBERTa, DeBERTa or ModernBERT"
        ) from error


def _export(checkpoint: Checkpoint, *, int8: bool) -> Parts:
    model = checkpoint.model
    _check_labels(model)
    name, last = _last_linear(model)
    ids = torch.arange(18).reshape(2, 9) % model.config.vocab_size
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        logits = model(ids, attention_mask=mask).logits
    with _replaced(model, name, torch.nn.Identity()):
        with torch.inference_mode():
            embedding = model(ids, attention_mask=mask).logits
            rebuilt = last(embedding) if embedding.shape[1:] == (last.in_features,) else None
        if rebuilt is None or not torch.allclose(rebuilt, logits, rtol=0, atol=_LARGEST_LOGIT_DIFFERENCE):
            raise UserError(
                f"{type(model).__name__} does more than apply its last linear layer, {name}, so no head can replace "
                "it: use BERT, DistilBERT, RoBERTa, DeBERTa or ModernBERT"
            )
        graph = trace(_Embedding(model), model, checkpoint.max_tokens)
    parts = Parts(
        encoder=graph,
        tokenizer=stored_tokenizer(checkpoint.tokenizer),
        head=_head(last, checkpoint.interested),
        max_tokens=checkpoint.max_tokens,
    )
    return parts.int8() if int8 else parts


def largest_difference(checkpoint: Checkpoint, parts: Parts, texts: Sequence[str]) -> float:
    """Return the largest difference between the parts' and the checkpoint's score of a text."""
    return float(np.abs(parts.scores(texts) - checkpoint.scores(texts)).max())


def _check_labels(model: PreTrainedModel) -> None:
    config = model.config
    if config.problem_type not in (None, "single_label_classification"):
        raise UserError(f"{type(model).__name__} is trained for {config.problem_type}: train it on the labels 0 and 1")
    if config.num_labels not in (1, 2):
        raise UserError(
            f"{type(model).__name__} has {config.num_labels} labels: a package needs a last linear layer of one or two "
            "rows, so train it on the labels 0 and 1"
        )


def _last_linear(model: PreTrainedModel) -> tuple[str, torch.nn.Linear]:
    linears = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    if not linears or linears[-1][1].out_features != model.config.num_labels:
        raise UserError(
            f"{type(model).__name__} does not end in a linear layer of one or two rows: "
            "use BERT, DistilBERT, RoBERTa, DeBERTa or ModernBERT"
        )
    return linears[-1]


@contextmanager
def _replaced(model: PreTrainedModel, name: str, module: torch.nn.Module) -> Iterator[None]:
    """Replace the model's submodule `name` by `module` inside the context."""
    before = model.get_submodule(name)
    model.set_submodule(name, module)
    try:
        yield
    finally:
        model.set_submodule(name, before)


def _head(linear: torch.nn.Linear, interested: int) -> Head:
    weights = linear.weight.detach().double().numpy()
    bias = np.zeros(len(weights)) if linear.bias is None else linear.bias.detach().double().numpy()
    if len(weights) == 2:
        weights, bias = weights[[interested]] - weights[[1 - interested]], bias[[interested]] - bias[[1 - interested]]
    return Head(embedding=weights[0], bias=float(bias[0]), threshold=0.5)


class _Embedding(torch.nn.Module):
    """The classifier with its last layer replaced: ids in, embedding out."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids).logits
        return logits
