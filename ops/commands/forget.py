"""`python -m ops forget`: take labels back so that nothing of them is learnt."""

from __future__ import annotations

import argparse

from ops.commands import Commands, add_command
from ops.commands.train import learn_now
from ops.stack import open_stack
from osusume.errors import UserError

_EPILOG = """\
The label of each item is deleted, and the press that made it counts no more, even if Slack delivers it again. A later
press counts as usual. The next head is, bit for bit, the one of a stack that never had the label; it replaces the head
in use the next night, or at once with --train. The work itself stays in the ledger, and is not posted again.

examples:
  python -m ops forget RJ01234567 --yes
  python -m ops forget RJ01234567 RJ01234568 --train --yes

exit status: 0, or 1 if an item has no label; then nothing is changed"""


def add(commands: Commands) -> None:
    """Add the command."""
    what = "take labels back as if they had never been given"
    parser = add_command(commands, "forget", run, what, _EPILOG, asks=True)
    parser.add_argument("items", nargs="+", metavar="ITEM", help="the id of a labelled work, as in its address")
    parser.add_argument("--train", action="store_true", help="then learn at once from the labels that are left")


def run(options: argparse.Namespace) -> None:
    """Forget the labels. Raises `UserError` if an item has none, or if it was pressed again meanwhile."""
    stack = open_stack(options)
    labels = {item_id: stack.labels.get(item_id) for item_id in options.items}
    missing = [item_id for item_id, label in labels.items() if label is None]
    if missing:
        raise UserError(f"no label to forget: {', '.join(missing)}")
    for item_id, label in labels.items():
        if label is None:
            continue
        verdict = {True: "liked", False: "disliked", None: "neither"}[label.is_interested]
        what = f"{item_id} ({verdict}, {label.created_at})"
        if not options.yes:
            print(f"would forget {what}; add --yes to do it")
        elif stack.labels.forget(label):
            print(f"forgot {what}")
        else:
            raise UserError(f"{item_id} was pressed again just now: look again")
    if options.train and options.yes:
        print(learn_now(stack))
