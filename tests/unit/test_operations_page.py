"""docs/operations.md is true: its alarms, commands, and what survives `sam delete`."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from local.cloud.access import REGION
from local.cloud.template import load_template
from local.machine import PARAMETERS
from ops.commands import COMMANDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")


def resources() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load_template(ROOT / "template.yaml", PARAMETERS, REGION).document["Resources"]
    return found


def test_every_alarm_is_explained() -> None:
    alarms = {name for name, resource in resources().items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == alarms


def test_every_command_on_the_page_exists_and_every_command_is_on_the_page() -> None:
    parser = ArgumentParser()
    commands = parser.add_subparsers(required=True)
    for name in COMMANDS:
        importlib.import_module(f"ops.commands.{name}").add(commands)
    lines = re.findall(r"python -m ops ([^`\n]+)", PAGE)
    used = {parsed[0] for line in lines if (parsed := shlex.split(line, comments=True)) and parser.parse_args(parsed)}
    assert used == {name.replace("_", "-") for name in COMMANDS}


def test_the_kept_resources_need_no_other_to_be_adopted() -> None:
    kept = {
        name: resource
        for name, resource in resources().items()
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate"
    }
    assert set(kept) == {"Bucket", "LabelsTable", "ItemsTable"}
    del kept["Bucket"]["DependsOn"], kept["Bucket"]["Properties"]["NotificationConfiguration"]  # which SAM adds
    text = json.dumps(kept)
    assert not {"Ref", "Fn::GetAtt"} & set(re.findall(r'"(Ref|Fn::GetAtt)"', text))
    assert set(re.findall(r"\$\{([^}]+)\}", text)) == {"AWS::StackName", "AWS::AccountId", "AWS::Region"}


def test_nothing_of_a_first_deployment_that_failed_blocks_the_next_one() -> None:
    assert "Retain" not in {resource.get("DeletionPolicy") for resource in resources().values()}
    tables = [each["Properties"] for each in resources().values() if each["Type"] == "AWS::DynamoDB::Table"]
    assert not any("DeletionProtectionEnabled" in str(table) for table in tables)  # it would block the deletion


def test_every_name_and_every_metric_of_ours_names_the_stack_so_that_two_can_stand_side_by_side() -> None:
    names = ("Name", "FunctionName", "TableName", "BucketName", "QueueName", "TopicName", "LogGroupName")
    for resource in resources().values():
        properties = json.loads(json.dumps(resource.get("Properties", {})))
        for name in names:
            value = json.dumps(properties.get(name, {"Ref": "x"}))
            assert "AWS::StackName" in value or '"Ref"' in value, (name, value)
        metric = next((each["MetricStat"]["Metric"] for each in properties.get("Metrics", [])[:1]), properties)
        if metric.get("Namespace") == "Osusume":
            assert {"Name": "stack", "Value": {"Ref": "AWS::StackName"}} in metric["Dimensions"]


def test_a_metric_names_its_stack() -> None:
    emit = (
        "from osusume.observability import metrics\n"
        "for _ in range(2):\n metrics.add_metric('A', 'Count', 1)\n metrics.flush_metrics()"
    )
    environment = {**os.environ, "POWERTOOLS_SERVICE_NAME": "notifier", "STACK": "osusume-dev"}
    ran = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", emit], env=environment, capture_output=True, text=True, check=True
    )
    emitted = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(each["service"], each["stack"]) for each in emitted] == [("notifier", "osusume-dev")] * 2
