"""`python -m model evaluate`: how good a package is."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from model.commands import Commands

if TYPE_CHECKING:
    from model.evaluate import Evaluation

_EPILOG = """\
Every figure comes with a 95 % percentile bootstrap interval, and beside those of the majority class and of character
n-grams (TF-IDF, logistic regression), which learn from the same labels and are judged out of fold.

A package that was trained on these very labels looks better than it is. --refit judges its recipe: each fold's items
are scored by a head that learnt from the other folds alone. It adds the learning curve.

examples:
  python -m model evaluate --package model/package --data labels.jsonl
  python -m model evaluate --package model/package --data labels.jsonl --refit --report report

exit status: 0, or 1 when the package or the labels cannot be used"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "evaluate",
        help="judge a package by labelled items",
        description="Say how good a package is on labelled items, beside simple baselines, and what it gets wrong.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--package", type=Path, required=True, metavar="DIR", help="the package to judge")
    parser.add_argument("--data", type=Path, required=True, metavar="F.jsonl", help="a training file: items and labels")
    parser.add_argument("--refit", action="store_true", help="judge the package's recipe, out of fold")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write index.html and plot.png to this folder too")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same figures (1)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Evaluate, with a progress bar on standard error, and print what came of it."""
    from rich.console import Console  # noqa: PLC0415  # --help works where none of these is installed

    from model.console_report import print_account  # noqa: PLC0415

    evaluation = _evaluate(options)
    written = []
    if options.report:
        from model.report import write_report  # noqa: PLC0415

        written = write_report(options.report, evaluation)
    if options.json:
        json.dump(evaluation.to_json(), sys.stdout, ensure_ascii=False, indent=2, allow_nan=False)
        print()
    else:
        print_account(Console(highlight=False), evaluation)
    for path in written:
        print(f"wrote {path}", file=sys.stderr)


def _evaluate(options: argparse.Namespace) -> Evaluation:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, TaskID  # noqa: PLC0415

    from model.dataset import read_examples  # noqa: PLC0415
    from model.evaluate import evaluate  # noqa: PLC0415
    from model.serving.package import ModelPackage  # noqa: PLC0415

    package, examples = ModelPackage.load(options.package), read_examples(options.data)
    refit = None
    if options.refit:
        from model.train import refit as refit_package  # noqa: PLC0415

        refit = partial(refit_package, seed=options.seed)
    with Progress(console=Console(stderr=True)) as progress:
        bars: dict[str, TaskID] = {}

        def advance(stage: str, share: float) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(stage, total=1.0)
            progress.update(bars[stage], completed=share)

        return evaluate(package, examples, refit=refit, seed=options.seed, advance=advance)
