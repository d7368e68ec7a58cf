"""`python -m local cost`."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from local.cloud.access import REGION
from local.cloud.errors import TemplateError
from local.cloud.template import load_template
from local.cost.bill import Row, month, rows_of
from local.cost.facts import facts_of
from local.cost.measure import as_json, measure
from local.cost.needs import FILE, read
from local.cost.prices import YEN_A_DOLLAR
from local.cost.report import AIM_ITEMS, bill_json, print_aims, print_basis, print_bill, print_bills, print_memory
from local.machine import PARAMETERS, ROOT
from osusume.errors import UserError

ITEMS = (30, 300, 3000)

DESCRIPTION = """\
Prints what a month costs on AWS in Tokyo: what template.yaml has (memory, alarms, schedules, how long logs are kept)
times what the functions were measured to need, at the prices of local/cost/prices.py. "free" subtracts what every
account gets for ever, and no credits."""

EPILOG = """\
examples:
  python -m local cost                              at 30, 300 and 3,000 new items a day
  python -m local cost --items 30                   one size, with quantities and the source of each price
  python -m local cost --set ShowDashboard=no --set Architecture=arm64
  python -m local cost --measure                    measure anew in the local cloud (10 minutes and more)
  python -m local cost --json | jq '.bills[0].yen'

exit status: 0 on success, 1 if the cost cannot be computed, 2 for wrong use"""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cost` to the commands."""
    cost = commands.add_parser(
        "cost",
        help="what a month on AWS costs, by the template and by what was measured",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cost.add_argument(
        "--items",
        type=_positive,
        action="append",
        metavar="N",
        help="new items a day; may be given several times (default: 30, 300, 3000)",
    )
    cost.add_argument(
        "--months",
        type=_positive,
        default=12.0,
        metavar="N",
        help="how long the stack has run, for what it has stored by then (default: %(default)g)",
    )
    cost.add_argument(
        "--yen", type=_positive, default=YEN_A_DOLLAR, metavar="RATE", help="yen a dollar (default: %(default)g)"
    )
    cost.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        dest="settings",
        metavar="NAME=VALUE",
        help="a parameter of template.yaml; may be given several times",
    )
    cost.add_argument("--json", action="store_true", help="print JSON instead of tables")
    cost.add_argument("--measure", action="store_true", help=f"first measure, and write {FILE.name}, which git keeps")


def run_cost(options: argparse.Namespace, console: Console) -> None:
    """Print the bills. Raises `UserError` if they cannot be computed."""
    if options.measure:
        FILE.write_text(json.dumps(as_json(measure(console)), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    measured = read()
    try:
        template = load_template(ROOT / "template.yaml", {**PARAMETERS, **dict(options.settings)}, REGION)
    except TemplateError as error:
        raise UserError(str(error)) from error
    facts = facts_of(template)

    def bill(items: float) -> list[Row]:
        return rows_of(month(facts, measured, items, options.months))

    bills = {items: bill(items) for items in options.items or ITEMS}
    if options.json:
        print(json.dumps(bill_json(bills, measured, options.yen), ensure_ascii=False, indent=2))
        return
    if len(bills) == 1:
        print_bill(next(iter(bills.values())), options.yen, console)
    else:
        print_bills(bills, options.yen, console)
    print_basis(measured, options.months, console)
    print_memory(facts, measured, options.months, options.yen, console)
    print_aims(bill(AIM_ITEMS), options.yen, console)


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("it must be above 0")
    return number


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("it must be NAME=VALUE")
    return name, value
