"""Fine-tuning: trains an encoder on labels, and scores items that it did not learn from. Needs torch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from model.encoder_export import load_pretrained, most_tokens
from model.export import Parts, export, load_checkpoint
from model.learning.folds import stratified
from model.learning.metrics import Labels
from model.serving.encoder import Encoder
from model.serving.head import Head, Scores
from osusume.errors import UserError

_FOLDS = 3
_PASSES = 3
_BATCH = 16
_LEARNING_RATE = 5e-5


@dataclass(frozen=True, slots=True)
class FineTuned:
    """The parts trained on all labels, and for each text a logit from parts trained without its label."""

    parts: Parts
    held_out: Scores


def fine_tune(
    source: str,
    texts: Sequence[str],
    labels: Labels,
    *,
    max_tokens: int,
    seed: int,
    report_to: str = "none",
    advance: Callable[[float], None] = lambda _share: None,
) -> FineTuned:
    """Train the encoder that `source` names as a classifier of the texts.

    An encoder memorises its training texts, so its logits of them say little. It is therefore trained three more times
    on two thirds of the labels, to score the remaining third. `report_to` names a tracker of transformers' Trainer,
    which receives the training on all labels.

    Raises `UserError` when the encoder is unavailable, the tracker is not installed, or a kind has only one label.
    """
    splits = stratified(labels, _FOLDS, seed)
    if not splits:
        raise UserError("one kind has a single label: label more, or leave out --fine-tune")
    held_out = np.zeros(len(labels))
    for number, (training, test) in enumerate(splits, 1):
        parts = _trained(source, [texts[row] for row in training], labels[training], max_tokens=max_tokens, seed=seed)
        encoder = Encoder(parts.encoder, parts.tokenizer, parts.max_tokens)
        held_out[test] = parts.head.logits(encoder.embed([texts[row] for row in test]))
        advance(number / (len(splits) + 1))
    parts = _trained(source, texts, labels, max_tokens=max_tokens, seed=seed, report_to=report_to)
    advance(1.0)
    return FineTuned(parts, held_out)


def onto_embedding(head: Head, first: Head) -> Head:
    """Return `head`, which weighs the logit of the head `first`, as a head that weighs the embedding itself."""
    (weight,) = head.embedding
    return replace(head, embedding=weight * first.embedding, bias=head.bias + float(weight) * first.bias)


def _trained(
    source: str, texts: Sequence[str], labels: Labels, *, max_tokens: int, seed: int, report_to: str = "none"
) -> Parts:
    torch.manual_seed(seed)
    model, tokenizer = load_pretrained(AutoModelForSequenceClassification.from_pretrained, source, num_labels=2)
    max_tokens = min(max_tokens, most_tokens(model, tokenizer))
    rows = [
        {**tokenizer(text, truncation=True, max_length=max_tokens), "labels": int(label)}
        for text, label in zip(texts, labels, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=_PASSES,
            per_device_train_batch_size=_BATCH,
            learning_rate=_LEARNING_RATE,
            lr_scheduler_type="linear",
            save_strategy="no",
            logging_strategy="epoch",
            report_to=report_to,
            seed=seed,
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=False,
        )
        try:
            trainer = Trainer(model, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer))
        except (ImportError, RuntimeError, ValueError) as error:
            raise UserError(f"the Trainer cannot report to {report_to}: {error}") from error
        trainer.train()
        model.cpu().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return export(load_checkpoint(Path(folder), max_tokens))
