"""`python -m ops status`: what a deployed stack does, on one page."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ops.commands import Commands, add_command
from ops.commands.model import version_in_use
from ops.reposting import waiting
from ops.schedules import past_times
from ops.stack import DeployedStack, open_stack
from osusume.labels import Label
from osusume.messages import ALARMS
from osusume.records import Record, Run
from osusume.service_levels import DAYS, Level, Promise, levels
from osusume.snapshots import snapshot_key, snapshot_time

SHOWN_RUNS = 10

_SCHEDULES = {"Source": "CrawlerFunctionEveryMorning", "SecondSource": "CrawlerFunctionSecondSource"}
"""The schedule of each source, by the parameter that names the source."""

_PROMISES: dict[Promise, str] = {
    "summaries": "a summary within an hour",
    "posts": "a post within ten minutes",
    "presses": "a press within a second",
}

_EPILOG = f"""\
Shows the alarms that ring, what waits, the head in use, the answers, the last {SHOWN_RUNS} runs, and how well the
service levels were kept in the last {DAYS} days; docs/operations.md says what they are. It changes nothing, and reads
the whole ledger.

example:
  python -m ops status

exit status: 0, also if an alarm rings"""


def add(commands: Commands) -> None:
    """Add the command."""
    add_command(commands, "status", run, "show what a deployed stack does, on one page", _EPILOG)


def run(options: argparse.Namespace) -> None:
    """Print the page. Raises `UserError`."""
    stack, now = open_stack(options), datetime.now(UTC)
    entries, labels = list(stack.ledger.all()), list(stack.labels.all())
    records = [entry for entry in entries if isinstance(entry, Record)]
    runs = [entry for entry in entries if isinstance(entry, Run)]
    zone = ZoneInfo(stack.parameter("TimeZone"))
    print(f"{stack.name} in {stack.session.region_name}, {now.astimezone(zone):%Y-%m-%d %H:%M}")
    for name, said in _lines(stack, labels, now.astimezone(zone)):
        print(f"{name:14}{said}")
    console = Console(highlight=False)
    console.print(_runs_table(runs, records, zone))
    console.print(_levels_table(levels(runs, records, labels, now.timestamp(), _expected(stack, now))))


def _lines(stack: DeployedStack, labels: Iterable[Label], now: datetime) -> Iterator[tuple[str, str]]:
    yield "alarms", ", ".join(_ringing(stack)) or "none rings"
    yield "dead letters", str(_dead_letters(stack))
    yield "to post", f"{waiting(stack)} messages of earlier runs"
    yield "head in use", version_in_use(stack)
    if decision := stack.ledger.last_decision():
        at = datetime.fromisoformat(decision.at).astimezone(now.tzinfo)
        yield "last night", f"{at:%Y-%m-%d %H:%M}: {decision.sentence}"
    since = (now - timedelta(days=DAYS)).timestamp()
    given = Counter(label.is_interested for label in labels if float(label.action_ts) >= since)
    counts = f"{given.total()} works in {DAYS} days: {given[True]} liked, {given[False]} not, {given[None]} neither"
    yield "answers", counts


def _ringing(stack: DeployedStack) -> list[str]:
    names = {stack.resource(name): name for name in ALARMS}
    alarms = stack.client("cloudwatch").describe_alarms(AlarmNames=list(names))["MetricAlarms"]
    return sorted(f"{names[alarm['AlarmName']]} rings" for alarm in alarms if alarm["StateValue"] == "ALARM")


def _dead_letters(stack: DeployedStack) -> int:
    name, url = "ApproximateNumberOfMessages", stack.resource("DeadLetters")
    return int(stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


def _expected(stack: DeployedStack, now: datetime) -> list[str]:
    """Return the keys of the snapshots that the schedules asked for, each since it was changed last."""
    keys, client = [], stack.client("scheduler")
    for parameter, name in _SCHEDULES.items():
        if source := stack.parameter(parameter):
            schedule = client.get_schedule(Name=stack.resource(name))
            zone = ZoneInfo(schedule["ScheduleExpressionTimezone"])
            since = max(now - timedelta(days=DAYS), schedule["LastModificationDate"])
            times = past_times(schedule["ScheduleExpression"], zone, since, now)
            keys += [snapshot_key(source, at) for at in times]
    return keys


def _runs_table(runs: Iterable[Run], records: Iterable[Record], zone: ZoneInfo) -> Table:
    posted = Counter(record.snapshot for record in records if record.ts)
    last = sorted(runs, key=lambda run: run.recorded_at, reverse=True)[:SHOWN_RUNS]
    table = Table("crawl due", box=SIMPLE, title="the last runs", title_justify="left")
    for name in ("listed", "new", "recommended", "explored", "posted", "summary"):
        table.add_column(name, justify="right")
    for run in last:
        counts = (run.listed, run.new, run.recommended, run.explored, posted[run.snapshot])
        table.add_row(_due(run, zone), *map(str, counts), "posted" if run.ts else run.status)
    return table


def _due(run: Run, zone: ZoneInfo) -> str:
    try:
        return f"{snapshot_time(run.snapshot).astimezone(zone):%Y-%m-%d %H:%M}"
    except ValueError:
        return run.snapshot


def _levels_table(found: Iterable[Level]) -> Table:
    table = Table("service level", box=SIMPLE, title=f"the last {DAYS} days", title_justify="left")
    for name in ("kept", "objective", "error budget left"):
        table.add_column(name, justify="right")
    for level in found:
        left = f"{level.budget_left:.0%}" if level.budget_left >= 0 else "used up"
        kept = f"{level.kept} of {level.total}" if level.total else "none yet"
        table.add_row(_PROMISES[level.promise], kept, f"{level.objective:.0%}", left)
    return table
