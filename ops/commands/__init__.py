"""The commands of `python -m ops`, one module each.

Each module has `add(commands)`, which adds the command and its options to argparse.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

COMMANDS = (
    "adopt",
    "annotate",
    "dataset",
    "destroy",
    "destroy_data",
    "doctor",
    "import_labels",
    "like",
    "model",
    "prepare",
    "protect",
    "replay",
    "report",
    "repost",
    "dead_letters",
    "forget",
    "restore_labels",
    "rotate_secret",
    "rules",
    "secrets",
    "smoke",
    "status",
    "train",
)
"""The modules, in the order in which `--help` lists them."""


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], None],
    what: str,
    epilog: str,
    *,
    asks: bool = False,
) -> argparse.ArgumentParser:
    """Add a command that calls `run`, with the options that `open_stack` reads, and return its parser.

    With `asks` it also takes --yes, and must change nothing without it.
    """
    parser = _add_parser(commands, name, what, epilog)
    parser.set_defaults(run=run)
    parser.add_argument("--stack", default="osusume", metavar="NAME", help="the deployed stack (default: %(default)s)")
    parser.add_argument("--region", metavar="REGION", help="of the stack (default: where it was deployed)")
    parser.add_argument("--profile", metavar="NAME", help="of your AWS configuration")
    if asks:
        parser.add_argument("--yes", action="store_true", help="do it; without this, only say what would be done")
    return parser


def add_group(commands: Commands, name: str, what: str, epilog: str) -> Commands:
    """Add a command that has actions, and return what to add them to with `add_command`."""
    return _add_parser(commands, name, what, epilog).add_subparsers(required=True, metavar="ACTION")


def _add_parser(commands: Commands, name: str, what: str, epilog: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
