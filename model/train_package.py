"""`python -m model train`: a package from labelled items. Only exporting an encoder needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from model.card import Card
from model.dataset import Example, check_trainable
from model.encoder import Encoder
from model.package import write_package
from model.text import KEYWORDS, ORDER
from model.train import train

DEFAULT_ENCODER = "cl-nagoya/ruri-v3-30m"
DEFAULT_MAX_TOKENS = 256


def train_package(
    output: Path,
    examples: Sequence[Example],
    *,
    encoder: str | None,
    today: date,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    seed: int = 1,
    advance: Callable[[float], None] | None = None,
) -> Card:
    """Train a package on the examples, write it to `output` and return its card.

    `encoder` is the folder of a Hugging Face encoder or its name on the hub, None for a head over text and fields
    alone. The embeddings trained on are those of the graph in the package. Raises `DatasetError` for examples that
    cannot be trained on and `ExportError` for an encoder that cannot be had; nothing is written then.
    """
    check_trainable(examples)
    parts = None
    if encoder is not None:
        from model.encoder_export import export_encoder  # noqa: PLC0415  # needs torch, which a head alone does not

        parts = export_encoder(encoder, max_tokens=max_tokens)
    order = (*ORDER, *sorted({name for example in examples for name in example.item.attributes} - set(ORDER)))
    trained = train(
        examples,
        encoder=Encoder(parts.graph, parts.tokenizer, parts.max_tokens) if parts else None,
        order=order,
        keywords=KEYWORDS,
        seed=seed,
        advance=advance,
    )
    card = Card(
        version="trained",
        taste="owner",
        base_model=parts.name if parts else "none",
        created_on=today.isoformat(),
        order=order,
        keywords=KEYWORDS,
        max_tokens=parts.max_tokens if parts else max_tokens,
        labels=trained.labels,
        metrics=trained.metrics,
        files={},
    )
    return write_package(output, card, trained.head, parts.graph if parts else None, parts.tokenizer if parts else None)
