"""`python -m ops train`: learn from the presses now."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.stack import DeployedStack, open_stack

_SECONDS = 900
"""The trainer's time limit."""

_EPILOG = """\
The trainer learns each night by itself. This runs it now, waits for it, and prints what it decided: a new head that was
promoted, one that was not used and why, or a roll-back. --decisions lists what it decided so far.

The gate keeps a new head back if something is wrong with the labels, and after a roll-back until it has proved better.
If you know better, for example after you changed many labels on purpose, --accept uses the new head all the same.

examples:
  python -m ops train --yes
  python -m ops train --accept --yes
  python -m ops train --decisions

exit status: 0, or 1 if the trainer failed"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "train", run, "learn from the presses now", _EPILOG, asks=True)
    parser.add_argument("--accept", action="store_true", help="use the new head whatever the gate says")
    parser.add_argument("--decisions", action="store_true", help="list the decisions so far, and learn nothing")


def run(options: argparse.Namespace) -> None:
    """Invoke the trainer and print its decision. Raises `UserError`."""
    stack = open_stack(options)
    if options.decisions:
        for decision in stack.ledger.decisions():
            print(f"{decision.at[:16].replace('T', ' ')}  {decision.action:9}  {decision.sentence}")
        return
    if not options.yes:
        print(f"would run {stack.resource('TrainerFunction')}: add --yes to do it")
        return
    print(learn_now(stack, accept=options.accept))


def learn_now(stack: DeployedStack, *, accept: bool = False) -> str:
    """Invoke the trainer, wait for it, and return what it decided. Raises `UserError` if it failed."""
    return str(stack.invoke("TrainerFunction", {"accept": accept}, _SECONDS + 30)["sentence"])
