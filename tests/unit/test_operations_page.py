"""docs/operations.md is true: its alarms, commands, and what survives `sam delete`."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

from local.cloud.access import REGION
from local.cloud.template import load_template
from local.machine import PARAMETERS
from ops.commands import COMMANDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")


def resources() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = load_template(ROOT / "template.yaml", PARAMETERS, REGION).document[
        "Resources"
    ]
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


def test_the_kept_resources_are_the_imported_ones_and_need_no_other() -> None:
    kept = {name: resource for name, resource in resources().items() if resource.get("DeletionPolicy") == "Retain"}
    adopted = re.search(r"\.Resources \| \{([^}]+)\}", PAGE)
    assert adopted
    assert set(kept) == set(adopted[1].split(", "))
    bucket = json.loads(json.dumps(kept["Bucket"]))
    del bucket["DependsOn"], bucket["Properties"]["NotificationConfiguration"]
    text = json.dumps({**kept, "Bucket": bucket})
    assert not {"Ref", "Fn::GetAtt"} & set(re.findall(r'"(Ref|Fn::GetAtt)"', text))
    assert set(re.findall(r"\$\{([^}]+)\}", text)) == {"AWS::StackName", "AWS::AccountId", "AWS::Region"}
