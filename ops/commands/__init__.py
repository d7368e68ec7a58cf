"""The commands of `python -m ops`, one module each.

Each module has `add(commands)`, which describes the command to argparse and sets `run`, the function that does it.
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

COMMANDS = (
    "annotate",
    "dataset",
    "import_labels",
    "model",
    "repost",
    "dead_letters",
    "restore_labels",
    "rotate_secret",
)
"""In the order in which `--help` lists them."""


def add_action(actions: Commands, name: str, what: str, epilog: str) -> argparse.ArgumentParser:
    """Add one of the actions of a command, whose `--help` says what it does and then what its command's says."""
    return actions.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_stack_options(parser: argparse.ArgumentParser) -> None:
    """Add --stack, --region and --profile, which `open_stack` reads."""
    parser.add_argument("--stack", default="osusume", metavar="NAME", help="the deployed stack (default: %(default)s)")
    parser.add_argument("--region", metavar="REGION", help="of the stack (default: your AWS configuration's)")
    parser.add_argument("--profile", metavar="NAME", help="of your AWS configuration")


def add_yes_option(parser: argparse.ArgumentParser) -> None:
    """Add --yes: without it a command says what it would change, and changes nothing."""
    parser.add_argument("--yes", action="store_true", help="do it; without this, only say what would be done")
