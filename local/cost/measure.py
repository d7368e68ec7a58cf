"""Measures what the functions need: mornings of two sizes, presses and a night in the local cloud."""

from __future__ import annotations

import gzip
import json
import marshal
import os
import platform
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import metadata
from math import isnan
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import requests
from rich.console import Console
from werkzeug import Response

from local.cloud.dispatch import Invocation
from local.cloud.meter import Meter, item_bytes
from local.cost.needs import Counts, Measured, Need
from local.machine import NIGHT_SCHEDULE, PACKAGE, PARAMETERS, ROOT, STARTER, Machine, deployment
from local.shop.site import serve_site
from model.label_import import GivenLabel, import_labels
from model.learning.examples import Example
from osusume.errors import UserError
from osusume.items import Section
from osusume.messages import INTERESTED, NOT_INTERESTED
from samples.works import generate_works, made_up_taste

FIRST_CRAWL = 100
SIZES = (30, 100, 200)
"""New works of the mornings that are measured: the two larger ones post as many as a morning may."""

LABELS, PRESSES = 120, 10
BIG_TEXT = ("雨" * 55 + "\n") * 28_500
"""A description that makes a page of 4.9 MB and 28,700 tags: the fetcher takes 5 MB, the parser 30,000 tags."""

LONGEST_SECONDS = 3600.0
_LIMITS = dict.fromkeys(("NotifierFunction", "TrainerFunction"), LONGEST_SECONDS)
"""Time limits that no busy machine reaches: what is measured is processor time."""

_MOST_TRIES = 10
TIME_ZONE = ZoneInfo("Asia/Tokyo")
_FIRST_MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)


def measure(console: Console, sizes: tuple[int, ...] = SIZES, labels: int = LABELS) -> Measured:
    """Return what mornings of these sizes, presses and a night of `labels` labels need on this machine."""
    package = PACKAGE if (PACKAGE / "card.json").exists() else STARTER
    meter, sent = Meter(), [0]
    works = generate_works(FIRST_CRAWL + sum(sizes) + 2, seed=1)
    works[-2:] = [replace(work, sections=[Section("あらすじ", BIG_TEXT)]) for work in works[-2:]]
    with (
        serve_site(0.0, works=works, days=(FIRST_CRAWL, *sizes, 2)) as site,
        deployment(
            site.address,
            parameters={**PARAMETERS, "MadeUpTaste": "ignore"},
            model=package,
            meter=meter,
            time_limits=_LIMITS,
            preload={},  # a start takes what it takes in Lambda
        ) as deployed,
    ):
        machine = Machine(deployed.slack, deployed.cloud, site)

        def counted(_path: str, _body: bytes, serve: Callable[[], Response]) -> Response:
            sent[0] += len(_body)
            return serve()

        machine.slack.intercept = counted
        count = _Count(machine, meter, sent)
        console.print("a first morning")
        _a_morning(count, 1)
        console.print(f"a first night, with {labels:,} labels")
        _bring_labels(machine, labels)
        _a_night(machine)
        _press(machine, 1)  # it meets a start
        mornings, nights, presses = [], [], []
        for day, size in enumerate(sizes, start=2):
            console.print(f"a morning of {size} new works, presses and a night")
            count.since()
            _a_morning(count, day)
            mornings.append(count.since())
            _press(machine, PRESSES)
            presses.append(count.since())
            _a_night(machine)
            nights.append(count.since())
        console.print("pages as large as the fetcher takes")
        _a_morning(count, len(sizes) + 2)
        invocations = machine.cloud.invocations
    failed = [f"{each.function}: {each.error['errorMessage']}" for each in invocations if each.error]
    return Measured(
        made={
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "command": "python -m local cost --measure",
            "model": "model/package" if package == PACKAGE else "model/starter",
            "labels": labels,
            "load": round(os.getloadavg()[0], 1),
            "failed": failed,
        },
        sizes=list(sizes),
        mornings=mornings,
        nights=nights,
        press=_mean(presses, PRESSES * len(presses)),
        starts=_starts(invocations),
        peak_megabytes=_peaks(invocations),
        image_bytes=image_bytes(package),
    )


def _a_morning(count: _Count, day: int) -> None:
    machine = count.machine
    count.pages += len(machine.site.log)  # which is cleared
    machine.cloud.kill("ClassifierFunction")  # a new process has the newest head
    machine.begin_day(day, _FIRST_MORNING + timedelta(days=day - 1))
    machine.cloud.wait_until_idle(LONGEST_SECONDS)


def _a_night(machine: Machine) -> None:
    machine.cloud.fire_schedule(NIGHT_SCHEDULE)
    machine.cloud.wait_until_idle(LONGEST_SECONDS)


def _bring_labels(machine: Machine, count: int) -> None:
    """Label as many works as the made-up owner would, an hour apart."""
    now = datetime.now(TIME_ZONE)
    given = []
    for age, work in enumerate(generate_works(count, seed=2)):
        example = Example(replace(work, item_id=f"RJ08{age:06}"), made_up_taste(work))
        given.append(GivenLabel(example, (now - timedelta(hours=age + 1)).timestamp(), "annotation"))
    import_labels(given, machine.labels, machine.ledger, time_zone=TIME_ZONE, now=now.timestamp())


