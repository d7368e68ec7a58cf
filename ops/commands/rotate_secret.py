"""`python -m ops rotate-secret`: replace a secret."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.slack_secrets import PARAMETERS, name_of, store_secret, typed_secret
from ops.stack import open_stack

_EPILOG = """\
The secret is read from the terminal, without being shown, or from standard input. It is never read from the command
line, which other programs can see and the shell records. Its form is checked, and a token is tested with Slack. The
functions pick up the new secret without a deployment.

examples:
  python -m ops rotate-secret bot-token --yes
  pass show slack/signing-secret | python -m ops rotate-secret signing-secret --yes

exit status: 0, or 1 if the secret is invalid or could not be stored"""


def add(commands: Commands) -> None:
    """Add the command."""
    what = "store a new bot token or signing secret of the Slack app"
    parser = add_command(commands, "rotate-secret", run, what, _EPILOG, asks=True)
    parser.add_argument("secret", choices=sorted(PARAMETERS), help="which of the two")


def run(options: argparse.Namespace) -> None:
    """Read, check and store the secret. Raises `UserError` for an invalid one, without showing it."""
    stack = open_stack(options)
    name = name_of(options.secret, stack.name, dict(stack.parameters))
    value = typed_secret(options.secret)
    if not options.yes:
        print(f"the {options.secret} looks right; it was not stored: add --yes to store it in {name}")
        return
    print(f"{name} has a new value, its version {store_secret(stack.session, name, value)}")
