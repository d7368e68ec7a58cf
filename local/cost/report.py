"""Shows bills: a table for people, plain values for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from local.cost.bill import (
    BASE_IMAGE_BYTES,
    CRAWL_DELAY,
    DAYS,
    FULL_CORE_MB,
    PRESSES_A_SITTING,
    Row,
    lambda_seconds,
    month,
    rows_of,
    short_name,
)
from local.cost.facts import Facts
from local.cost.needs import Measured
from local.cost.prices import FREE_TYPES, PRICES

AIM_ITEMS, AIM_FREE_YEN, AIM_YEN = 30, 20, 60
DASHBOARDS = "Dashboards"
MEMORY_SIZES = (256, 384, 512, 1024, FULL_CORE_MB, 2048)
SHOWN = 5
SURE = 0.8
"""How much of its memory a function may have been seen to use."""


def totals(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the dollars of a bill, without and with what is free."""
    return sum(row.dollars for row in rows), sum(row.dollars_free for row in rows)


def bill_json(bills: Mapping[float, Sequence[Row]], measured: Measured, yen: float) -> dict[str, Any]:
    """Return the bills by new items a day, and what they rest on, as plain JSON values."""
    return {
        "yen_a_dollar": yen,
        "measured": measured.made,
        "prices": {name: asdict(price) for name, price in PRICES.items()},
        "free_types": FREE_TYPES,
        "bills": [
            {
                "items_a_day": items,
                "rows": [asdict(row) for row in rows],
                "dollars": totals(rows)[0],
                "dollars_free": totals(rows)[1],
                "yen": totals(rows)[0] * yen,
                "yen_free": totals(rows)[1] * yen,
            }
            for items, rows in bills.items()
        ],
    }


def print_bills(bills: Mapping[float, Sequence[Row]], yen: float, console: Console) -> None:
    """Print several bills side by side, in dollars, with totals in yen."""
    table = Table(box=None, title="Dollars a month by new items a day: without, and with what is free for ever")
    table.add_column("what")
    for heading in [*(f"{items:,.0f}" for items in bills), *(f"{items:,.0f} free" for items in bills)]:
        table.add_column(heading, justify="right")
    for same in zip(*bills.values(), strict=True):
        numbers = [row.dollars for row in same] + [row.dollars_free for row in same]
        table.add_row(same[0].what, *(_dollars(number) for number in numbers))
    table.add_section()
    without = [totals(rows)[0] for rows in bills.values()]
    free = [totals(rows)[1] for rows in bills.values()]
    table.add_row("together, dollars", *(f"{number:.2f}" for number in without + free), style="bold")
    table.add_row(
        f"together, yen ({yen:g} a dollar)", *(f"{number * yen:,.0f}" for number in without + free), style="bold"
    )
    bare = [totals([row for row in rows if row.what != DASHBOARDS]) for rows in bills.values()]
    if [each[0] for each in bare] != without:
        numbers = [each[0] for each in bare] + [each[1] for each in bare]
        table.add_row("  without a dashboard, yen", *(f"{number * yen:,.0f}" for number in numbers))
    console.print(table)


def print_bill(rows: Sequence[Row], yen: float, console: Console) -> None:
    """Print one bill with its quantities, and the source of each price."""
    table = Table(box=None, title="A month: dollars without, and with what is free for ever")
    table.add_column("what")
    for heading in ("quantity", "$ a unit", "$", "$ free"):
        table.add_column(heading, justify="right")
    for row in rows:
        unit = f"{PRICES[row.what.partition(':')[0]].dollars:.10f}".rstrip("0")
        table.add_row(
            row.what, f"{row.quantity:,.3f} {row.unit}", unit, _dollars(row.dollars), _dollars(row.dollars_free)
        )
    table.add_section()
    without, free = totals(rows)
    table.add_row("together, dollars", "", "", f"{without:.2f}", f"{free:.2f}", style="bold")
    table.add_row(
        f"together, yen ({yen:g} a dollar)", "", "", f"{without * yen:,.0f}", f"{free * yen:,.0f}", style="bold"
    )
    console.print(table)
    console.print("\nWhere the prices are from, and what is free each month:")
    for name in dict.fromkeys(row.what.partition(":")[0] for row in rows):
        price = PRICES[name]
        amount = f"{price.free:,.0f} free" if price.free else "none"
        console.print(f"- {name}: {price.source}. Free: {amount}; {price.free_source}.", soft_wrap=True)


