"""`python -m ops like`: what the owner likes, before any press."""

from __future__ import annotations

import argparse
from pathlib import Path

from ops.commands import Commands, add_command
from ops.stack import open_stack
from osusume.errors import UserError
from osusume.wishes import Wishes, WishStore

_EPILOG = """\
As long as nothing is learnt from presses, the works that fit these names best are posted each morning, marked as a
guess, beside a few varied ones. A name may be a voice actor, a circle, a genre or a word. A list of bought works is a
CSV with a column 'title' or '作品名' (and perhaps circle, series, voice actors, genres), JSON Lines of items, or one
title a line; a new list replaces the old one. Without options this shows what is stored.

examples:
  python -m ops like 水瀬しおり 星屑工房 耳かき --yes
  python -m ops like --bought bought.csv --yes
  python -m ops like --remove 耳かき --yes

exit status: 0, or 1 if a name or the list cannot be used"""


def add(commands: Commands) -> None:
    """Add the command."""
    what = "name what you like before the first press, or bring a list of bought works"
    parser = add_command(commands, "like", run, what, _EPILOG, asks=True)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a voice actor, a circle, a genre or a word")
    parser.add_argument("--bought", type=Path, metavar="FILE", help="a list of works that you bought")
    parser.add_argument("--remove", action="append", default=[], metavar="NAME", help="take a name back")
    parser.add_argument("--clear", action="store_true", help="take back all names and the list first")


def run(options: argparse.Namespace) -> None:
    """Show or change the wishes. Raises `UserError`."""
    from model.bought import read_bought  # noqa: PLC0415  # --help must work at once

    stack = open_stack(options)
    store = WishStore(stack.session.resource("dynamodb"), stack.resource("ItemsTable"))
    before = store.read()
    after = (Wishes() if options.clear else before).with_names(options.names)
    for name in options.remove:
        after = after.without_name(name)
    if options.bought:
        after = after.with_bought(read_bought(options.bought))
    if after == before:
        print(_shown(before))
    elif not options.yes:
        print(f"would store {_shown(after)}; add --yes to do it")
    elif store.replace(before, after):
        print(f"stored {_shown(after)}")
    else:
        raise UserError("somebody else changed this just now: look again")


def _shown(wishes: Wishes) -> str:
    names = f"{len(wishes.names)} names ({', '.join(wishes.names)})" if wishes.names else "no names"
    return f"{names} and {len(wishes.bought)} bought works"
