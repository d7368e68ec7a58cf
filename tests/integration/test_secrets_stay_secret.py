"""Nothing that a run writes contains a secret, whether all goes well or everything fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from injector import rules_of, slack_rule
from scenario import warm_up

from local.machine import BOT_TOKEN, SIGNING_SECRET, Machine, one_machine
from osusume.messages import INTERESTED

MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)
TOKEN_PARAMETER = "/osusume/slack-bot-token"
SECRET_PARAMETER = "/osusume/slack-signing-secret"
ROTATED_TOKEN = "xoxb-of-yesterday-4711"
ROTATED_SECRET = "signing-secret-of-yesterday-4711"
FUNCTIONS = ("CrawlerFunction", "NotifierFunction", "ClassifierFunction", "FeedbackFunction")


def test_no_secret_is_in_anything_that_a_run_writes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with one_machine(
        crawl_delay=0.0,
        parameters={"ItemLimit": "8"},
        overrides={"NotifierFunction": {"CLAIM_SECONDS": "3"}},  # how long it waits after an unclear response
        retry_delays=(0.0, 0.0),
        state_dir=tmp_path,
        preload={},  # a forked process does not show its variables to the system
    ) as machine:
        _a_morning(machine, 0)
        _presses(machine)
        for fault in (
            slack_rule("chat.postMessage", times=9, error="channel_not_found"),
            slack_rule("chat.postMessage", times=9, error="invalid_blocks"),
            slack_rule("chat.postMessage", drop=True),
        ):
            rules_of(machine.slack)[:] = [fault]
            _notify_again(machine)
        rules_of(machine.slack).clear()
        for token in (ROTATED_TOKEN, " ", None):
            _store(machine, TOKEN_PARAMETER, token)
            _a_morning(machine, 1)
        for secret in (ROTATED_SECRET, None):
            _store(machine, SECRET_PARAMETER, secret)
            _presses(machine)
        secrets = {BOT_TOKEN, SIGNING_SECRET, ROTATED_TOKEN, ROTATED_SECRET, *_credentials(machine)}
        written = dict(_written(machine))
    written |= {path.name: path.read_text() for path in tmp_path.rglob("*.log")}
    captured = capfd.readouterr()
    written |= {"stdout": captured.out, "stderr": captured.err}

    everything = "\n".join(written.values())
    for error in ("channel_not_found", "invalid_auth", "SecretMissing", "is empty", "Undelivered", "request refused"):
        assert error in everything, f"the run did not fail as it should: no {error}"
    for place, text in written.items():
        for secret in secrets:
            assert secret not in text, f"{place} holds a secret"


def _a_morning(machine: Machine, day: int) -> None:
    machine.begin_day(1 + day, MORNING + timedelta(days=day))
    machine.cloud.wait_until_idle(60)
    _notify_again(machine)


def _notify_again(machine: Machine) -> None:
    """Copy a snapshot to a new key, which starts a new run of the notifier with its own summary."""
    bucket, s3, keys = machine.cloud.resources["Bucket"], machine.cloud.client("s3"), machine.snapshot_keys
    again = f"snapshots/dlsite/2026/05/01/{len(keys):06}Z.json"
    s3.copy_object(Bucket=bucket, Key=again, CopySource={"Bucket": bucket, "Key": keys[0]})
    machine.cloud.wait_until_idle(60)


def _presses(machine: Machine) -> None:
    """Press a button, and call both routes without permission."""
    warm_up(machine)
    machine.press(next(message.ts for message in machine.slack.messages if message.item_id), INTERESTED)
    forged = {"X-Slack-Signature": "v0=forged", "X-Slack-Request-Timestamp": "0"}
    requests.post(f"{machine.cloud.api_url}/slack/interactions", data="payload={}", headers=forged, timeout=10)
    requests.post(f"{machine.cloud.api_url}/predict", json={"items": []}, timeout=10)


def _store(machine: Machine, name: str, value: str | None) -> None:
    """Replace or delete a secret."""
    ssm = machine.cloud.client("ssm")
    if value is None:
        ssm.delete_parameter(Name=name)
    else:
        ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def _credentials(machine: Machine) -> Iterator[str]:
    """Yield the keys in the environments of the functions' processes."""
    for function in FUNCTIONS:
        for pid in machine.cloud.pids(function):
            variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
            for variable in variables:
                name, _, value = variable.partition("=")
                if name in {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}:
                    yield value


def _written(machine: Machine) -> Iterator[tuple[str, str]]:
    """Yield the name and text of everything that the cloud and Slack store."""
    cloud = machine.cloud
    s3, bucket = cloud.client("s3"), cloud.resources["Bucket"]
    for version in s3.list_object_versions(Bucket=bucket)["Versions"]:
        stored = s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        yield f"s3 {version['Key']} {version['VersionId']}", stored["Body"].read().decode()
    for table in ("ItemsTable", "LabelsTable"):
        yield table, str(cloud.client("dynamodb").scan(TableName=cloud.resources[table])["Items"])
    queue = cloud.client("sqs").receive_message(QueueUrl=cloud.resources["DeadLetters"], MaxNumberOfMessages=10)
    yield "dead letters", str(queue["Messages"])
    logs = cloud.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        events: list[dict[str, Any]] = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        yield group["logGroupName"], "\n".join(event["message"] for event in events)
    yield "channel", json.dumps([asdict(m) for m in machine.slack.messages + machine.slack.ephemerals], default=str)
    # without the events, which are not written anywhere: the classifier's contains the token of the signed request
    yield "answers", "\n".join(f"{i.response} {i.error} {i.log}" for i in cloud.invocations)
    yield "delivery errors", str(cloud.delivery_errors)
