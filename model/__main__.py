"""`python -m model`: the commands for model packages."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from model.commands import COMMANDS, exit_status
from osusume.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = command_line().parse_args(arguments)
    return exit_status(lambda: _run(options))


def command_line() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m model", description="Make, evaluate and measure model packages.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"model.commands.{name}").add(commands)
    return parser


def _run(options: argparse.Namespace) -> None:
    try:
        options.run(options)
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: run 'pip install -r requirements/train.txt'") from error


if __name__ == "__main__":
    sys.exit(main())