def _press(machine: Machine, count: int) -> None:
    """Press a button under `count` messages, as the made-up owner would; again after a warning of Slack's."""
    messages = [message for message in machine.slack.messages if message.item_id][-count:]
    records = machine.ledger.get(str(message.item_id) for message in messages)
    for message in messages:
        action = INTERESTED if made_up_taste(records[str(message.item_id)].item) else NOT_INTERESTED
        for _ in range(_MOST_TRIES):
            with suppress(requests.RequestException):
                if machine.press(message.ts, action) == requests.codes.ok:
                    break
        else:
            raise UserError(f"no press in {_MOST_TRIES} was answered: this machine is too busy to measure")


class _Count:
    """Counts what is used, and returns what was since the last time."""

    def __init__(self, machine: Machine, meter: Meter, sent: list[int]) -> None:
        self.machine, self._meter, self._sent, self.pages = machine, meter, sent, 0
        self._before: Need = self._now()

    def since(self) -> Need:
        """Return what was used and stored since the last call."""
        before, self._before = self._before, self._now()
        return {
            name: {what: number - before.get(name, {}).get(what, 0) for what, number in counts.items()}
            for name, counts in self._before.items()
        }

    def _now(self) -> Need:
        machine = self.machine
        need: Need = {"stored": _stored(machine)}
        need["sent"] = {
            "slack_bytes": self._sent[0],
            "posts": machine.slack.posts,
            "pages": self.pages + len(machine.site.log),
        }
        for each in machine.cloud.invocations:
            counts = need.setdefault(each.function, {})
            cpu, queue = _known(each.effort.cpu_seconds), _known(each.effort.queue_seconds)
            _add(counts, "invocations", 1)
            _add(counts, "cpu_seconds", cpu)
            _add(counts, "wait_seconds", max(0.0, each.seconds - cpu - queue))
            for metric in _metrics(each.log):
                _add(counts, f"metric:{metric}", 1)
        for name, calls in self._meter.counts.items():
            function = f"{name.partition('-')[2].capitalize()}Function"
            need.setdefault(function, {}).update(calls)
        return need


def _mean(needs: Iterable[Need], times: int) -> Need:
    """Return what one of `times` needs, which `needs` hold together."""
    mean: Need = {}
    for need in needs:
        for name, counts in need.items():
            for what, number in counts.items():
                _add(mean.setdefault(name, {}), what, number / times)
    return mean


def _add(counts: Counts, what: str, number: float) -> None:
    counts[what] = counts.get(what, 0) + number


def _metrics(log: Iterable[str]) -> set[str]:
    """Return the names of the metrics in an invocation's log, which CloudWatch extracts."""
    names = set()
    for line in log:
        if '"CloudWatchMetrics"' in line:
            for directive in json.loads(line)["_aws"]["CloudWatchMetrics"]:
                names |= {metric["Name"] for metric in directive["Metrics"]}
    return names


def _stored(machine: Machine) -> Counts:
    """Return the bytes in the bucket and in the tables, replaced versions apart."""
    bucket = machine.cloud.resources["Bucket"]
    stored: Counts = {"bucket": 0, "replaced": 0}
    for page in machine.cloud.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in page.get("Versions", []):
            _add(stored, "bucket" if version["IsLatest"] else "replaced", version["Size"])
    for page in (
        machine.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=machine.cloud.resources["ItemsTable"])
    ):
        _add(stored, "tables", sum(item_bytes(item) for item in page["Items"]))
    return stored


def _known(seconds: float) -> float:
    return 0.0 if isnan(seconds) else seconds


def _starts(invocations: Iterable[Invocation]) -> Need:
    """Return by function what a start takes, the mean of all."""
    starts: dict[str, list[tuple[float, float]]] = {}
    for each in invocations:
        if each.effort.init_seconds:
            cpu = _known(each.effort.init_cpu_seconds)
            starts.setdefault(each.function, []).append((cpu, max(0.0, each.effort.init_seconds - cpu)))
    return {
        name: {
            "cpu_seconds": sum(cpu for cpu, _ in each) / len(each),
            "wait_seconds": sum(wait for _, wait in each) / len(each),
            "starts": len(each),
        }
        for name, each in starts.items()
    }


def _peaks(invocations: Iterable[Invocation]) -> Counts:
    peaks: Counts = {}
    for each in invocations:
        peaks[each.function] = max(peaks.get(each.function, 0.0), each.effort.peak_megabytes)
    return peaks


def image_bytes(package: Path) -> Counts:
    """Return the compressed bytes that the image adds to its base: packages as installed here, the model package."""
    names = [
        line.partition("==")[0]
        for line in (ROOT / "functions" / "classifier" / "requirements.txt").read_text("utf-8").splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    ]
    files = [Path(str(file.locate())) for name in names for file in metadata.files(name) or []]
    return {
        "packages": sum(_compressed(file) for file in files if file.is_file() and file.suffix != ".pyc"),
        "model": sum(_compressed(file) for file in package.iterdir()),
    }


def _compressed(file: Path) -> int:
    """Return the compressed size of a file, with the bytecode that `layers/finish.py` makes of it."""
    content = file.read_bytes()
    size = len(gzip.compress(content, 6))
    if file.suffix == ".py":
        with suppress(SyntaxError):  # some packages ship tests of what is no Python
            size += len(gzip.compress(marshal.dumps(compile(content, file.name, "exec", dont_inherit=True)), 6))
    return size


def as_json(measured: Measured) -> dict[str, Any]:
    """Return the measurement as plain JSON values, numbers rounded to what is meant."""
    value: dict[str, Any] = json.loads(json.dumps(measured.to_json()), parse_float=lambda text: round(float(text), 3))
    return value
