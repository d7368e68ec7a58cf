"""The sample events do what events/README.md says."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests

from local.machine import ROOT, SIGNING_SECRET, Machine, one_machine
from local.slack import signed_interaction


def event(name: str) -> Any:
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with one_machine(crawl_delay=0.0, parameters={"ItemLimit": "10"}) as machine:
        assert machine.cloud.invoke("CrawlerFunction", event("crawler"))["status"] == "written"
        machine.cloud.wait_until_idle(60)
        yield machine


def signed(press: Any) -> Any:
    body = base64.b64decode(press["body"]).decode()
    payload = json.loads(parse_qs(body)["payload"][0])
    payload["response_url"] = "http://127.0.0.1:9/"  # nobody is there: the label counts, not the message
    headers, signed_body = signed_interaction(payload, SIGNING_SECRET, int(time.time()))
    lowered = {name.lower(): value for name, value in headers.items()}
    content = signed_body if isinstance(signed_body, bytes) else signed_body.encode()
    return {**press, "headers": {**press["headers"], **lowered}, "body": base64.b64encode(content).decode()}


def test_the_crawlers_event_writes_the_snapshot_of_its_time(machine: Machine) -> None:
    assert machine.snapshot_keys == ["snapshots/dlsite/2026/04/01/220000Z.json"]


def test_the_notifiers_event_names_that_snapshot_and_posts_nothing_again(machine: Machine) -> None:
    posts = machine.slack.posts
    assert posts > 0
    machine.cloud.invoke("NotifierFunction", event("notifier"))
    assert machine.slack.posts == posts


def test_an_alarm_is_told_once_and_so_is_its_end(machine: Machine) -> None:
    rings = event("alarm")
    over = json.loads(json.dumps(rings).replace("T22:10", "T23:10"))
    said = json.loads(over["Records"][0]["Sns"]["Message"])
    over["Records"][0]["Sns"]["Message"] = json.dumps({**said, "NewStateValue": "OK", "OldStateValue": "ALARM"})
    posts = machine.slack.posts
    for notification in (rings, rings, over, over, rings):
        machine.cloud.invoke("NotifierFunction", notification)
    told = [message.text for message in machine.slack.messages if "処理できない出来事" in message.text]
    assert [text[0] for text in told] == ["🚨", "✅"]
    page = requests.get(machine.slack.page_address, timeout=10).text
    assert all(text in page for text in told)
    assert "次にすること: python -m ops dead-letters list" in page
    assert machine.slack.posts == posts + 2


def test_the_classifiers_event_is_answered_with_a_score_an_item(machine: Machine) -> None:
    answer = machine.cloud.invoke("ClassifierFunction", event("classifier"))
    assert answer["statusCode"] == 200
    assert len(json.loads(answer["body"])["predictions"]) == 2


def test_the_trainers_event_is_a_night_that_waits_for_more_labels(machine: Machine) -> None:
    answer = machine.cloud.invoke("TrainerFunction", event("trainer"))
    decision = machine.ledger.last_decision()
    assert decision is not None
    assert (answer["action"], answer["sentence"]) == (decision.action, decision.sentence) == ("wait", decision.sentence)


def test_the_feedback_functions_event_is_refused_unsigned_and_stored_when_signed(machine: Machine) -> None:
    press = event("feedback")
    payload = json.loads(parse_qs(base64.b64decode(press["body"]).decode())["payload"][0])
    item_id = payload["actions"][0]["value"]
    assert machine.cloud.invoke("FeedbackFunction", press)["statusCode"] == 401
    assert machine.labels.get(item_id) is None
    assert machine.cloud.invoke("FeedbackFunction", signed(press))["statusCode"] == 200
    label = machine.labels.get(item_id)
    assert label is not None
    assert label.is_interested
