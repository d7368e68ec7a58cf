"""Events that the local cloud sends to functions: S3 notifications and schedules."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from local.cloud.cloud import Cloud
from local.cloud.dispatch import Invocation
from local.cloud.errors import AccessDenied, CloudError

TEMPLATE = Path(__file__).parents[1] / "fixtures" / "cloud" / "template.yaml"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud(TEMPLATE, {"Greeting": "hello"}, retry_delays=(0.01,)) as running:
        yield running


def put(cloud: Cloud, key: str, body: bytes = b'{"a": 1}') -> None:
    cloud.client("s3").put_object(Bucket=cloud.resources["Bucket"], Key=key, Body=body)


def finished(cloud: Cloud) -> list[Invocation]:
    cloud.wait_until_idle(20)
    return cloud.invocations


@pytest.mark.parametrize("key", ["in/plain.json", "in/雨 の+夜&朝=%.json", "in/sub folder/50%.json"])
def test_a_new_object_reaches_the_function_whatever_its_key(cloud: Cloud, key: str) -> None:
    put(cloud, key)
    (invocation,) = finished(cloud)
    assert invocation.response == {"key": key, "body": {"a": 1}}
    assert invocation.trigger == "s3"


def test_the_record_is_as_s3_writes_it(cloud: Cloud) -> None:
    put(cloud, "in/雨 の+夜.json")
    (invocation,) = finished(cloud)
    record = invocation.event["Records"][0]
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["object"]["key"] == "in/%E9%9B%A8+%E3%81%AE%2B%E5%A4%9C.json"
    assert record["s3"]["object"]["versionId"]
    assert int(record["s3"]["object"]["sequencer"], 16)


@pytest.mark.parametrize("key", ["out/a.json", "in/a.txt"])
def test_an_object_that_the_filter_excludes_invokes_nothing(cloud: Cloud, key: str) -> None:
    put(cloud, key)
    assert finished(cloud) == []


def test_later_objects_have_later_sequencers(cloud: Cloud) -> None:
    put(cloud, "in/a.json")
    put(cloud, "in/a.json")
    invocations = finished(cloud)
    sequencers = {invocation.event["Records"][0]["s3"]["object"]["sequencer"] for invocation in invocations}
    assert len(sequencers) == 2


def test_a_notification_can_be_delivered_again_and_concurrently(cloud: Cloud) -> None:
    put(cloud, "in/a.json")
    cloud.deliver_s3_event("in/a.json", times=2)
    invocations = finished(cloud)
    assert [invocation.event for invocation in invocations] == [invocations[0].event] * 3


def test_a_notification_of_a_missing_object_is_refused(cloud: Cloud) -> None:
    with pytest.raises(CloudError, match=r"holds no object in/a\.json"):
        cloud.deliver_s3_event("in/a.json")


def test_a_notification_without_permission_is_dropped_and_reported() -> None:
    def edit(template: dict[str, Any]) -> None:
        del template["Resources"]["WorkerFunctionUploadPermission"]
        template["Resources"]["Bucket"].pop("DependsOn")

    with Cloud(TEMPLATE, {"Greeting": "hello"}, edit=edit) as cloud:
        put(cloud, "in/a.json")
        assert finished(cloud) == []
        assert "does not let s3.amazonaws.com invoke it" in cloud.delivery_errors[0]


def test_a_schedule_fires_with_its_time_in_the_input(cloud: Cloud) -> None:
    seven = datetime(2026, 11, 22, 7, 0, tzinfo=timezone(timedelta(hours=9)))
    cloud.fire_schedule("WorkerFunctionDaily", scheduled_at=seven)
    (invocation,) = finished(cloud)
    assert invocation.event == {"do": "echo", "at": "2026-11-21T22:00:00Z"}
    assert invocation.trigger == "schedule"


def test_a_schedule_whose_role_may_not_invoke_writes_to_its_dead_letter_queue() -> None:
    def edit(template: dict[str, Any]) -> None:
        resources = template["Resources"]
        policy = resources["WorkerFunctionDailyRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]
        policy.update(Action="sqs:SendMessage", Resource={"Fn::GetAtt": ["DeadLetters", "Arn"]})
        resources["WorkerFunctionDaily"]["Properties"]["Target"]["DeadLetterConfig"] = {
            "Arn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}
        }

    with Cloud(TEMPLATE, {"Greeting": "hello"}, edit=edit) as cloud:
        with pytest.raises(AccessDenied, match="lambda:InvokeFunction"):
            cloud.fire_schedule("WorkerFunctionDaily")
        received = cloud.client("sqs").receive_message(QueueUrl=cloud.resources["DeadLetters"])
        assert json.loads(received["Messages"][0]["Body"])["do"] == "echo"


def test_a_destination_that_the_role_may_not_write_to_is_reported() -> None:
    def edit(template: dict[str, Any]) -> None:
        statements = template["Resources"]["WorkerRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        statements[:] = [statement for statement in statements if statement["Action"] != "sqs:SendMessage"]

    with Cloud(TEMPLATE, {"Greeting": "hello"}, edit=edit, retry_delays=(0.01,)) as cloud:
        cloud.invoke_async("WorkerFunction", {"do": "fail"})
        cloud.wait_until_idle(20)
        assert [error for error in cloud.delivery_errors if "destination of WorkerFunction" in error]
