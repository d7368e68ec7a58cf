"""Turns a Hugging Face sequence classifier into a model package, and measures how scores change. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from model.export import Parts, export, largest_difference, load_checkpoint
from model.learning.examples import Example
from model.learning.folds import labels_of
from model.learning.metrics import Labels, accuracy
from model.serving.card import Card
from model.serving.package import write_package
from model.serving.text import KEYWORDS, ORDER, compose
from osusume.errors import UserError
from samples.works import demo_works

_MOST_ACCURACY_LOST = 0.005
_LARGEST_DIFFERENCE = 1e-5
"""The largest difference allowed between the scores of a checkpoint and of its package in fp32."""
_COMPARED = 48
"""How many texts torch scores too, which is slow."""


def export_package(
    folder: Path,
    output: Path,
    *,
    today: date,
    examples: Sequence[Example] = (),
    max_tokens: int | None = None,
    int8: bool = True,
    force: bool = False,
    positive_label: str | None = None,
) -> Card:
    """Write the package of the checkpoint in `folder` to `output` and return its card, which holds the measurements.

    Scores are compared on the texts of `examples`, or of made-up works if there are none, and on short, long and empty
    texts. With examples, accuracy at a classifier's threshold of 0.5 is measured too. Texts are cut at `max_tokens`
    (512 by default), or at the most that the checkpoint takes if that is less. `positive_label` names the label that
    means interest.

    Raises `UserError` for a checkpoint that cannot become a package. Unless `force` is set, also for one that loses
    more than 0.005 of its accuracy to int8, or is less accurate than the majority class.
    """
    checkpoint = load_checkpoint(folder, max_tokens or 512, positive_label)
    texts = [compose(item, ORDER, KEYWORDS) for item in [example.item for example in examples] or demo_works()]
    exact = export(checkpoint, int8=False)
    probes = [text for text in _probes(checkpoint.max_tokens) if checkpoint.is_readable(text)]
    difference = largest_difference(checkpoint, exact, [*probes, *texts[:_COMPARED]])
    if not difference <= _LARGEST_DIFFERENCE:  # also if it is not a number
        raise UserError(
            f"the scores of {folder} and of its graph differ by up to {difference:.1g}: "
            "its architecture cannot be exported by this version of torch"
        )
    parts = exact.int8() if int8 else exact
    labels = labels_of(examples)
    metrics = _metrics(exact, parts, texts, labels)
    if not force:
        _check_accuracy(folder, metrics, labels)
    card = Card(
        version=folder.resolve().name,
        taste="owner",
        base_model=f"{type(checkpoint.model).__name__}, {'int8' if int8 else 'fp32'}",
        created_on=today.isoformat(),
        order=ORDER,
        keywords=KEYWORDS,
        max_tokens=checkpoint.max_tokens,
        labels={"interested": int(labels.sum()), "not_interested": int((1 - labels).sum())},
        metrics={**metrics, "fp32_difference_from_checkpoint": difference},
        files={},
    )
    return write_package(output, card, parts.head, parts.encoder, parts.tokenizer)


def _probes(max_tokens: int) -> list[str]:
    """Return texts that test a tokenizer: empty, one character, several scripts, and more than it keeps."""
    sentence = "雨の図書館で、司書さんと静かに本を閉じる夜。 "
    return ["", " ", "雨", "ｱﾒ か\u3099", "Rain & TEA", "😀👨‍👩‍👧", "\u202e<b>雨</b>", sentence, sentence * max_tokens]


def _check_accuracy(folder: Path, metrics: dict[str, float], labels: Labels) -> None:
    if not len(labels):
        return
    majority = max(labels.mean(), 1 - labels.mean())
    if metrics["accuracy"] < majority:
        raise UserError(
            f"{folder} is right on {metrics['accuracy']:.2f} of the labels, and the majority class on {majority:.2f}:"
            " check which label means interest (--positive-label), or export it with --force"
        )
    lost = metrics["checkpoint_accuracy"] - metrics["accuracy"]
    if lost > _MOST_ACCURACY_LOST:
        raise UserError(
            f"int8 takes {lost:.4f} from the accuracy of {folder} on these labels, more than {_MOST_ACCURACY_LOST}: "
            "export it with --fp32, or with --force all the same"
        )


def _metrics(exact: Parts, parts: Parts, texts: Sequence[str], labels: Labels) -> dict[str, float]:
    """Return how far the package's scores are from those of the graph in fp32, which equals the checkpoint."""
    exact_scores = exact.scores(texts)
    scores = exact_scores if parts is exact else parts.scores(texts)
    metrics = {
        "largest_difference_from_checkpoint": float(np.abs(scores - exact_scores).max()),
        "texts_compared": float(len(texts)),
    }
    if len(labels):
        metrics["accuracy"] = accuracy(scores, labels, 0.5)
        metrics["checkpoint_accuracy"] = accuracy(exact_scores, labels, 0.5)
    return metrics
