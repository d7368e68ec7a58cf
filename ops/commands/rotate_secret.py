"""`python -m ops rotate-secret`: replace a secret."""

from __future__ import annotations

import argparse
import getpass
import os
import re
import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from ops.commands import Commands, add_command
from ops.stack import open_stack
from osusume.errors import UserError
from osusume.settings import SLACK_API_URL

_PARAMETERS = {"bot-token": "SlackBotTokenParameter", "signing-secret": "SlackSigningSecretParameter"}
_BOT_TOKEN = re.compile(r"xoxb-[A-Za-z0-9-]{8,}")
_SIGNING_SECRET = re.compile(r"(?!xox)[!-~]{16,128}")
_SLACK_SECONDS = 10
_REFUSALS = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "org_login_required"}

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
    parser.add_argument("secret", choices=sorted(_PARAMETERS), help="which of the two")


def run(options: argparse.Namespace) -> None:
    """Read, check and store the secret. Raises `UserError` for an invalid one, without showing it."""
    stack = open_stack(options)
    name = stack.secret_name(_PARAMETERS[options.secret], f"slack-{options.secret}")
    value = _read(options.secret)
    if options.secret == "bot-token":  # noqa: S105  # the name of one
        _check_token(value)
    elif not _SIGNING_SECRET.fullmatch(value):
        raise UserError("this is not a signing secret: copy it from the Slack app's page 'Basic Information'")
    if not options.yes:
        print(f"the {options.secret} looks right; it was not stored: add --yes to store it in {name}")
        return
    answer = stack.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    print(f"{name} has a new value, its version {answer['Version']}")


def _read(secret: str) -> str:
    value = getpass.getpass(f"{secret} (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()
    return value.strip()


def _check_token(token: str) -> None:
    if not _BOT_TOKEN.fullmatch(token):
        raise UserError("this is not a bot token (xoxb-...): copy it from the Slack app's page 'OAuth & Permissions'")
    client = WebClient(token, os.environ.get("SLACK_API_URL") or SLACK_API_URL, timeout=_SLACK_SECONDS)
    try:
        answer = client.auth_test()
    except SlackApiError as error:
        code = str(error.response.get("error", ""))
        if code in _REFUSALS:
            raise UserError(f"Slack refuses this token ({code}): reinstall the app to the workspace") from None
        print(f"warning: Slack did not confirm the token ({code})", file=sys.stderr)
    except (SlackClientError, OSError) as error:
        print(f"warning: Slack cannot be reached to check the token ({type(error).__name__})", file=sys.stderr)
    else:
        print(f"Slack accepts the token: {answer['user']} in {answer['team']}")
