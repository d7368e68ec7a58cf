"""`make demo`: two mornings of the main job on this machine, with presses between them, reported from the stores."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import requests
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.cloud.errors import StillBusy
from local.cloud.state import private_files
from local.machine import Machine, one_machine
from local.slack import Message, as_text, duplicate_posts
from osusume.messages import INTERESTED, NOT_INTERESTED
from samples.works import FIRST_DAY
from web.browser import open_in_browser

FIRST_MORNING = datetime.combine(FIRST_DAY, clock_time(7), ZoneInfo("Asia/Tokyo"))
LONGEST_MORNING_SECONDS = 180
SHOWN_MESSAGES = 3
MOST_PRESSES = 5


class DemoFailed(RuntimeError):
    """Raised when the demo did not do what it should show."""


@dataclass(frozen=True, slots=True)
class Day:
    """The numbers of one morning, counted from the shop's log, the stores and the stand-in's log."""

    listed: int
    fetched: int
    new: int
    recommended: int
    explored: int
    passed: int
    posted: int
    requests: int


def run_demo(folder: Path, *, serve: bool, console: Console) -> None:
    """Run the demo, print a report and write `summary.json` and the functions' logs into `folder`.

    With `serve` the Slack stand-in stays up until Ctrl-C. Raises `DemoFailed`.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(private_files())
        with console.status("starting the shop, Slack and the cloud"):
            machine = stack.enter_context(one_machine(state_dir=folder / "logs"))
        console.print(f"[bold]One machine is up[/] ({time.monotonic() - began:.1f} s): {_inventory(machine)}")
        days = [_morning(machine, 1, console)]
        _press_buttons(machine, console)
        days.append(_morning(machine, 2, console))
        _deliver_again(machine, console)
        summary = _summary(machine, days)
        path = folder / "summary.json"
        path.write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
        _account(machine, days, summary, console)
        console.print(f"\nDone in {time.monotonic() - began:.0f} s. Numbers: {path}, logs: {folder / 'logs'}")
        _check(machine, days, summary)
        if serve:
            address = machine.slack.page_address
            console.print(f"\nThe channel, with working buttons: {address}\nCtrl-C ends it.", soft_wrap=True)
            open_in_browser(address)
            threading.Event().wait()


def _inventory(machine: Machine) -> str:
    functions = sorted(
        name.removesuffix("Function").lower() for name in machine.cloud.resources if name.endswith("Function")
    )
    return f"{len(machine.cloud.resources)} resources of template.yaml, functions {', '.join(functions)}"


def _morning(machine: Machine, day: int, console: Console) -> Day:
    at = FIRST_MORNING + timedelta(days=day - 1)
    posts_before = machine.slack.posts
    machine.begin_day(day, at)
    _wait(machine, console, f"day {day}", posts_before)
    key = machine.snapshot_keys[-1]
    snapshot = machine.snapshot(key)
    choices = Counter(record.choice for record in machine.records_of(key))
    counted = Day(
        listed=len(snapshot.items) + len(snapshot.failures),
        fetched=sum("/work/=/product_id/" in path for _, path, _ in machine.site.log),
        new=choices.total(),
        recommended=choices["recommended"],
        explored=choices["explored"],
        passed=choices["passed"],
        posted=len(_posted_items(machine, key)),
        requests=len(machine.site.log),
    )
    console.print(
        f"[bold]Day {day}[/] ({at:%Y-%m-%d %H:%M}): {counted.requests} requests to the shop,"
        f" {counted.listed} works listed, {counted.fetched} pages read, {counted.new} new ->"
        f" {counted.recommended} recommended, {counted.explored} explored, {counted.passed} passed over"
    )
    return counted


def _wait(machine: Machine, console: Console, what: str, posts_before: int = 0) -> None:
    ends = time.monotonic() + LONGEST_MORNING_SECONDS
    with console.status(what) as status:
        while True:
            try:
                machine.cloud.wait_until_idle(0.2)
            except StillBusy as busy:
                if time.monotonic() > ends:
                    raise DemoFailed(f"{what} did not end within {LONGEST_MORNING_SECONDS} s: {busy}") from busy
                posts = machine.slack.posts - posts_before
                status.update(f"{what}: {len(machine.site.log)} requests to the shop, {posts} messages posted")
            else:
                return


