"""`python -m ops secrets`: store both secrets of the Slack app before the first deployment."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.deploying import read_answers
from ops.slack_secrets import PARAMETERS, name_of, store_secret, stored_secret, typed_secret
from ops.stack import open_session

_EPILOG = """\
Asks for the bot token (in the Slack app's settings under 'OAuth & Permissions') and the signing secret (under 'Basic
Information'), checks them, and stores them in SSM as /STACK/slack-bot-token and /STACK/slack-signing-secret. They are
typed without being shown, or read from standard input, one on each line. One that is stored already is left alone:
'python -m ops rotate-secret' replaces it.

examples:
  python -m ops secrets
  python -m ops secrets --stack osusume-dev

exit status: 0 if both are stored, 1 if one is invalid or cannot be stored"""


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "secrets", run, "store the Slack app's two secrets for the first time", _EPILOG)


def run(options: argparse.Namespace) -> None:
    """Ask for each secret that is not stored, and store it. Raises `UserError`."""
    session, answers = open_session(options), read_answers(options.stack)
    for secret in PARAMETERS:
        name = name_of(secret, options.stack, dict(answers.parameters) if answers else {})
        if stored_secret(session, name):
            print(f"{name} is stored already: 'python -m ops rotate-secret {secret}' replaces it")
        else:
            store_secret(session, name, typed_secret(secret))
            print(f"{name} is stored")