def print_basis(measured: Measured, months: float, console: Console) -> None:
    """Print what the bills rest on."""
    made = measured.made
    console.print(
        f"\nMeasured on {made['date']} with `{made['command']}` on {made['machine']}, Python {made['python']}, a load"
        f" of {made['load']}, with {made['model']} and {made['labels']:,} labels: mornings of"
        f" {', '.join(map(str, measured.sizes))} new works; other sizes lie on the lines between them and beyond.\n"
        "Assumed:\n"
        f"- A second of the processor here is one at {FULL_CORE_MB} MB in Lambda; less memory has that share of a core."
        " Waiting takes as long as here. Lambda bills starts too, since August 2025."
        " The machine's other work made waiting longer than it is.\n"
        f"- The crawler waits {CRAWL_DELAY:g} s before each page. Every post is pressed; of {PRESSES_A_SITTING} presses"
        " one meets a start. Every run starts each function anew.\n"
        f"- The stack has run for {months:g} months of {DAYS} days; what is stored grows with them.\n"
        f"- The base of the image has {BASE_IMAGE_BYTES / 1e6:.0f} MB, compressed: unconfirmed. sam keeps the image"
        " once for each function that uses it.\n"
        "- Free is what stays free for ever. What ends after an account's first 12 months, or with its credits, counts"
        " as paid: the HTTP API, S3, the image.\n",
        soft_wrap=True,
        markup=False,
    )


def print_memory(facts: Facts, measured: Measured, months: float, yen: float, console: Console) -> None:
    """Print what each function costs at several memory sizes, and how long a start takes there."""
    table = Table(box=None, title=f"Memory: yen a month at {AIM_ITEMS} new items a day, and seconds of a start")
    for heading in ("function", "MB now", "peak MB", *(str(size) for size in MEMORY_SIZES)):
        table.add_column(heading, justify="left" if heading == "function" else "right")
    for name, function in facts.functions.items():
        peak = measured.peak_megabytes[name]
        cells = []
        for size in MEMORY_SIZES:
            other = replace(facts, functions={**facts.functions, name: replace(function, memory=size)})
            rows = rows_of(month(other, measured, AIM_ITEMS, months))
            row = next(row for row in rows if row.what.endswith(f": {short_name(name)}"))
            start = lambda_seconds({**measured.starts[name], "invocations": 1}, size)
            cells.append("too little" if peak > SURE * size else f"{row.dollars * yen:.1f}, {start:.1f} s")
        table.add_row(short_name(name), str(function.memory), f"{peak:.0f}", *cells)
    console.print(table)


def print_aims(rows: Sequence[Row], yen: float, console: Console) -> None:
    """Say whether the aims are met, at as many items as they are for."""
    bare = [row for row in rows if row.what != DASHBOARDS]
    console.print(f"\nThe aims, at {AIM_ITEMS} new items a day:")
    _aim("with what is free", {row.what: row.dollars_free * yen for row in rows}, AIM_FREE_YEN, console)
    _aim("without it, nor a dashboard", {row.what: row.dollars * yen for row in bare}, AIM_YEN, console)
    if dollars := totals(rows)[0] - totals(bare)[0]:
        console.print(
            f"A dashboard beyond the three free ones costs {dollars * yen:,.0f} yen more: ShowDashboard=no spares it."
        )


def _aim(name: str, amounts: Mapping[str, float], aim: float, console: Console) -> None:
    """Say whether the amounts, in yen, are together below the aim, and which are the most."""
    amount = sum(amounts.values())
    outcome = f"under {aim}" if amount < aim else f"{amount - aim:.1f} more than {aim}"
    most = sorted(amounts.items(), key=lambda each: each[1], reverse=True)[:SHOWN]
    listed = ", ".join(f"{what} {yen:.1f}" for what, yen in most)
    console.print(f"- {name}: {amount:.1f} yen, {outcome}. Most of it: {listed}.")


def _dollars(number: float) -> str:
    return "" if number == 0 else f"{number:.4f}"
