"""`python -m model train`: makes a package from labelled items. Only exporting and fine-tuning need torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from model.learning.examples import Example, check_trainable
from model.learning.folds import labels_of
from model.learning.train import Trained, train
from model.serving.card import Card
from model.serving.encoder import Encoder
from model.serving.package import CARD, ENCODER, TOKENIZER, ModelPackage, write_package
from model.serving.text import KEYWORDS, ORDER, compose
from osusume.errors import UserError


def train_package(
    output: Path,
    examples: Sequence[Example],
    *,
    encoder: str | None,
    today: date,
    fine_tune: bool,
    report_to: str,
    max_tokens: int,
    seed: int,
    advance: Callable[[float], None],
) -> Card:
    """Train a package on the examples, write it to `output` and return its card.

    `encoder` is one of: the folder of a Hugging Face encoder; its name on the hub; the folder of a package, whose
    encoder is reused without torch; None for a head over text and fields alone. The head is trained on the embeddings
    of the package's own graph, which are stored in `{output}.{encoder}.embeddings.npz` for the next training. With
    `fine_tune` the encoder is trained too, and `report_to` names a tracker that follows it.

    Raises `UserError` for examples that cannot be trained on, an encoder that is unavailable or cannot be trained, and
    a package that cannot be used. No package is written then, and an existing one stays.
    """
    check_trainable(examples)
    fields = {name for example in examples for name in example.item.attributes}
    order = (*ORDER, *sorted(fields - set(ORDER)))
    if encoder is None:
        made = _Made(train(examples, encoder=None, order=order, seed=seed, advance=advance), "none", max_tokens)
    elif fine_tune:
        made = _fine_tuned(
            encoder, examples, order=order, max_tokens=max_tokens, seed=seed, report_to=report_to, advance=advance
        )
    else:
        made = _with_frozen(
            encoder, examples, order=order, max_tokens=max_tokens, seed=seed, output=output, advance=advance
        )
    card = Card(
        version="trained",
        taste="owner",
        base_model=made.base_model,
        created_on=today.isoformat(),
        order=order,
        keywords=KEYWORDS,
        max_tokens=made.max_tokens,
        labels=made.trained.labels,
        metrics=made.trained.metrics,
        files={},
    )
    return write_package(output, card, made.trained.head, made.graph, made.tokenizer)


@dataclass(frozen=True, slots=True)
class _Made:
    """The parts of a trained package."""

    trained: Trained
    base_model: str
    max_tokens: int
    graph: bytes | None = None
    tokenizer: bytes | None = None


def _with_frozen(
    source: str,
    examples: Sequence[Example],
    *,
    order: Sequence[str],
    max_tokens: int,
    seed: int,
    output: Path,
    advance: Callable[[float], None],
) -> _Made:
    folder = Path(source)
    if (folder / CARD).is_file():
        package = ModelPackage.load(folder)
        if package.encoder is None:
            raise UserError(f"the package {folder} has no encoder: name another, or none")
        graph, tokenizer = (folder / ENCODER).read_bytes(), (folder / TOKENIZER).read_bytes()
        max_tokens, name = package.card.max_tokens, package.card.base_model
    else:
        from model.encoder_export import export_encoder  # noqa: PLC0415  # needs torch

        parts = export_encoder(source, max_tokens=max_tokens)
        graph, tokenizer, max_tokens, name = parts.graph, parts.tokenizer, parts.max_tokens, parts.name
    identity = hashlib.sha256(graph + tokenizer + str(max_tokens).encode()).hexdigest()
    encoder = Encoder(graph, tokenizer, max_tokens)
    store = output.with_name(f"{output.name}.{identity[:12]}.embeddings.npz")
    trained = train(examples, encoder=encoder, store=store, order=order, seed=seed, advance=advance)
    return _Made(trained, name, max_tokens, graph, tokenizer)


def _fine_tuned(
    source: str,
    examples: Sequence[Example],
    *,
    order: Sequence[str],
    max_tokens: int,
    seed: int,
    report_to: str,
    advance: Callable[[float], None],
) -> _Made:
    from model.encoder_export import short_name  # noqa: PLC0415  # needs torch
    from model.finetune import fine_tune, onto_embedding  # noqa: PLC0415

    tuned = fine_tune(
        source,
        [compose(example.item, order, KEYWORDS) for example in examples],
        labels_of(examples),
        max_tokens=max_tokens,
        seed=seed,
        report_to=report_to,
        advance=lambda share: advance(share * 0.9),
    )
    trained = train(
        examples,
        encoder=None,
        embeddings=tuned.held_out[:, None].astype(np.float32),
        order=order,
        seed=seed,
        advance=lambda share: advance(0.9 + share * 0.1),
    )
    trained = replace(trained, head=onto_embedding(trained.head, tuned.parts.head))
    parts = tuned.parts
    return _Made(trained, f"{short_name(source)}, fine-tuned", parts.max_tokens, parts.encoder, parts.tokenizer)
