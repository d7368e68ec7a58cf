"""`python -m ops`: operations on a deployed stack."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from model.commands import exit_status
from ops.commands import COMMANDS
from osusume.errors import UserError

_EPILOG = """\
Every command takes --stack, --region and --profile, and uses your AWS credentials. A command that takes --yes only says
what it would do without it. docs/operations.md explains when to use which.

exit status: 0 if it is done or there was nothing to do; 1 if it could not be done; 2 for a wrong command line;
130 on Ctrl-C"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = command_line().parse_args(arguments)
    return exit_status(lambda: _run(options))


def command_line() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m ops",
        description="Operations on a deployed Osusume.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"ops.commands.{name}").add(commands)
    return parser


def _run(options: argparse.Namespace) -> None:
    try:
        options.run(options)
    except BotoCoreError as error:  # its message names the missing region, profile, credentials or connection
        raise UserError(f"AWS cannot be reached: {error}; see --region, --profile and 'aws configure'") from error
    except ClientError as error:
        answer = error.response["Error"]
        raise UserError(
            f"AWS refuses {error.operation_name}: {answer['Code']}: {answer.get('Message', '')};"
            " see --profile for other credentials"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
