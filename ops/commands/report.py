"""`python -m ops report`: the last weekly report."""

from __future__ import annotations

import argparse
import json

from botocore.config import Config

from ops.commands import Commands, add_command
from ops.stack import open_stack
from osusume.errors import UserError

_EPILOG = """\
The trainer writes a report of each whole week, Monday to Sunday, and the next morning's run posts it. This prints the
last week's as of now, without posting it.

example:
  python -m ops report

exit status: 0, or 1 if the last week had no run"""

_SECONDS = 120


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "report", run, "print the last week's report", _EPILOG)


def run(options: argparse.Namespace) -> None:
    """Print the report. Raises `UserError`."""
    stack = open_stack(options)
    client = stack.client("lambda", Config(read_timeout=_SECONDS, retries={"total_max_attempts": 1}))
    event = json.dumps({"report": True}).encode()
    answer = client.invoke(FunctionName=stack.resource("TrainerFunction"), Payload=event)
    result = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise UserError(f"the trainer failed: {result.get('errorMessage')}")
    if not result["report"]:
        raise UserError("there was no run in the last whole week: the first report comes after the first Sunday")
    print("\n".join(result["report"]))
