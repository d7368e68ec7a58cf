"""`python -m model train`: trains a package on labels."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from model.commands import Commands, positive, print_card, progress_bars
from osusume.errors import UserError

_DESCRIPTION = """\
Train a model package on labelled items: a linear head over the encoder's embedding, the n-grams of the text and the
values of the fields. Cross-validation chooses how much each counts, the regularisation and the threshold. Training
needs at least 20 labels and some of both kinds; trust the result from a few hundred labels on.

The encoder is exported to int8 ONNX and is not changed, unless --fine-tune trains it too (four trainings; three of them
measure how reliable it is). Its embeddings are stored beside the package, so that the next training is quick."""

_EPILOG = """\
examples:
  python -m model train --data labels.jsonl --output model/package --encoder none
  python -m model train --data labels.jsonl --output model/package --encoder ~/encoders/ruri-v3-30m
  python -m model train --data labels.jsonl --output model/package --encoder model/package   (a new head, no torch)
  python -m model train --data labels.jsonl --output model/package --fine-tune --report-to tensorboard"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "train",
        help="train a package on labelled items",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="training file, JSONL")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the package")
    parser.add_argument(
        "--encoder",
        default="cl-nagoya/ruri-v3-30m",
        metavar="NAME|DIR|none",
        help="an encoder on the Hugging Face hub or in a folder, a package whose encoder is reused, or none "
        "for text and fields alone (%(default)s)",
    )
    parser.add_argument("--fine-tune", action="store_true", help="train the encoder too; better with a GPU")
    parser.add_argument(
        "--report-to",
        default="none",
        metavar="TRACKER",
        help="report the fine-tuning to a tracker, by its name in transformers: tensorboard, wandb, mlflow, … (none)",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same package (1)")
    parser.add_argument("--max-tokens", type=positive, default=256, metavar="N", help="cut texts here (%(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train, with a progress bar, and print the cross-validated metrics."""
    from model.dataset import read_examples  # noqa: PLC0415  # --help needs no scikit-learn
    from model.train_package import train_package  # noqa: PLC0415

    encoder = None if options.encoder == "none" else options.encoder
    if options.fine_tune and encoder is None:
        raise UserError("--fine-tune trains an encoder: name one with --encoder")
    examples = read_examples(options.data)
    with progress_bars() as advance:
        card = train_package(
            options.output,
            examples,
            encoder=encoder,
            today=datetime.now(UTC).date(),
            fine_tune=options.fine_tune,
            report_to=options.report_to,
            max_tokens=options.max_tokens,
            seed=options.seed,
            advance=partial(advance, "training"),
        )
    print_card(options.output, card)
