"""The bill of a month: what the template has, what was measured, the prices, the arithmetic."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from local.__main__ import main
from local.cloud.access import REGION
from local.cloud.template import Template, load_template
from local.cost.bill import (
    CRAWL_DELAY,
    CRAWLER,
    DAYS,
    FULL_CORE_MB,
    GB,
    Row,
    Use,
    lambda_seconds,
    month,
    rows_of,
)
from local.cost.facts import Facts, facts_of, firings_a_day
from local.cost.needs import Measured, line, read
from local.cost.prices import FREE_TYPES, PRICED_TYPES, PRICES
from local.machine import PARAMETERS, ROOT
from osusume.errors import UserError

FUNCTIONS = ("Crawler", "Notifier", "Classifier", "Feedback", "Trainer")


def template(**parameters: str) -> Template:
    return load_template(ROOT / "template.yaml", {**PARAMETERS, **parameters}, REGION)


def need(cpu: float = 1.0, wait: float = 1.0, **calls: float) -> dict[str, float]:
    return {"invocations": 1, "cpu_seconds": cpu, "wait_seconds": wait, **calls}


@pytest.fixture(name="measured")
def _measured() -> Measured:
    """Hand-made: each function takes a second of the processor and waits one, whatever the size of the morning."""
    morning: dict[str, dict[str, float]] = {f"{name}Function": need() for name in FUNCTIONS[:3]}
    morning["CrawlerFunction"] |= {"s3:put": 5, "metric:SnapshotsWritten": 1, "logs:bytes": GB / 30}
    morning |= {
        "stored": {"tables": 2.0, "bucket": 3.0, "replaced": 4.0},
        "sent": {"posts": 3.0, "pages": 10.0, "slack_bytes": 1.0},
    }
    larger = deepcopy(morning)
    larger["sent"]["pages"] = 110.0
    return Measured(
        made={
            "date": "2026-11-28",
            "command": "by hand",
            "machine": "none",
            "python": "3",
            "load": 0,
            "model": "none",
            "labels": 0,
        },
        sizes=[0, 100],
        mornings=[morning, larger],
        press={"FeedbackFunction": need(0.5, 0.0), "sent": {"slack_bytes": 0.0}},
        nights=2 * [{"TrainerFunction": need(), "stored": {"tables": 0.0, "bucket": 0.0, "replaced": 0.0}}],
        starts={f"{name}Function": {"cpu_seconds": 0.5, "wait_seconds": 0.0} for name in FUNCTIONS},
        peak_megabytes={f"{name}Function": 100.0 for name in FUNCTIONS},
        image_bytes={"packages": 1.0},
    )


@pytest.fixture(name="facts")
def _facts() -> Facts:
    """What the template has, each function with a whole core."""
    facts = facts_of(template())
    return replace(
        facts, functions={name: replace(each, memory=FULL_CORE_MB) for name, each in facts.functions.items()}
    )


def quantity(uses: list[Use], price: str, by: str = "") -> float:
    return sum(use.quantity for use in uses if use.price == price and use.by == by)


def test_every_type_of_resource_has_a_price_or_a_reason_why_it_costs_nothing(measured: Measured) -> None:
    assert not PRICED_TYPES.keys() & FREE_TYPES.keys()
    assert {name for names in PRICED_TYPES.values() for name in names} == PRICES.keys()
    assert all(FREE_TYPES.values())
    with_email = facts_of(template(AlarmEmail="owner@example.com"))
    assert "AWS::SNS::Subscription" in with_email.types
    month(with_email, measured, 30, 12)


def test_a_new_type_of_resource_is_an_error_that_says_where_its_price_belongs(facts: Facts, measured: Measured) -> None:
    unknown = replace(facts, types=facts.types | {"AWS::Kinesis::Stream"})
    with pytest.raises(UserError, match=r"local/cost/prices.py does not say what AWS::Kinesis::Stream costs"):
        month(unknown, measured, 30, 12)


def test_every_price_has_a_source_and_says_where_it_is_free() -> None:
    assert all(price.source and price.free_source and price.dollars > 0 for price in PRICES.values())


def test_what_the_template_has_is_read_with_its_parameters_and_conditions() -> None:
    document: dict[str, Any] = template().document
    facts = facts_of(template(Architecture="arm64", Schedule="cron(0 0,16 * * ? *)", LogRetentionDays="7"))
    declared = document["Resources"]["ClassifierFunction"]["Properties"]["MemorySize"]
    assert facts.functions["ClassifierFunction"].memory == declared
    assert {function.architecture for function in facts.functions.values()} == {"arm64"}
    assert facts.runs_a_day == {"CrawlerFunction": 2.0, "TrainerFunction": 1.0}
    assert (facts.retention_days, facts.version_days, facts.dashboards) == (7.0, 30.0, 1)
    assert facts_of(template(ShowDashboard="no")).dashboards == 0
    alarms = [each for each in document["Resources"].values() if each["Type"] == "AWS::CloudWatch::Alarm"]
    assert facts.alarm_metrics >= len(alarms) > 0


@pytest.mark.parametrize(
    ("expression", "times"),
    [("cron(0 7 * * ? *)", 1), ("cron(0,30 0-3 * * ? *)", 8), ("cron(0/15 */6 * * ? *)", 16), ("rate(1 day)", 1)],
)
def test_a_schedule_is_counted(expression: str, times: float) -> None:
    assert firings_a_day(expression) == times


def test_a_schedule_that_does_not_fire_each_day_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be counted"):
        firings_a_day("cron(0 7 ? * MON *)")


def test_milliseconds_are_rounded_up_for_each_invocation() -> None:
    assert lambda_seconds({"invocations": 3, "cpu_seconds": 0.0, "wait_seconds": 0.0003}, FULL_CORE_MB) == 0.003
    assert lambda_seconds({"invocations": 1, "cpu_seconds": 0.0, "wait_seconds": 1.0}, FULL_CORE_MB) == 1.0
    assert lambda_seconds({}, FULL_CORE_MB) == 0.0


def test_less_memory_makes_work_longer_and_waiting_not() -> None:
    half = lambda_seconds(need(cpu=1.0, wait=4.0), FULL_CORE_MB // 2)
    assert half == pytest.approx(6.0, abs=0.01)
    assert lambda_seconds(need(cpu=1.0, wait=4.0), 4 * FULL_CORE_MB) == 5.0


def test_what_is_free_is_subtracted_once_and_shared_out() -> None:
    free = PRICES["Alarms"].free
    first, second = rows_of([Use("Alarms", 3 * free, "ours"), Use("Alarms", free, "theirs")])
    assert first.dollars == pytest.approx(3 * free * PRICES["Alarms"].dollars)
    assert first.dollars_free + second.dollars_free == pytest.approx(3 * free * PRICES["Alarms"].dollars)
    assert first.dollars_free == pytest.approx(3 * second.dollars_free)
    assert rows_of([Use("Alarms", free)])[0].dollars_free == 0.0
    assert rows_of([Use("Alarms", 0.0)]) == [Row("Alarms", 0.0, PRICES["Alarms"].unit, 0.0, 0.0)]


def test_a_morning_lies_on_the_line_between_those_that_were_measured_and_beyond(measured: Measured) -> None:
    assert [measured.morning(items)["sent"]["pages"] for items in (0, 50, 100, 3000)] == [10, 60, 110, 3010]
    assert measured.morning(100)["stored"]["replaced"] == 4.0
    assert measured.morning(300)["stored"]["replaced"] == 36.0, "the progress of a crawl is stored after each page"
    assert line({"A": {"x": 1.0}}, {"A": {"x": 0.0}}, 5.0) == {"A": {"x": 0.0}}


def test_the_crawler_waits_for_each_page_and_starts_anew_each_turn(facts: Facts, measured: Measured) -> None:
    uses = month(facts, measured, 0, 12)
    gigabytes = FULL_CORE_MB / 1024
    seconds = 1 + 1 + 10 * CRAWL_DELAY + 0.5
    assert quantity(uses, "Lambda, x86_64", "crawler") == pytest.approx(DAYS * seconds * gigabytes)
    facts.functions[CRAWLER] = replace(facts.functions[CRAWLER], timeout=30)
    turns = 4  # 102 s in turns of 28.5
    seconds = 102 + turns * 0.5
    uses = month(facts, measured, 0, 12)
    assert quantity(uses, "Lambda, x86_64", "crawler") == pytest.approx(DAYS * seconds * gigabytes, rel=1e-3)


def test_a_month_counts_days_hours_presses_and_what_is_stored(facts: Facts, measured: Measured) -> None:
    uses = month(facts, measured, 0, 6)
    assert quantity(uses, "S3 writes and lists") == 5 * DAYS
    assert quantity(uses, "Custom metrics") == pytest.approx(1 / 24)
    assert quantity(uses, "Logs, taken in") == pytest.approx(1.0)
    assert quantity(uses, "Logs, stored") == pytest.approx(facts.retention_days / DAYS)
    assert quantity(uses, "HTTP API requests") == DAYS * (1 + 2)  # a batch of works, and a press of each post
    assert quantity(uses, "DynamoDB storage") == pytest.approx(6 * DAYS * 2 / GB)
    assert quantity(uses, "S3 storage") == pytest.approx((6 * DAYS * 3 + DAYS * 4) / GB)
    twice = month(replace(facts, runs_a_day={**facts.runs_a_day, CRAWLER: 2.0}), measured, 0, 6)
    assert quantity(twice, "S3 writes and lists") == 2 * quantity(uses, "S3 writes and lists")


def test_the_stored_measurement_is_of_every_function_and_met_no_failure() -> None:
    measured = read()
    facts = facts_of(template())
    assert measured.peak_megabytes.keys() == facts.functions.keys() == measured.starts.keys()
    assert measured.made["failed"] == []


def test_every_function_has_memory_to_spare() -> None:
    facts, measured = facts_of(template()), read()
    for name, function in facts.functions.items():
        assert measured.peak_megabytes[name] < 0.8 * function.memory, name


def test_the_command_prints_bills_as_tables_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--json", "--items", "30", "--yen", "100"]) == 0
    printed = json.loads(capsys.readouterr().out)
    (bill,) = printed["bills"]
    assert bill["yen"] == pytest.approx(100 * sum(row["dollars"] for row in bill["rows"]))
    assert bill["yen_free"] < bill["yen"]
    assert main(["cost", "--set", "ShowDashboard=no"]) == 0
    table = capsys.readouterr().out
    assert "together, yen" in table
    assert "The aims, at 30 new items a day" in table
    assert "without a dashboard, yen" not in table
    assert main(["cost", "--items", "30"]) == 0
    assert "APN1-Lambda-GB-Second" in capsys.readouterr().out


def test_a_parameter_that_the_template_does_not_have_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--set", "Memory=1"]) == 1
    assert "the template has no parameter Memory" in capsys.readouterr().err
