"""docs/operations.md is true: its alarms, commands, and what survives `sam delete`."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse
from slack_sdk import WebClient

from local.cloud.access import REGION
from local.cloud.template import load_template
from local.machine import PARAMETERS
from ops.__main__ import command_line
from ops.commands import COMMANDS
from osusume.observability import UNITS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")


def resources() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load_template(ROOT / "template.yaml", PARAMETERS, REGION).document["Resources"]
    return found


def test_every_alarm_is_explained() -> None:
    alarms = {name for name, resource in resources().items() if resource["Type"] == "AWS::CloudWatch::Alarm"}
    section = PAGE.partition("## What an alarm means")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == alarms


def test_every_command_on_the_page_exists_and_every_command_is_on_the_page() -> None:
    parser = command_line()
    lines = re.findall(r"python -m ops ([^`\n]+)", PAGE)
    used = {parsed[0] for line in lines if (parsed := shlex.split(line, comments=True)) and parser.parse_args(parsed)}
    assert used == {name.replace("_", "-") for name in COMMANDS}


def test_every_command_of_the_readme_exists() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    parser = command_line()
    lines = [shlex.split(line, comments=True) for line in re.findall(r"python -m ops ([^`\n]+)", readme)]
    assert len(lines) > 8
    assert all(parser.parse_args(line) for line in lines)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", readme, re.MULTILINE))
    assert {"demo", "test", "deploy", "doctor"} <= named <= targets


def operations_of(*target: str) -> list[str]:
    """Return the operations that a target of the Makefile runs, each checked by its own parser."""
    command = ["make", "--dry-run", "--old-file=.venv/local", "--old-file=.venv-sam/sam", *target]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  # a dry run
    lines = [line.partition("python -m ops ")[2] for line in ran.stdout.replace("\\\n", "").splitlines()]
    parser = command_line()
    parsed = [parser.parse_args(shlex.split(line)) for line in lines if line]
    assert {options.stack for options in parsed} == {"osusume-dev"}
    return [shlex.split(line)[0] for line in lines if line]


def test_the_commands_of_the_readmes_five_steps_run_operations_that_are_tested() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("## Deploy it")[2].partition("\n## ")[0]
    assert re.findall(r"^(\d)\. ", section, re.MULTILINE) == list("12345")
    stack = "STACK=osusume-dev"
    assert operations_of("doctor", stack) == ["doctor"]
    assert operations_of("secrets", stack) == ["secrets"]
    assert operations_of("deploy", stack, "ASK=1", "ARCHITECTURE=arm64") == ["prepare", "doctor", "protect", "smoke"]
    assert operations_of("smoke", stack) == ["smoke"]
    assert operations_of("destroy", stack) == ["destroy"]
    assert operations_of("destroy-data", stack) == ["destroy-data"]
    assert set(re.findall(r"`make ([a-z-]+)", section)) == {"doctor", "secrets", "deploy", "destroy"}
    assert not re.search(r"xoxb-|put-parameter", section), "no secret passes through the shell's history"


SCOPES = {
    "chat_postMessage": {"chat:write"},
    "chat_update": {"chat:write"},
    "chat_delete": {"chat:write"},
    "conversations_history": {"channels:history", "groups:history"},
    "conversations_info": {"channels:read", "groups:read"},
    "auth_test": set(),
}
"""What Slack documents that each method needs, in a public and in a private channel."""


def test_the_slack_app_of_the_manifest_may_do_what_the_code_does_and_no_more() -> None:
    manifest = yaml_parse((ROOT / "slack-manifest.yaml").read_text("utf-8"))
    code = "".join(path.read_text("utf-8") for room in ("functions", "ops") for path in (ROOT / room).rglob("*.py"))
    methods = set(re.findall(r"\b((?:chat|conversations|auth|files|users|views|reactions)_[a-z]+[A-Za-z]*)\(?", code))
    used = methods & {name.replace(".", "_") for name in dir(WebClient)}
    assert used == SCOPES.keys()
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == set().union(*SCOPES.values())
    assert manifest["settings"]["interactivity"]["is_enabled"] is True
    assert manifest["settings"]["interactivity"]["request_url"].endswith("/slack/interactions")


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


def test_every_metric_is_explained() -> None:
    section = PAGE.partition("## What the dashboard shows")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == UNITS.keys()


def test_a_metric_names_its_stack() -> None:
    emit = "from osusume.observability import measure\nfor _ in range(2): measure(ItemsNew=1)"
    environment = {**os.environ, "POWERTOOLS_SERVICE_NAME": "notifier", "STACK": "osusume-dev"}
    ran = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", emit], env=environment, capture_output=True, text=True, check=True
    )
    emitted = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(each["service"], each["stack"]) for each in emitted] == [("notifier", "osusume-dev")] * 2
