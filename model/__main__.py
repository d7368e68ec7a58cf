"""`python -m model`: the commands around the model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        _starter(options.output, options.seed)
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: run 'pip install -r requirements/train.txt'", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model", description="Make model packages.")
    commands = parser.add_subparsers(required=True, metavar="command")
    starter = commands.add_parser(
        "starter",
        help="train the starter package",
        description="Train a small transformer from scratch on made-up works and a made-up owner's taste, and write it "
        "as a model package (int8 ONNX, under 5 MB). Takes two to four minutes on two cores.",
        epilog="example: python -m model starter --output model/starter",
    )
    starter.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the package")
    starter.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same package (1)")
    return parser


def _starter(output: Path, seed: int) -> None:
    # Imported here because --help and the errors above must work where torch is not installed.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from model.starter import train_starter  # noqa: PLC0415

    console = Console(stderr=True)
    with Progress(console=console) as progress:
        bar = progress.add_task("training", total=1.0)
        today = datetime.now(UTC).date()
        card = train_starter(
            output, seed=seed, today=today, advance=lambda share: progress.update(bar, completed=share)
        )
    console.print(f"{output}: {card.version}")
    for name, value in card.metrics.items():
        console.print(f"  {name:36} {value:.3f}")


if __name__ == "__main__":
    sys.exit(main())
