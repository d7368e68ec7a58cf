"""`python -m ops prepare`: everything that must be right before `sam deploy`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice, pairwise

from ops.commands import Commands, add_command
from ops.deploying import (
    Answers,
    begin_watch,
    check_name,
    check_parameters,
    default_of,
    definitions,
    deployed_parameters,
    leftovers,
    make_ready,
    path_of,
    read_answers,
    zone_of,
)
from ops.schedules import next_times
from ops.stack import open_session
from osusume.errors import UserError

_ASKED_FIRST = ("Contact", "SlackChannelId", "AllowedSlackUsers", "AlarmEmail", "TimeZone", "Schedule", "Floor")
_A_DAY_SECONDS = 25 * 3600

_EPILOG = """\
'make deploy' runs this first. It asks for the parameters once and keeps the answers in .deploy/STACK.toml, which git
ignores and 'sam deploy' reads. Enter keeps the value shown, '-' clears it. Every value is checked before anything is
made. A stack of which a first deployment failed is removed, so that the next one can begin. If an earlier stack of the
same name left its bucket and tables, it stops: 'python -m ops adopt' takes them in.

examples:
  python -m ops prepare                                          # asks what it does not know
  python -m ops prepare --stack osusume-dev --ask                # asks everything again
  python -m ops prepare --set AlarmEmail= --set MaxPosts=10      # changes two answers, and clears the first

exit status: 0, or 1 if a value is wrong or the stack cannot be deployed to"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "prepare", run, "ask and check everything before a deployment", _EPILOG)
    parser.add_argument("--ask", action="store_true", help="ask for every parameter again")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="set a parameter; repeatable")


def run(options: argparse.Namespace) -> None:
    """Ask, check, and make the way free. Raises `UserError`."""
    session = open_session(options)
    stack, region, known = options.stack, str(session.region_name), read_answers(options.stack)
    check_name(stack, region)
    if known and known.region != region:
        raise UserError(
            f"{stack} is in {known.region}, not in {region}: add --region {known.region}, choose another name, or"
            f" delete {path_of(stack)} to deploy it anew"
        )
    state = make_ready(session, stack, print)
    before = dict(known.parameters) if known else deployed_parameters(session, stack)
    before = {name: value for name, value in before.items() if name in definitions()}
    parameters = _asked(before | _set(options.set), options.ask, is_first=not before)
    check_parameters(parameters)
    path = Answers(stack, region, parameters).save()
    print(f"{stack} in {region}: {'an update' if state else 'a first deployment'}; the answers are in {path}")
    for line in _mornings(parameters):
        print(line)
    if not state and (found := leftovers(session, stack)):
        names = ", ".join(each.name for each in found)
        raise UserError(
            f"an earlier stack left {names}: 'python -m ops adopt --stack {stack} --yes' takes them into a new"
            " stack, with all that they hold; then deploy again"
        )
    begin_watch(session, stack, is_first=not state or state == "IMPORT_COMPLETE")


def _set(assignments: list[str]) -> dict[str, str]:
    values = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or name not in definitions():
            raise UserError(f"--set {assignment}: write NAME=VALUE with a parameter of template.yaml")
        values[name] = value or str(default_of(name) or "")
    return values


def _asked(known: Mapping[str, str], ask: bool, is_first: bool) -> dict[str, str]:
    """Return a value for each parameter: the known one, the answer of the owner, or the template's default."""
    parameters = {}
    for name, definition in definitions().items():
        default = default_of(name)
        value = known.get(name, default)
        # a first deployment asks the owner at the terminal; without one it must be told
        if ask or (is_first and name not in known and name in _ASKED_FIRST and sys.stdin.isatty()):
            value = _answer(name, str(definition.get("Description", "")), value, default)
        if value is None:
            raise UserError(f"{name} has no value ({definition.get('Description', '')}): add --set {name}=VALUE")
        parameters[name] = value
    return parameters


def _answer(name: str, description: str, shown: str | None, default: str | None) -> str | None:
    while True:
        print(f"\n{name}: {description}")
        try:
            typed = input(f"  [{shown or ''}] ").strip()
        except EOFError:
            raise UserError(f"there is no answer for {name}: run it in a terminal, or add --set {name}=VALUE") from None
        value = shown if not typed else default if typed == "-" else typed
        try:
            check_parameters({**_required(), name: value or ""})
        except UserError as error:
            print(f"  {error}")
        else:
            return value


def _required() -> dict[str, str]:
    """Return valid values of the parameters that need one, to check another one alone."""
    return {"Contact": "owner@example.com", "SlackChannelId": "C0123456789"}


def _mornings(parameters: Mapping[str, str]) -> Iterator[str]:
    now, zone = datetime.now(UTC), zone_of(parameters)
    for name, what in (("TrainingSchedule", "learns"), ("Schedule", "reads and posts")):
        times = list(islice(next_times(parameters[name], zone, now), 8))
        yield f"it {what} next at {times[0]:%Y-%m-%d %H:%M} {parameters['TimeZone']} ({parameters[name]})"
        gap = max(((later - earlier).total_seconds() for earlier, later in pairwise(times)), default=0)
        if name == "Schedule" and gap > _A_DAY_SECONDS:
            yield "  it does not run every day: the alarm SummaryMissing rings after 26 hours without a summary"
