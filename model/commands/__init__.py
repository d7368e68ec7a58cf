"""The commands of `python -m model`, one module each.

Each module has `add(commands)`, which describes the command to argparse and sets `run`, the function that executes it.
It imports what only running needs inside `run`, so that `--help` works without those packages.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from osusume.errors import UserError

if TYPE_CHECKING:
    from model.serving.card import Card

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

COMMANDS = ("fetch", "train", "dataset", "export", "evaluate", "gain", "simulate", "coverage", "bench", "starter")
"""In the order in which `--help` lists them."""


def exit_status(run: Callable[[], object]) -> int:
    """Run a command and return its exit status: 0, 1 for an error that its user can correct, 130 on Ctrl-C.

    The error is printed.
    """
    try:
        run()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def positive(text: str) -> int:
    """Return the number that an option gives; raises argparse's error where it is not above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be above 0")
    return number


@contextmanager
def progress_bars() -> Iterator[Callable[[str, float], None]]:
    """Yield a function that shows how much of a named task is done, each task as a bar on standard error."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, TaskID  # noqa: PLC0415

    with Progress(console=Console(stderr=True)) as progress:
        bars: dict[str, TaskID] = {}

        def advance(task: str, share: float) -> None:
            if task not in bars:
                bars[task] = progress.add_task(task, total=1.0)
            progress.update(bars[task], completed=share)

        yield advance


def print_card(output: Path, card: Card) -> None:
    """Print on standard error what package was written to `output`."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    counts = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in card.labels.items())
    console.print(f"{output}: {card.version}, {card.base_model}, texts of up to {card.max_tokens} tokens; {counts}")
    for name, value in card.metrics.items():
        console.print(f"  {name:36} {value:.3g}")
