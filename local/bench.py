"""`make bench`: measures how long the parts take on this machine."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from crawler.sources.dlsite import DLsite
from local.cold_starts import cold_starts
from local.machine import ROOT, one_machine
from local.shop.entries import Entry
from local.shop.pages import listing_page, work_page
from model.serving.package import ModelPackage
from samples.works import demo_works

REPETITIONS = 5
MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)


def run_bench(folder: Path, console: Console) -> None:
    """Measure, print a table and write `local.json` into `folder`: milliseconds, each the median of several runs."""
    with console.status("measuring"):
        milliseconds = {**_parsing(), **_scoring(), **_a_morning()}
    table = Table("what", "ms", title=f"{platform.machine()}, Python {platform.python_version()}")
    for what, value in milliseconds.items():
        table.add_row(what, f"{value:,.1f}")
    console.print(table)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "local.json").write_text(json.dumps(milliseconds, indent=2) + "\n")


def _median_ms(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def _parsing() -> dict[str, float]:
    works = demo_works()
    source = DLsite()
    entries = [Entry(work, "SOU") for work in works[:100]]
    pages = [(work_page(entry), entry.item.url) for entry in entries[:20]]
    listing = listing_page(entries, len(entries), 1, works[:20])
    url = source.listing_urls(len(entries))[0]
    return {
        "parse a listing of 100 works": _median_ms(lambda: source.parse_listing_page(listing, url)),
        "parse a work's page": _median_ms(lambda: [source.parse_work_page(*page) for page in pages]) / len(pages),
    }


def _scoring() -> dict[str, float]:
    starter = ROOT / "model" / "starter"
    package = ModelPackage.load(starter)
    works = demo_works()[:20]
    return {
        "load the starter package": _median_ms(lambda: ModelPackage.load(starter)),
        "score a work, reasons included": _median_ms(lambda: package.score(works)) / len(works),
    }


def _a_morning() -> dict[str, float]:
    """Run one first morning without crawl-delay; a function's first event includes starting its process."""
    with one_machine(crawl_delay=0.0, preload={}) as machine:
        began = time.perf_counter()
        machine.begin_day(1, MORNING)
        machine.cloud.wait_until_idle(180)
        taken = {"a first morning of 100 works, no crawl-delay": (time.perf_counter() - began) * 1000}
        presses = []
        for message in machine.slack.messages[:REPETITIONS]:
            began = time.perf_counter()
            machine.slack.press(message.ts, "interested")
            presses.append((time.perf_counter() - began) * 1000)
        taken |= cold_starts(machine)
    taken["a press, cold"] = presses[0]
    taken["a press, warm"] = statistics.median(presses[1:])
    return taken
