"""`python -m model train`: a package from labelled items. Only exporting an encoder needs torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np

from model.dataset import Example, check_trainable
from model.serving.card import Card
from model.serving.encoder import Encoder
from model.serving.package import CARD, ENCODER, TOKENIZER, ModelPackage, write_package
from model.serving.text import KEYWORDS, ORDER, compose
from model.train import Trained, train
from osusume.errors import UserError

DEFAULT_MAX_TOKENS = 256


def train_package(
    output: Path,
    examples: Sequence[Example],
    *,
    encoder: str | None,
    today: date,
    fine_tune: bool = False,
    report_to: str = "none",
    max_tokens: int = DEFAULT_MAX_TOKENS,
    seed: int = 1,
    advance: Callable[[float], None] | None = None,
) -> Card:
    """Train a package on the examples, write it to `output` and return its card.

    `encoder` is the folder of a Hugging Face encoder or its name on the hub, or the folder of a package, whose encoder
    is taken as it is without torch, or None for a head over text and fields alone. The embeddings trained on are those
    of the graph in the package, kept beside it in `{output}.{encoder}.embeddings.npz` for the next training. With
    `fine_tune` the encoder is trained too, and `report_to` names the tracker that is told of it.

    Raises `UserError` for examples that cannot be trained on, `UserError` for an encoder that cannot be had or
    trained and `UserError` for a package that cannot be used; no package is written then, and one that was there
    stays.
    """
    check_trainable(examples)
    fields = {name for example in examples for name in example.item.attributes}
    order = (*ORDER, *sorted(fields - set(ORDER)))
    if encoder is None:
        made = _Made(train(examples, encoder=None, order=order, seed=seed, advance=advance), "none", max_tokens)
    elif fine_tune:
        made = _fine_tuned(
            encoder,
            examples,
            order=order,
            max_tokens=max_tokens,
            seed=seed,
            report_to=report_to,
            advance=advance or (lambda _share: None),
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
    """What a package is written from."""

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
    advance: Callable[[float], None] | None,
) -> _Made:
    if Path(source, CARD).is_file():
        graph, tokenizer, max_tokens, name = _of_package(Path(source))
    else:
        from model.encoder_export import export_encoder  # noqa: PLC0415  # needs torch, which a head alone does not

        parts = export_encoder(source, max_tokens=max_tokens)
        graph, tokenizer, max_tokens, name = parts.graph, parts.tokenizer, parts.max_tokens, parts.name
    identity = hashlib.sha256(graph + tokenizer + str(max_tokens).encode()).hexdigest()
    encoder = Encoder(graph, tokenizer, max_tokens)
    store = output.with_name(f"{output.name}.{identity[:12]}.embeddings.npz")
    trained = train(examples, encoder=encoder, store=store, order=order, seed=seed, advance=advance)
    return _Made(trained, name, max_tokens, graph, tokenizer)


def _of_package(folder: Path) -> tuple[bytes, bytes, int, str]:
    """Return the graph, the tokenizer, the most tokens and the name of a package's encoder."""
    package = ModelPackage.load(folder)
    if package.encoder is None:
        raise UserError(f"the package {folder} has no encoder: name another, or none")
    card = package.card
    return (folder / ENCODER).read_bytes(), (folder / TOKENIZER).read_bytes(), card.max_tokens, card.base_model


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
    from model.finetune import fine_tune, onto_embedding  # noqa: PLC0415  # needs torch

    tuned = fine_tune(
        source,
        [compose(example.item, order, KEYWORDS) for example in examples],
        np.array([int(example.is_interested) for example in examples], dtype=np.int64),
        max_tokens=max_tokens,
        seed=seed,
        report_to=report_to,
        advance=lambda share: advance(share * 0.9),
    )
    logits = tuned.held_out[:, None].astype(np.float32)
    trained = train(
        examples,
        encoder=None,
        embeddings=logits,
        order=order,
        seed=seed,
        advance=lambda share: advance(0.9 + share * 0.1),
    )
    trained = replace(trained, head=onto_embedding(trained.head, tuned.parts.head))
    name = Path(source).resolve().name if Path(source).is_dir() else source
    parts = tuned.parts
    return _Made(trained, f"{name}, fine-tuned", parts.max_tokens, parts.encoder, parts.tokenizer)