def _posted_items(machine: Machine, key: str) -> list[Message]:
    return [
        message
        for message in machine.slack.messages
        if message.item_id and (message.metadata or {})["event_payload"]["snapshot"] == key
    ]


def _press(machine: Machine, message: Message, action: str) -> None:
    """Press a button, and retry if Slack shows a warning: a busy machine may start the function too slowly."""
    for _ in range(MOST_PRESSES):
        with suppress(requests.RequestException):
            if machine.press(message.ts, action) == requests.codes.ok:
                return
    failed = machine.slack.failed_presses[-1]
    raise DemoFailed(f"the press under {message.item_id} was answered {failed.status}: {failed.reason}")


def _press_buttons(machine: Machine, console: Console) -> None:
    """Press a button under two messages, and change the answer to one of them."""
    first, second = _posted_items(machine, machine.snapshot_keys[-1])[:2]
    for message, action, words in (
        (first, INTERESTED, "興味あり!"),
        (second, INTERESTED, "興味あり!"),
        (second, NOT_INTERESTED, "別に…"),
    ):
        _press(machine, message, action)
        console.print(f"pressed 「{words}」 under {_title(message)}")


def _deliver_again(machine: Machine, console: Console) -> None:
    """Deliver the last snapshot's event twice more, at the same time, as S3 may."""
    posts_before = machine.slack.posts
    machine.cloud.deliver_s3_event(machine.snapshot_keys[-1], times=2)
    _wait(machine, console, "the same S3 event again, twice")
    console.print(f"the same S3 event again, twice: {machine.slack.posts - posts_before} messages posted")


def _summary(machine: Machine, days: list[Day]) -> dict[str, Any]:
    labels = sorted(machine.labels.all(), key=lambda label: float(label.action_ts))
    return {
        "days": [asdict(day) for day in days],
        "labels": [{"item_id": label.item_id, "is_interested": int(bool(label.is_interested))} for label in labels],
        "duplicate_posts": duplicate_posts(machine.slack.log),
    }


def _account(machine: Machine, days: list[Day], summary: dict[str, Any], console: Console) -> None:
    for number, key in enumerate(machine.snapshot_keys, 1):
        messages = _posted_items(machine, key)
        console.rule(f"Posted on day {number}: {len(messages)} works")
        for message in messages[:SHOWN_MESSAGES]:
            console.print(Panel(Text(as_text(message)), width=min(100, console.width)))
        for message in messages[SHOWN_MESSAGES:]:
            console.print(Text(f"  {_title(message)}"), overflow="ellipsis", no_wrap=True)
    console.rule("What each run said")
    for message in machine.slack.messages:
        if not message.item_id:
            console.print(Text(as_text(message)))
    console.rule("In numbers")
    table = Table("", *(f"day {number}" for number, _ in enumerate(days, 1)))
    for name in asdict(days[0]):
        table.add_row(name, *(str(getattr(counted, name)) for counted in days))
    console.print(table)
    for label in summary["labels"]:
        console.print(f"label: {label['item_id']} is_interested={label['is_interested']}")
    console.print(f"works posted twice: {summary['duplicate_posts']}")


def _title(message: Message) -> str:
    return as_text(message).partition(" (https")[0]


def _check(machine: Machine, days: list[Day], summary: dict[str, Any]) -> None:
    failed = [invocation for invocation in machine.cloud.invocations if invocation.error]
    if failed:
        raise DemoFailed(f"{failed[0].function} failed: {(failed[0].error or {}).get('errorMessage')}")
    if machine.cloud.delivery_errors:
        raise DemoFailed(machine.cloud.delivery_errors[0])
    for number, day in enumerate(days, 1):
        if day.posted != day.recommended + day.explored:
            raise DemoFailed(f"day {number} posted {day.posted} works of {day.recommended + day.explored} chosen")
    if summary["duplicate_posts"]:
        raise DemoFailed(f"{summary['duplicate_posts']} works were posted twice")
