"""`python -m model train`: labels to a package."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from model.commands import Commands
from osusume.errors import UserError

_DESCRIPTION = """\
Train a model package on labelled items: a linear head over the encoder's embedding, the n-grams of the text and the
values of the fields. How much each counts, the regularisation and the threshold are chosen by cross-validation among
the items. 20 labels are enough to run, with some of both kinds; a few hundred are worth trusting.

The encoder is exported to int8 ONNX and stays as it is, unless --fine-tune trains it too (four trainings: three to
learn how far it can be relied on). Its embeddings are kept beside the package, so that the next training is quick."""

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
        help="an encoder on the Hugging Face hub or in a folder, a package whose encoder is taken as it is, or none "
        "for text and fields alone (%(default)s)",
    )
    parser.add_argument("--fine-tune", action="store_true", help="train the encoder too; better with a GPU")
    parser.add_argument(
        "--report-to",
        default="none",
        metavar="TRACKER",
        help="tell a tracker of the fine-tuning, by its name in transformers: tensorboard, wandb, mlflow, … (none)",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same package (1)")
    parser.add_argument("--max-tokens", type=_positive, default=256, metavar="N", help="cut texts there (%(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train, with a progress bar, and print the cross-validated metrics."""
    from rich.console import Console  # noqa: PLC0415  # --help works where this is not installed
    from rich.progress import Progress  # noqa: PLC0415

    from model.dataset import read_examples  # noqa: PLC0415
    from model.train_package import train_package  # noqa: PLC0415  # needs scikit-learn

    encoder = None if options.encoder == "none" else options.encoder
    if options.fine_tune and encoder is None:
        raise UserError("--fine-tune trains an encoder: name one with --encoder")
    console = Console(stderr=True)
    examples = read_examples(options.data)
    with Progress(console=console) as progress:
        bar = progress.add_task("training", total=1.0)
        card = train_package(
            options.output,
            examples,
            encoder=encoder,
            today=datetime.now(UTC).date(),
            fine_tune=options.fine_tune,
            report_to=options.report_to,
            max_tokens=options.max_tokens,
            seed=options.seed,
            advance=lambda share: progress.update(bar, completed=share),
        )
    counts = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in card.labels.items())
    console.print(f"{options.output}: {card.version}, {card.base_model}, {counts}")
    for name, value in card.metrics.items():
        console.print(f"  {name:36} {value:.3f}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be above 0")
    return number
