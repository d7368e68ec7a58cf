"""`python -m ops rules`: the owner's rules."""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from zoneinfo import ZoneInfo

from ops.commands import Commands, add_command
from ops.stack import open_stack
from osusume.errors import UserError
from osusume.rules import KINDS, Kind, Rule, Rules

_SAYS: dict[Kind, str] = {
    "circle": "never this circle",
    "series": "never this series",
    "word": "never with this word in the title or a genre",
    "voice_actor": "always this voice actor",
    "pause": "not this circle for two weeks",
}

_EPILOG = """\
Rules beat the score: a work that one forbids is never posted, and counts nowhere as disliked; a work that one wants is
posted whatever its score. They are set behind 「⋯」 under a work in Slack, or here. Without options this lists them.

examples:
  python -m ops rules
  python -m ops rules --set circle 星屑工房 --yes
  python -m ops rules --undo circle 星屑工房 --yes

exit status: 0, or 1 if there is no such rule"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "rules", run, "list, set or undo your rules", _EPILOG, asks=True)
    action = parser.add_mutually_exclusive_group()
    kinds = "|".join(KINDS)
    for name, what in (("--set", "set a rule"), ("--undo", "undo a rule")):
        action.add_argument(name, nargs=2, metavar=(kinds, "NAME"), help=what)


def run(options: argparse.Namespace) -> None:
    """List the rules, or change one. Raises `UserError`."""
    stack = open_stack(options)
    rules = Rules(stack.session.resource("dynamodb"), stack.resource("ItemsTable"))
    asked = options.set or options.undo
    if not asked:
        _list(rules, ZoneInfo(stack.parameter("TimeZone")))
        return
    kind, value = asked
    if kind not in KINDS:
        raise UserError(f"there is no kind of rule {kind!r}: choose one of {', '.join(KINDS)}")
    rule = Rule(kind, value, f"{time.time():.6f}", is_set=bool(options.set))
    holding = {each.key for each in rules.all() if each.is_set}
    if options.undo and rule.key not in holding:
        raise UserError(f"there is no rule {kind} {value!r}: 'python -m ops rules' lists them")
    what = f"{'set' if rule.is_set else 'undo'}: {_SAYS[rule.kind]}: {value}"
    if not options.yes:
        print(f"would {what}; add --yes to do it")
    elif rules.store(rule):
        print(what)
    else:
        raise UserError("a later press in Slack decided otherwise: look again")


def _list(rules: Rules, time_zone: ZoneInfo) -> None:
    holding = [rule for rule in rules.all() if rule.holds(time.time())]
    if not holding:
        print("there are no rules: set them behind 「⋯」 under a work in Slack, or with --set")
    for rule in holding:
        set_at = datetime.fromtimestamp(float(rule.action_ts), time_zone)
        end = rule.ends_at and f", until {datetime.fromtimestamp(rule.ends_at, time_zone):%Y-%m-%d %H:%M}"
        print(f"{rule.kind:12} {rule.value}  ({_SAYS[rule.kind]}, since {set_at:%Y-%m-%d}{end or ''})")
