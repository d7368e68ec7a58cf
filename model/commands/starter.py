"""`python -m model starter`: the starter package, trained from scratch."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from model.commands import Commands


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "starter",
        help="train the starter package",
        description="Train a small transformer from scratch on made-up works and a made-up owner's taste, and write it "
        "as a model package (int8 ONNX, under 5 MB). Takes two to four minutes on two cores.",
        epilog="example: python -m model starter --output model/starter",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the package")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same package (1)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train, with a progress bar, and print the metrics."""
    from rich.console import Console  # noqa: PLC0415  # --help works where neither this nor torch is installed
    from rich.progress import Progress  # noqa: PLC0415

    from model.starter import train_starter  # noqa: PLC0415

    console = Console(stderr=True)
    with Progress(console=console) as progress:
        bar = progress.add_task("training", total=1.0)
        today = datetime.now(UTC).date()
        card = train_starter(
            options.output, seed=options.seed, today=today, advance=lambda share: progress.update(bar, completed=share)
        )
    console.print(f"{options.output}: {card.version}")
    for name, value in card.metrics.items():
        console.print(f"  {name:36} {value:.3f}")
