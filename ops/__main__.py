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
Every command is told its stack with --stack, --region and --profile, and uses your AWS credentials. One that takes
--yes says what it would do without it. docs/operations.md says when to use which.

exit status: 0 when it is done, or when nothing was to do; 1 when it could not be done; 2 for a wrong command line;
130 on Ctrl-C"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ops",
        description="Operations on a deployed Osusume.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"ops.commands.{name}").add(commands)
    options = parser.parse_args(arguments)
    return exit_status(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    try:
        options.run(options)
    except BotoCoreError as error:  # no region, no profile, no credentials, no connection: it says which
        raise UserError(f"AWS cannot be asked: {error}; see --region, --profile and 'aws configure'") from error
    except ClientError as error:
        answer = error.response["Error"]
        raise UserError(
            f"AWS refuses {error.operation_name}: {answer['Code']}: {answer.get('Message', '')};"
            " see --profile for other credentials"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
