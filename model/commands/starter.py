"""`python -m model starter`: trains the starter package from scratch."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from model.commands import Commands, print_card, progress_bars


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
    from model.starter import train_starter  # noqa: PLC0415  # --help needs no torch

    with progress_bars() as advance:
        today = datetime.now(UTC).date()
        card = train_starter(options.output, seed=options.seed, today=today, advance=partial(advance, "training"))
    print_card(options.output, card)
