"""`python -m model coverage`: how often the weekly report's intervals hold."""

from __future__ import annotations

import argparse

from model.commands import Commands, positive, progress_bars
from osusume.errors import UserError

_EPILOG = """\
Simulates owners with tastes of their own and scores that are wrong and drift. The report's interval for what was
missed, and for how many recommended works are liked, must hold the truth in every week at once.

example:
  python -m model coverage --owners 300 --weeks 20

exit status: 0, or 1 if fewer than 90 % of the owners' intervals hold"""

_LEAST = 0.9


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "coverage",
        help="show how often the report's intervals hold",
        description="Simulate owners, and count whose weekly report was right in every week at once.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--owners", type=positive, default=300, metavar="N", help="how many owners (%(default)s)")
    parser.add_argument("--weeks", type=positive, default=20, metavar="N", help="how many weeks (%(default)s)")
    parser.add_argument("--per-day", type=positive, default=25, metavar="N", help="new works a day (%(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Simulate, and print the shares. Raises `UserError` if one is below 90 %."""
    from model.coverage import coverage  # noqa: PLC0415  # --help works at once

    with progress_bars() as advance:
        shares = coverage(
            options.owners, options.weeks, options.per_day, lambda share: advance("simulating owners", share)
        )
    for name, share in zip(("what was missed", "liked recommendations"), shares, strict=True):
        print(f"{name}: the interval held in all {options.weeks} weeks for {share:.1%} of {options.owners} owners")
    if min(shares) < _LEAST:
        raise UserError(f"fewer than {_LEAST:.0%} of the intervals hold")
