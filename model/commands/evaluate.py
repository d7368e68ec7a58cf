"""`python -m model evaluate`: measures how good a package is."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from model.commands import Commands, progress_bars

_EPILOG = """\
Every figure has a 95 % percentile bootstrap interval. For comparison there are the figures of the majority class and
of character n-grams (TF-IDF, logistic regression). Both learn from the same labels and are judged out of fold.

A package that was trained on these labels looks better than it is. --refit judges its recipe instead: each fold's items
are scored by a head trained on the other folds. It adds the learning curve.

examples:
  python -m model evaluate --package model/package --data labels.jsonl
  python -m model evaluate --package model/package --data labels.jsonl --refit --report report

exit status: 0, or 1 when the package or the labels cannot be used"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "evaluate",
        help="judge a package on labelled items",
        description="Measure how good a package is on labelled items, compared with simple baselines, and list what it "
        "gets wrong.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--package", type=Path, required=True, metavar="DIR", help="the package to judge")
    parser.add_argument("--data", type=Path, required=True, metavar="F.jsonl", help="a training file: items and labels")
    parser.add_argument("--refit", action="store_true", help="judge the package's recipe, out of fold")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.add_argument("--report", type=Path, metavar="DIR", help="also write index.html and plot.png to this folder")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same figures (1)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Evaluate, with progress bars, and print the result."""
    from rich.console import Console  # noqa: PLC0415  # --help needs none of these

    from model.console_report import print_report  # noqa: PLC0415
    from model.dataset import read_examples  # noqa: PLC0415
    from model.evaluate import evaluate  # noqa: PLC0415
    from model.learning.train import refit  # noqa: PLC0415
    from model.serving.package import ModelPackage  # noqa: PLC0415

    package, examples = ModelPackage.load(options.package), read_examples(options.data)
    recipe = partial(refit, seed=options.seed) if options.refit else None
    with progress_bars() as advance:
        evaluation = evaluate(package, examples, refit=recipe, seed=options.seed, advance=advance)
    written = []
    if options.report:
        from model.report import write_report  # noqa: PLC0415  # needs matplotlib

        written = write_report(options.report, evaluation)
    if options.json:
        json.dump(evaluation.to_json(), sys.stdout, ensure_ascii=False, indent=2, allow_nan=False)
        print()
    else:
        print_report(Console(highlight=False), evaluation)
    for path in written:
        print(f"wrote {path}", file=sys.stderr)
