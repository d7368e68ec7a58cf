"""`python -m model gain`: measures what a package's encoder adds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from model.commands import Commands, positive, progress_bars

_EPILOG = """\
Each draw holds a fifth of the labels out and learns from some of the others, with the encoder and without it. Average
precision is 1 if every liked work is scored above all others. +- is the standard error over the draws.

examples:
  python -m model gain --data labels.jsonl
  python -m model gain --package model/package --data labels.jsonl --draws 3 --json

exit status: 0, or 1 when the package or the labels cannot be used"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "gain",
        help="measure what a package's encoder adds, by number of labels",
        description="Measure how much better a package's encoder makes a head, by number of labels.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--package", type=Path, default=Path("model/package"), metavar="DIR", help="default: %(default)s"
    )
    parser.add_argument("--data", type=Path, required=True, metavar="F.jsonl", help="a training file: items and labels")
    parser.add_argument("--draws", type=positive, default=12, metavar="N", help="how many random draws (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same figures (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, with progress bars on standard error, and print a row for each number of labels. Raises `UserError`."""
    from model.dataset import read_examples  # noqa: PLC0415  # --help works where scikit-learn is not installed
    from model.gain import gains  # noqa: PLC0415  # as above
    from model.serving.package import ModelPackage  # noqa: PLC0415  # as above

    package, examples = ModelPackage.load(options.package), read_examples(options.data)
    with progress_bars() as advance:
        found = gains(package, examples, draws=options.draws, seed=options.seed, advance=advance)
    if options.json:
        rows = [{"labels": gain.labels, "with": gain.with_encoder, "without": gain.without} for gain in found]
        json.dump({"package": package.version, "data": options.data.name, "gains": rows}, sys.stdout, indent=2)
        print()
        return
    print(f"{package.card.base_model} on {options.data.name}, average precision of {options.draws} draws")
    print("  labels  without    with    gain")
    for gain in found:
        means = (sum(values) / len(values) for values in (gain.without, gain.with_encoder))
        print(
            f"  {gain.labels:6}", *(f"{mean:8.3f}" for mean in means), f"{gain.mean:+8.3f} +-{gain.standard_error:.3f}"
        )
