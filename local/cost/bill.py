"""The bill of a month: what is used, at which price, without and with what is free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from local.cost.facts import Facts, FunctionFacts
from local.cost.needs import Counts, Measured, Need
from local.cost.prices import FREE_TYPES, PRICED_TYPES, PRICES
from osusume.errors import UserError

DAYS = 30
GB = 2**30
FULL_CORE_MB = 1769
"""At this memory a function has one core, below it a share. https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

CRAWL_DELAY = 10.0
"""Seconds between two pages, as the shop's robots.txt asks."""

SPARED = 0.05
"""The part of a turn's time limit that the crawler keeps for storing: `remaining` in functions/crawler/app.py."""

PRESSES_A_SITTING = 5
"""Presses come together; then one of them meets a start."""

PUSHED_BYTES = 800
"""Of a request for a page that leaves AWS: its headers."""

BASE_IMAGE_BYTES = 180e6
"""The compressed size of public.ecr.aws/lambda/python:3.13, from memory and not confirmed: no stored page gives it."""

CRAWLER, NOTIFIER, CLASSIFIER, FEEDBACK, TRAINER = (
    f"{name}Function" for name in ("Crawler", "Notifier", "Classifier", "Feedback", "Trainer")
)


@dataclass(frozen=True, slots=True)
class Use:
    """How much of something with a price is used in a month, and by what."""

    price: str
    quantity: float
    by: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the bill: dollars without and with what is free for ever."""

    what: str
    quantity: float
    unit: str
    dollars: float
    dollars_free: float


def lambda_seconds(need: Counts, memory: int) -> float:
    """Return the seconds that Lambda bills for the invocations in `need`, rounded up to milliseconds.

    A share of a core needs longer for the same work, and waits as long.

    >>> lambda_seconds({"invocations": 2, "cpu_seconds": 1.0, "wait_seconds": 0.0001}, FULL_CORE_MB)
    1.002
    """
    invocations = need.get("invocations", 0.0)
    if not invocations:
        return 0.0
    seconds = need.get("wait_seconds", 0.0) + need.get("cpu_seconds", 0.0) / min(1.0, memory / FULL_CORE_MB)
    return invocations * ceil(round(1000 * seconds / invocations, 6)) / 1000


def rows_of(uses: Iterable[Use]) -> list[Row]:
    """Return a row for each use; what is free is shared out among the rows of one price by their quantity."""
    listed = list(uses)
    totals: dict[str, float] = {}
    for use in listed:
        totals[use.price] = totals.get(use.price, 0.0) + use.quantity
    rows = []
    for use in listed:
        price, total = PRICES[use.price], totals[use.price]
        paid = max(0.0, total - price.free) / total if total else 0.0
        name = f"{use.price}: {use.by}" if use.by else use.price
        dollars = use.quantity * price.dollars
        rows.append(Row(name, use.quantity, price.unit, dollars, dollars * paid))
    return rows


def short_name(function: str) -> str:
    """Return a function's name without what all have.

    >>> short_name("CrawlerFunction")
    'crawler'
    """
    return function.removesuffix("Function").lower()


def check_types(facts: Facts) -> None:
    """Raise `UserError` for a type of resource of which the tables do not say what it costs."""
    if unknown := sorted(facts.types - PRICED_TYPES.keys() - FREE_TYPES.keys()):
        raise UserError(
            f"local/cost/prices.py does not say what {', '.join(unknown)} costs: add a price to PRICES and"
            " PRICED_TYPES, or the reason why it costs nothing to FREE_TYPES"
        )


def month(facts: Facts, measured: Measured, items: float, months: float) -> list[Use]:
    """Return what a month uses at `items` new items a day, after the stack has run for `months` months.

    Raises `UserError` for a resource without a price.
    """
    check_types(facts)
    runs = facts.runs_a_day[CRAWLER]
    nights = facts.runs_a_day[TRAINER]
    run, night = measured.morning(items / runs), measured.night(items / nights)
    posts = min(run["sent"]["posts"], facts.most_posts + 1)
    presses = runs * max(0.0, posts - 1)  # one is the summary
    crawler = dict(run[CRAWLER])
    crawler["wait_seconds"] += run["sent"]["pages"] * CRAWL_DELAY
    limit = facts.functions[CRAWLER].timeout * (1 - SPARED)
    turns = max(1, ceil(lambda_seconds(crawler, facts.functions[CRAWLER].memory) / limit))
    crawler["invocations"] = turns
    classifier = run[CLASSIFIER]
    notifier = dict(run[NOTIFIER])
    # the notifier waits for the classifier, which has another share of a core in Lambda than here
    waits = _seconds(measured, CLASSIFIER, classifier, facts.functions[CLASSIFIER], 1)
    notifier["wait_seconds"] += waits - classifier["cpu_seconds"] - classifier["wait_seconds"]
    day: dict[str, list[tuple[Counts, float, float]]] = {
        CRAWLER: [(crawler, turns, runs)],
        NOTIFIER: [(notifier, 1, runs)],
        CLASSIFIER: [(classifier, 1, runs)],
        TRAINER: [(night[TRAINER], 1, nights)],
        # each press starts a second invocation, which tells Slack
        FEEDBACK: [(measured.press[FEEDBACK], 2 / PRESSES_A_SITTING, presses)],
    }
    uses: list[Use] = []
    totals: Counts = {}
    metrics: Counts = {}  # the hours of a day in which each is sent
    for name, parts in day.items():
        function = facts.functions[name]
        seconds = sum(times * _seconds(measured, name, need, function, starts) for need, starts, times in parts)
        gigabytes = function.memory / 1024
        uses.append(Use(f"Lambda, {function.architecture}", DAYS * seconds * gigabytes, short_name(name)))
        for need, _, times in parts:
            for what, number in need.items():
                totals[what] = totals.get(what, 0.0) + DAYS * times * number
                if what.startswith("metric:"):
                    metrics[f"{name}:{what}"] = min(24.0, times * min(1.0, number))
    uses += _of_calls(totals, metrics)
    uses.append(Use("HTTP API requests", DAYS * (runs * classifier["invocations"] + presses)))
    uses += _stored(facts, measured, [(run, DAYS * runs), (night, DAYS * nights)], months)
    uses += [
        Use("Alarms", facts.alarm_metrics),
        Use("Dashboards", facts.dashboards),
        Use("Logs, stored", totals.get("logs:bytes", 0.0) / GB * facts.retention_days / DAYS),
        Use("Scheduler", DAYS * sum(facts.runs_a_day.values())),
        Use("SNS messages", 0),
        Use(
            "Data sent to the internet",
            DAYS
            * (
                runs * (run["sent"]["slack_bytes"] + PUSHED_BYTES * run["sent"]["pages"])
                + presses * measured.press["sent"]["slack_bytes"]
            )
            / GB,
        ),
    ]
    return sorted(uses, key=lambda use: list(PRICES).index(use.price))


def _seconds(measured: Measured, name: str, need: Counts, function: FunctionFacts, starts: float) -> float:
    """Return the billed seconds of `need` with `starts` starts of a process, which Lambda bills too."""
    start = lambda_seconds({**measured.starts.get(name, {}), "invocations": 1}, function.memory)
    return lambda_seconds(need, function.memory) + starts * start


def _of_calls(totals: Counts, metrics: Counts) -> list[Use]:
    return [
        Use("Lambda requests", totals["invocations"]),
        Use("DynamoDB writes", totals.get("dynamodb:write", 0.0)),
        Use("DynamoDB reads", totals.get("dynamodb:read", 0.0)),
        Use("S3 writes and lists", totals.get("s3:put", 0.0)),
        Use("S3 reads", totals.get("s3:get", 0.0)),
        Use("Logs, taken in", totals.get("logs:bytes", 0.0) / GB),
        Use("SQS requests", totals.get("sqs:calls", 0.0)),
        Use("KMS requests", totals.get("kms:decrypt", 0.0)),
        Use("Custom metrics", sum(metrics.values()) / 24),
    ]


def _stored(facts: Facts, measured: Measured, times: Iterable[tuple[Need, float]], months: float) -> list[Use]:
    """Return what is stored after `months` months; `times` says how often a month each need comes."""
    a_month: Counts = {}
    for need, often in times:
        for what, number in need["stored"].items():
            a_month[what] = a_month.get(what, 0.0) + often * number
    tables = a_month["tables"] * months / GB
    kept, replaced = a_month["bucket"] * months, a_month["replaced"] * facts.version_days / DAYS
    image = BASE_IMAGE_BYTES + sum(measured.image_bytes.values())
    images = sum(function.is_image for function in facts.functions.values())  # sam makes a repository for each
    return [
        Use("DynamoDB storage", tables),
        Use("DynamoDB point-in-time recovery", tables if facts.has_recovery else 0.0),
        Use("S3 storage", (kept + replaced) / GB),
        Use("ECR storage", images * image / GB),
    ]
