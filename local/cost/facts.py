"""What the template has that costs something, read from the transformed template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.cloud.template import Template
from osusume.errors import UserError

DEFAULT_MEMORY, DEFAULT_TIMEOUT = 128, 3
"""CloudFormation's defaults."""


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """A function's memory in MB, its processor, its time limit in seconds, and whether it is an image."""

    memory: int
    architecture: str
    timeout: float
    is_image: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What a stack has.

    `runs_a_day` says by function how often a schedule starts it, `alarm_metrics` counts the metrics of all alarms,
    `retention_days` is how long logs are kept, `version_days` how long replaced objects are. `most_posts` is how many
    works a run may post.
    """

    types: frozenset[str]
    functions: dict[str, FunctionFacts]
    runs_a_day: dict[str, float]
    alarm_metrics: int
    dashboards: int
    retention_days: float
    version_days: float
    has_recovery: bool
    most_posts: int


def facts_of(template: Template) -> Facts:
    """Return what the template has with its parameters. Raises `UserError` for a schedule that it cannot count."""
    resources = dict(_resources(template))
    of_type: dict[str, list[dict[str, Any]]] = {}
    for resource in resources.values():
        of_type.setdefault(resource["Type"], []).append(resource.get("Properties", {}))
    runs: dict[str, float] = {}
    for schedule in of_type.get("AWS::Scheduler::Schedule", []):
        if _value(schedule.get("State", "ENABLED"), template) == "DISABLED":
            continue
        target = schedule["Target"]["Arn"]["Fn::GetAtt"][0]
        runs[target] = runs.get(target, 0.0) + firings_a_day(_value(schedule["ScheduleExpression"], template))
    return Facts(
        types=frozenset(of_type),
        functions={
            name: _function(resource["Properties"], template)
            for name, resource in resources.items()
            if resource["Type"] == "AWS::Lambda::Function"
        },
        runs_a_day=runs,
        alarm_metrics=sum(map(alarm_metrics, of_type.get("AWS::CloudWatch::Alarm", []))),
        dashboards=len(of_type.get("AWS::CloudWatch::Dashboard", [])),
        retention_days=max(
            float(_value(group["RetentionInDays"], template)) for group in of_type["AWS::Logs::LogGroup"]
        ),
        version_days=max(map(_version_days, of_type["AWS::S3::Bucket"])),
        has_recovery=any(
            table.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled")
            for table in of_type["AWS::DynamoDB::Table"]
        ),
        most_posts=int(template.parameters["MaxPosts"]) + int(template.parameters["ExploredItemsADay"]),
    )


def _resources(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the resources whose condition holds."""
    conditions = template.document.get("Conditions", {})
    for name, resource in template.document["Resources"].items():
        if "Condition" not in resource or holds(conditions[resource["Condition"]], template):
            yield name, resource


def holds(condition: Mapping[str, Any], template: Template) -> bool:
    """Return whether a condition of the template holds. Raises `UserError` for a function that it does not know."""
    ((kind, arguments),) = condition.items()
    if kind == "Condition":
        return holds(template.document["Conditions"][arguments], template)
    if kind == "Fn::Equals":
        return _value(arguments[0], template) == _value(arguments[1], template)
    if kind == "Fn::Not":
        return not holds(arguments[0], template)
    if kind in {"Fn::And", "Fn::Or"}:
        return (all if kind == "Fn::And" else any)(holds(each, template) for each in arguments)
    raise UserError(f"the cost of a condition with {kind} cannot be computed")


def _value(value: Any, template: Template) -> str:  # a value of a template
    if not isinstance(value, Mapping):
        return str(value)
    if "Fn::If" in value:
        condition, met, unmet = value["Fn::If"]
        return _value(met if holds({"Condition": condition}, template) else unmet, template)
    return template.parameters[value["Ref"]]


def _function(properties: Mapping[str, Any], template: Template) -> FunctionFacts:
    return FunctionFacts(
        int(properties.get("MemorySize", DEFAULT_MEMORY)),
        _value(properties.get("Architectures", ["x86_64"])[0], template),
        float(properties.get("Timeout", DEFAULT_TIMEOUT)),
        properties.get("PackageType") == "Image",
    )


def alarm_metrics(alarm: Mapping[str, Any]) -> int:
    """Return for how many metrics an alarm is billed: each that it reads.

    >>> alarm_metrics({"MetricName": "Errors"}), alarm_metrics({"Metrics": [{"MetricStat": {}}, {"Expression": "a"}]})
    (1, 1)
    """
    return sum("MetricStat" in metric for metric in alarm.get("Metrics", [{"MetricStat": {}}]))


def _version_days(bucket: Mapping[str, Any]) -> float:
    if bucket.get("VersioningConfiguration", {}).get("Status") != "Enabled":
        return 0.0
    rules = bucket.get("LifecycleConfiguration", {}).get("Rules", [])
    days = [
        rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules if "NoncurrentVersionExpiration" in rule
    ]
    return float(min(days, default=365))


def firings_a_day(expression: str) -> float:
    """Return how often a day a schedule fires. Raises `UserError` for a form that the template does not use.

    >>> firings_a_day("cron(0 0,16 * * ? *)"), firings_a_day("rate(12 hours)")
    (2.0, 2.0)
    """
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        return {"minute": 1440.0, "hour": 24.0, "day": 1.0}[rate[2]] / int(rate[1])
    fields = re.fullmatch(r"cron\((\S+) (\S+) \* \* (\S+) \*\)", expression)
    if fields is None or fields[3] not in {"?", "*"}:
        raise UserError(f"how often {expression} fires cannot be counted: use one that fires each day")
    return float(len(_times(fields[1], 60)) * len(_times(fields[2], 24)))


def _times(field: str, size: int) -> set[int]:
    """Return the minutes or hours that a field of a cron expression names."""
    times: set[int] = set()
    for part in field.split(","):
        values, _, step = part.partition("/")
        first, _, last = values.partition("-")
        if values == "*":
            first, last = "0", str(size - 1)
        elif step and not last:
            last = str(size - 1)
        times |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return times
