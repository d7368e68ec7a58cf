"""`python -m model simulate`: shows how the loop would learn from owners who press."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.commands import Commands, positive, progress_bars
from osusume.errors import UserError

if TYPE_CHECKING:
    from model.learning.embeddings import KnownEmbeddings
    from model.learning.examples import Example

_EPILOG = """\
The works of the file come in random order, as many a day as --per-day says, and a simulated owner presses as the file's
labels say. Selection, training, threshold and gate are those of the deployed functions. It compares five loops on the
same works: ours; frozen (ours, but nothing is learned after 100 labels); no exploration; random; and all labels (a head
that knows the label of every earlier work, posted or not, which no owner can give). Figures are over the last 20 days
and all works of those days, means over the seeds with 95 % intervals (Student's t). Ratios and differences are taken
seed by seed.

With --words or --bought only the first morning is judged, before any press: how many of the works that are guessed from
the owner's words are liked, as a multiple of the share of all works. The words come from another half of the works.

examples:
  python -m model simulate --data labels.jsonl
  python -m model simulate --data labels.jsonl --presses .8/.15 --seeds 3
  python -m model simulate --data labels.jsonl --package model/package
  python -m model simulate --data labels.jsonl --words 5 --bought 30
  python -m model simulate --data labels.jsonl --change-at 30 --json --plot simulated.png

exit status: 0, or 1 when the data or an option cannot be used"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "simulate",
        help="show how the loop learns from a simulated owner",
        description="Simulate owners who press in Slack for weeks, and compare the loop with simpler ones.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="F.jsonl", help="a training file: items and labels")
    parser.add_argument("--days", type=positive, default=60, metavar="N", help="how many days (%(default)s)")
    parser.add_argument("--per-day", type=positive, default=25, metavar="N", help="new works a day (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.25, metavar="P", help="share of liked works (%(default)s)")
    parser.add_argument(
        "--presses",
        default="full",
        metavar="full|A/B",
        help="with which probability liked and disliked posts are pressed (%(default)s)",
    )
    parser.add_argument("--flip", type=float, default=0.0, metavar="P", help="share of wrong presses (0)")
    parser.add_argument("--change-at", type=positive, metavar="DAY", help="from this day on other works are liked")
    parser.add_argument("--cost", type=float, default=0.5, metavar="C", help="cost of an unwanted post (%(default)s)")
    parser.add_argument("--seeds", type=positive, default=5, metavar="N", help="how many random orders (%(default)s)")
    parser.add_argument(
        "--words", type=int, default=0, metavar="N", help="judge the first morning of an owner who names N words"
    )
    parser.add_argument(
        "--bought", type=int, default=0, metavar="N", help="... or brings a list of N bought works; both may be given"
    )
    parser.add_argument("--package", type=Path, metavar="DIR", help="learn with this package's encoder (default: none)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.add_argument("--plot", type=Path, metavar="F.png", help="also draw the F1 of each loop over the days")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Simulate, with a progress bar on standard error, and print what came of it. Raises `UserError`."""
    from model.dataset import read_examples  # noqa: PLC0415  # --help works where scikit-learn is not installed
    from model.simulate import Owner, Plan, simulate, to_json  # noqa: PLC0415
    from model.simulate_report import print_results, write_plot  # noqa: PLC0415

    if options.words or options.bought:
        _judge_first_mornings(options)
        return
    owner = Owner.parse(options.presses, options.flip)
    plan = Plan(options.days, options.per_day, options.rate, owner, options.change_at, options.cost).checked()
    examples = read_examples(options.data)
    with progress_bars() as advance:
        encoder = _known(options.package, examples, advance) if options.package else None
        results = simulate(
            examples,
            plan,
            range(1, options.seeds + 1),
            encoder=encoder,
            processes=min(len(os.sched_getaffinity(0)), 8),
            advance=lambda share: advance("simulating", share),
        )
    if options.plot:
        write_plot(options.plot, plan, results)
    if options.json:
        json.dump(to_json(plan, results), sys.stdout, indent=2)
        print()
    else:
        print_results(plan, results)
    if options.plot:
        print(f"wrote {options.plot}", file=sys.stderr)


def _known(folder: Path, examples: Sequence[Example], advance: Callable[[str, float], None]) -> KnownEmbeddings:
    """Return the embeddings of all works, computed once. Raises `UserError` if the package has no encoder."""
    from model.learning.embeddings import KnownEmbeddings, embed  # noqa: PLC0415  # as in `run`
    from model.serving.package import ModelPackage  # noqa: PLC0415  # as in `run`
    from model.serving.text import KEYWORDS, ORDER, compose  # noqa: PLC0415  # as in `run`

    encoder = ModelPackage.load(folder).encoder
    if encoder is None:
        raise UserError(f"the package {folder} has no encoder: leave --package out")
    texts = [compose(example.item, ORDER, KEYWORDS) for example in examples]
    return KnownEmbeddings(texts, embed(encoder, texts, advance=lambda share: advance("embedding", share)))


def _judge_first_mornings(options: argparse.Namespace) -> None:
    from model.dataset import read_examples  # noqa: PLC0415  # as in `run`
    from model.first_morning import first_morning  # noqa: PLC0415  # as in `run`
    from model.simulate import interval  # noqa: PLC0415  # as in `run`

    if min(options.words, options.bought) < 0:
        raise UserError("--words and --bought must not be negative")
    examples = read_examples(options.data)
    mornings = [first_morning(examples, options.words, options.bought, seed) for seed in range(1, options.seeds + 1)]
    figures = {
        name: interval([getattr(each, name) for each in mornings])
        for name in ("posts", "precision", "base_rate", "times")
    }
    if options.json:
        json.dump({"words": options.words, "bought": options.bought, "figures": figures}, sys.stdout, indent=2)
        print()
        return
    print(f"the first morning, {options.words} words and {options.bought} bought works, {options.seeds} seeds")
    for name, (mean, low, high) in figures.items():
        print(f"  {name.replace('_', ' '):10} {mean:6.2f}  (95 %: {low:.2f} to {high:.2f})")
