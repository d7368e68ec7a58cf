"""`python -m ops destroy-data`: delete what a deleted stack left."""

from __future__ import annotations

import argparse
from typing import Any

import boto3

from ops.commands import Commands, add_command
from ops.deploying import Kept, leftovers, read_answers, state_of
from ops.slack_secrets import PARAMETERS, name_of, stored_secret
from ops.stack import open_session
from osusume.errors import UserError

_EPILOG = """\
Deletes the bucket with all its versions, the two tables with every label, and the two secrets of a stack that was
deleted before. Nothing of it can be restored. It asks for the stack's name, which must be typed.

examples:
  python -m ops destroy-data --stack osusume-dev

exit status: 0 if nothing is left, 1 if the name was not typed or the stack still exists"""


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "destroy-data", run, "delete for good what a deleted stack left", _EPILOG)


def run(options: argparse.Namespace) -> None:
    """Delete everything after the name is typed. Raises `UserError`."""
    session, stack = open_session(options), options.stack
    if state := state_of(session, stack):
        raise UserError(f"{stack} still exists ({state}): 'make destroy STACK={stack}' first")
    answers, found = read_answers(stack), leftovers(session, stack)
    names = [name_of(secret, stack, dict(answers.parameters) if answers else {}) for secret in PARAMETERS]
    secrets = [name for name in names if stored_secret(session, name)]
    if not found and not secrets:
        print(f"{stack} left nothing")
        return
    for name in [*(kept.name for kept in found), *secrets]:
        print(f"will be deleted for good: {name}")
    try:
        typed = input("type the stack's name: ").strip()
    except EOFError:
        typed = ""
    if typed != stack:
        raise UserError("that is not its name: nothing was deleted")
    for kept in found:
        _delete(session, kept)
        print(f"deleted {kept.name}")
    for name in secrets:
        session.client("ssm").delete_parameter(Name=name)
        print(f"deleted {name}")


def _delete(session: boto3.Session, kept: Kept) -> None:
    if kept.identifier == "BucketName":
        bucket: Any = session.resource("s3").Bucket(kept.name)
        bucket.object_versions.delete()
        bucket.delete()
        return
    client: Any = session.client("dynamodb")
    client.update_table(TableName=kept.name, DeletionProtectionEnabled=False)
    client.get_waiter("table_exists").wait(TableName=kept.name, WaiterConfig={"Delay": 2})
    client.delete_table(TableName=kept.name)
