"""The two secrets of the Slack app: their names in SSM, how they are typed and checked, and what the token may do."""

from __future__ import annotations

import getpass
import os
import re
import sys
from dataclasses import dataclass
from typing import Any, Literal

import boto3
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from osusume.errors import UserError
from osusume.settings import SLACK_API_URL

Secret = Literal["bot-token", "signing-secret"]

PARAMETERS: dict[Secret, str] = {
    "bot-token": "SlackBotTokenParameter",
    "signing-secret": "SlackSigningSecretParameter",
}
"""The parameter of the template that names each secret."""

_BOT_TOKEN = re.compile(r"xoxb-[A-Za-z0-9-]{8,}")
_SIGNING_SECRET = re.compile(r"(?!xox)[!-~]{16,128}")
_SLACK_SECONDS = 10
_REFUSALS = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "org_login_required"}


def name_of(secret: Secret, stack: str, parameters: dict[str, str]) -> str:
    """Return the name of a stack's secret in SSM: what the parameter says, or one below the stack's name."""
    return parameters.get(PARAMETERS[secret]) or f"/{stack}/slack-{secret}"


def stored_secret(session: boto3.Session, name: str) -> str | None:
    """Return a stored secret, None if there is none."""
    client: Any = session.client("ssm")
    try:
        value = str(client.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]).strip()
    except client.exceptions.ParameterNotFound:
        return None
    return value or None


def store_secret(session: boto3.Session, name: str, value: str) -> int:
    """Store a secret, and return its version."""
    answer = session.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    return int(answer["Version"])


def typed_secret(secret: Secret) -> str:
    """Return a secret typed without being shown, or read from standard input, and checked. Raises `UserError`."""
    value = (getpass.getpass(f"{secret} (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if secret == "bot-token":  # noqa: S105  # the name of one
        _check_token(value)
    elif not _SIGNING_SECRET.fullmatch(value):
        raise UserError("this is not a signing secret: copy it from the Slack app's page 'Basic Information'")
    return value


def slack_client(token: str) -> WebClient:
    """Return a client of Slack's API."""
    return WebClient(token, os.environ.get("SLACK_API_URL") or SLACK_API_URL, timeout=_SLACK_SECONDS)


def _check_token(token: str) -> None:
    if not _BOT_TOKEN.fullmatch(token):
        raise UserError("this is not a bot token (xoxb-...): copy it from the Slack app's page 'OAuth & Permissions'")
    try:
        answer = slack_client(token).auth_test()
    except SlackApiError as error:
        code = str(error.response.get("error", ""))
        if code in _REFUSALS:
            raise UserError(f"Slack refuses this token ({code}): reinstall the app to the workspace") from None
        print(f"warning: Slack did not confirm the token ({code})", file=sys.stderr)
    except (SlackClientError, OSError) as error:
        print(f"warning: Slack cannot be reached to check the token ({type(error).__name__})", file=sys.stderr)
    else:
        print(f"Slack accepts the token: {answer['user']} in {answer['team']}")


@dataclass(frozen=True, slots=True)
class Access:
    """What Slack says of a token: who it is, its scopes, and whether it is a member of the channel (None: unknown)."""

    user: str
    scopes: frozenset[str]
    is_member: bool | None
    problem: str = ""


def access_of(token: str, channel: str) -> Access:
    """Return what a token may do. Raises `UserError` if Slack refuses it or cannot be reached."""
    client = slack_client(token)
    try:
        answer = client.auth_test()
        scopes = frozenset(filter(None, _header(answer, "x-oauth-scopes").split(",")))
        user = f"{answer['user']} in {answer['team']}"
    except SlackApiError as error:
        raise UserError(f"Slack refuses the token ({error.response.get('error')})") from None
    except (SlackClientError, OSError) as error:
        raise UserError(f"Slack cannot be reached ({type(error).__name__})") from None
    try:
        found: Any = client.conversations_info(channel=channel)["channel"]
    except SlackApiError as error:
        return Access(user, scopes, None, str(error.response.get("error")))
    return Access(user, scopes, found.get("is_member") is True)


def _header(answer: SlackResponse, name: str) -> str:
    headers = {key.lower(): value for key, value in dict(answer.headers).items()}
    value = headers.get(name, "")
    return (value[0] if isinstance(value, list) else str(value)).replace(" ", "")
