"""`python -m model train`: labels to a package."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from model.commands import Commands


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser("train", help="train a model package on labelled items")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the package")
    parser.add_argument("--encoder", default="cl-nagoya/ruri-v3-30m", metavar="NAME|DIR|none")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--max-tokens", type=int, default=256, metavar="N")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train, with a progress bar, and print the cross-validated metrics."""
    from rich.console import Console  # noqa: PLC0415  # --help works where this is not installed
    from rich.progress import Progress  # noqa: PLC0415

    from model.dataset import read_examples  # noqa: PLC0415
    from model.train_package import train_package  # noqa: PLC0415

    console = Console(stderr=True)
    examples = read_examples(options.data)
    with Progress(console=console) as progress:
        bar = progress.add_task("training", total=1.0)
        card = train_package(
            options.output,
            examples,
            encoder=None if options.encoder == "none" else options.encoder,
            max_tokens=options.max_tokens,
            seed=options.seed,
            today=datetime.now(UTC).date(),
            advance=lambda share: progress.update(bar, completed=share),
        )
    console.print(f"{options.output}: {card.version}")
    for name, value in card.metrics.items():
        console.print(f"  {name:36} {value:.3f}")
