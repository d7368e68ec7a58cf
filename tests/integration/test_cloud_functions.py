"""The local cloud's functions: processes, roles, limits, retries, on a template of its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.cloud.cloud import Cloud
from local.cloud.errors import CloudError, FunctionError, PayloadTooLarge, StillBusy

TEMPLATE = Path(__file__).parents[1] / "fixtures" / "cloud" / "template.yaml"


@pytest.fixture(scope="module", params=[(), ("boto3",)], ids=["new", "forked"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    with Cloud(
        TEMPLATE,
        {"Greeting": "hello"},
        secrets={"/cloud/secret": "s3cret"},
        environment={"SITE": "http://127.0.0.1:1"},
        overrides={"WorkerFunction": {"ONLY": "worker"}},
        time_limits={"WorkerFunction": 2},
        retry_delays=(0.01,),
        preload={"WorkerFunction": request.param},
    ) as running:
        yield running


def settings(cloud: Cloud) -> dict[str, Any]:
    answer: dict[str, Any] = cloud.invoke("WorkerFunction", {"do": "settings"})
    return answer


def call(cloud: Cloud, service: str, method: str, **arguments: object) -> dict[str, Any]:
    answer: dict[str, Any] = cloud.invoke(
        "WorkerFunction", {"do": "call", "service": service, "method": method, "arguments": arguments}
    )
    return answer


def dead_letters(cloud: Cloud) -> list[dict[str, Any]]:
    received = cloud.client("sqs").receive_message(
        QueueUrl=cloud.resources["DeadLetters"], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return list(received.get("Messages", []))


def test_variables_are_resolved_as_cloudformation_does(cloud: Cloud) -> None:
    environment = settings(cloud)["environment"]
    assert environment["BUCKET"] == "osusume-123456789012"
    assert environment["GREETING"] == "hello"
    assert environment["LIMIT"] == "3"
    assert environment["NAMES"] == "a|b"
    assert environment["SITE"] == "http://127.0.0.1:1"
    assert environment["ONLY"] == "worker"


def test_the_public_address_of_the_api_becomes_the_gateways(cloud: Cloud) -> None:
    assert settings(cloud)["environment"]["PREDICT_URL"] == f"{cloud.api_url}/closed"


def test_a_process_inherits_nothing_from_the_callers_environment(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLERS_SECRET", "keep out")
    with pytest.raises(FunctionError):
        cloud.invoke("WorkerFunction", {"do": "leave"})  # the next process starts after the variable was set
    assert "CALLERS_SECRET" not in settings(cloud)["environment"]


def test_a_function_runs_under_its_role_and_with_its_layer(cloud: Cloud) -> None:
    answer = settings(cloud)
    role = cloud.resources["WorkerRole"]
    assert answer["caller"] == f"arn:aws:sts::123456789012:assumed-role/{role}/osusume-worker"
    assert answer["layer"] == "here"
    assert 0 < answer["remaining"] <= 2000


def test_a_warm_process_is_used_again(cloud: Cloud) -> None:
    assert settings(cloud)["pid"] == settings(cloud)["pid"]


def test_an_exception_is_returned_as_lambdas_error_document(cloud: Cloud) -> None:
    with pytest.raises(FunctionError, match="ValueError: this event is no good") as caught:
        cloud.invoke("WorkerFunction", {"do": "fail"})
    assert caught.value.document["errorType"] == "ValueError"
    assert "worker/app.py" in "".join(caught.value.document["stackTrace"])


def test_a_process_is_killed_when_its_time_limit_passes(cloud: Cloud) -> None:
    with pytest.raises(FunctionError, match=r"Task timed out after 2.00 seconds"):
        cloud.invoke("WorkerFunction", {"do": "sleep", "seconds": 60})
    assert "going to sleep" in cloud.invocations[-1].log


def test_an_exit_in_the_middle_of_an_event_is_its_error(cloud: Cloud) -> None:
    with pytest.raises(FunctionError, match="Runtime exited with error: exit status 3"):
        cloud.invoke("WorkerFunction", {"do": "leave"})


def test_printed_lines_reach_the_log_group_and_the_invocation(cloud: Cloud) -> None:
    cloud.invoke("WorkerFunction", {"do": "say", "text": "雨の夜"})
    assert cloud.invocations[-1].log == ["雨の夜"]
    events = cloud.client("logs").filter_log_events(logGroupName=cloud.resources["WorkerLogGroup"])["events"]
    assert "雨の夜" in [event["message"] for event in events]


def test_a_failed_event_is_retried_and_then_sent_to_its_destination(cloud: Cloud) -> None:
    request_id = cloud.invoke_async("WorkerFunction", {"do": "fail"})
    cloud.wait_until_idle(20)
    attempts = [invocation for invocation in cloud.invocations if invocation.request_id == request_id]
    assert [attempt.attempt for attempt in attempts] == [1, 2]
    record = json.loads(dead_letters(cloud)[0]["Body"])
    assert record["requestContext"]["requestId"] == request_id
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["requestPayload"] == {"do": "fail"}
    assert record["responsePayload"]["errorType"] == "ValueError"


def test_a_function_calls_itself_through_the_sdk(cloud: Cloud) -> None:
    cloud.invoke("WorkerFunction", {"do": "call_itself"})
    cloud.wait_until_idle(20)
    again = [invocation for invocation in cloud.invocations if invocation.event == {"do": "echo", "again": True}]
    assert [invocation.trigger for invocation in again] == ["sdk"]


def test_the_sdk_returns_the_response_or_the_error(cloud: Cloud) -> None:
    client = cloud.client("lambda")
    good = client.invoke(FunctionName="osusume-worker", Payload=b'{"do": "echo"}')
    assert json.load(good["Payload"]) == {"do": "echo"}
    bad = client.invoke(FunctionName="osusume-worker", Payload=b'{"do": "fail"}')
    assert bad["FunctionError"] == "Unhandled"
    assert json.load(bad["Payload"])["errorType"] == "ValueError"


def test_the_sdk_reports_an_event_that_is_not_json_or_too_large(cloud: Cloud) -> None:
    client = cloud.client("lambda")
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke(FunctionName="osusume-worker", Payload=b"not json")
    with pytest.raises(client.exceptions.RequestTooLargeException):
        client.invoke(FunctionName="osusume-worker", InvocationType="Event", Payload=b'"' + b"x" * 1_100_000 + b'"')
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="nobody")


def test_an_event_over_the_limit_is_refused(cloud: Cloud) -> None:
    with pytest.raises(PayloadTooLarge, match="1048576"):
        cloud.invoke_async("WorkerFunction", {"text": "x" * 1_100_000})


def test_a_response_over_the_limit_is_an_error(cloud: Cloud) -> None:
    with pytest.raises(FunctionError, match="ResponseSizeTooLarge"):
        cloud.invoke("WorkerFunction", {"do": "say_much", "characters": 6_300_000})


def test_allowed_calls_pass(cloud: Cloud) -> None:
    item = {"id": {"S": "1"}, "day": {"S": "monday"}}
    table = cloud.resources["Table"]
    assert call(cloud, "dynamodb", "put_item", TableName=table, Item=item) == {"status": 200}
    keys = {"S": "1"}
    assert call(cloud, "dynamodb", "batch_get_item", RequestItems={table: {"Keys": [{"id": keys}]}}) == {"status": 200}
    query = {
        "TableName": table,
        "IndexName": "by-day",
        "KeyConditionExpression": "#d = :d",
        "ExpressionAttributeNames": {"#d": "day"},
        "ExpressionAttributeValues": {":d": {"S": "monday"}},
    }
    assert call(cloud, "dynamodb", "query", **query) == {"status": 200}
    writes = [{"Put": {"TableName": table, "Item": item}}]
    assert call(cloud, "dynamodb", "transact_write_items", TransactItems=writes) == {"status": 200}
    assert call(cloud, "ssm", "get_parameter", Name="/cloud/secret", WithDecryption=True) == {"status": 200}


@pytest.mark.parametrize(
    ("service", "method", "arguments"),
    [
        ("dynamodb", "get_item", {"TableName": "osusume-table", "Key": {"id": {"S": "1"}}}),
        ("dynamodb", "put_item", {"TableName": "another", "Item": {"id": {"S": "1"}}}),
        ("dynamodb", "batch_get_item", {"RequestItems": {"another": {"Keys": [{"id": {"S": "1"}}]}}}),
        (
            "dynamodb",
            "transact_write_items",
            {"TransactItems": [{"Delete": {"TableName": "osusume-table", "Key": {"id": {"S": "1"}}}}]},
        ),
        ("ssm", "get_parameter", {"Name": "/cloud/other"}),
        ("lambda", "invoke", {"FunctionName": "osusume-api"}),
        ("logs", "create_log_stream", {"logGroupName": "/aws/lambda/other", "logStreamName": "a"}),
        ("sqs", "receive_message", {"QueueUrl": "http://127.0.0.1/123456789012/nowhere"}),
        ("s3", "put_object", {"Bucket": "osusume-123456789012", "Key": "in/a.json", "Body": "{}"}),
        ("s3", "get_object", {"Bucket": "osusume-123456789012", "Key": "out/a.json"}),
        ("s3", "list_objects_v2", {"Bucket": "osusume-123456789012"}),
        ("sns", "list_topics", {}),
        ("sts", "assume_role", {"RoleArn": "arn:aws:iam::123456789012:role/{ApiRole}", "RoleSessionName": "test"}),
    ],
)
def test_calls_that_the_role_does_not_allow_are_denied(
    cloud: Cloud, service: str, method: str, arguments: dict[str, Any]
) -> None:
    if "RoleArn" in arguments:
        arguments = {**arguments, "RoleArn": arguments["RoleArn"].format_map(cloud.resources)}
    assert call(cloud, service, method, **arguments)["error"].startswith("AccessDenied")


def test_a_missing_object_is_denied_to_those_who_may_not_list(cloud: Cloud) -> None:
    where = {"Bucket": "osusume-123456789012", "Key": "in/missing.json"}
    assert call(cloud, "s3", "get_object", **where) == {"error": "AccessDenied"}
    assert call(cloud, "s3", "head_object", **where) == {"error": "403"}
    client = cloud.client("s3")
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(**where)


def test_copying_needs_the_permission_to_read_the_source(cloud: Cloud) -> None:
    iam, s3 = cloud.client("iam"), cloud.client("s3")
    bucket = cloud.resources["Bucket"]
    s3.put_object(Bucket=bucket, Key="kept/source", Body=b"x")
    iam.create_user(UserName="writer")
    write = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [write]})
    iam.put_user_policy(UserName="writer", PolicyName="write", PolicyDocument=document)
    key = iam.create_access_key(UserName="writer")["AccessKey"]
    writer = boto3.client(
        "s3",
        region_name="ap-northeast-1",
        endpoint_url=cloud.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    writer.put_object(Bucket=bucket, Key="kept/new", Body=b"y")
    with pytest.raises(writer.exceptions.ClientError, match="AccessDenied"):
        writer.copy_object(Bucket=bucket, Key="kept/copy", CopySource={"Bucket": bucket, "Key": "kept/source"})


def test_a_wrong_secret_key_is_refused(cloud: Cloud) -> None:
    client = cloud.client("dynamodb")
    client._request_signer._credentials.secret_key = "wrong"
    with pytest.raises(client.exceptions.ClientError, match="SignatureDoesNotMatch"):
        client.list_tables()


def test_a_wait_that_times_out_names_what_still_runs(cloud: Cloud) -> None:
    cloud.invoke_async("WorkerFunction", {"do": "sleep", "seconds": 0.5})
    with pytest.raises(StillBusy, match="WorkerFunction"):
        cloud.wait_until_idle(0.05)
    cloud.wait_until_idle(20)


def test_names_that_the_template_does_not_have_are_refused(cloud: Cloud) -> None:
    with pytest.raises(CloudError, match="no function Nobody; it has ApiFunction, WorkerFunction"):
        cloud.invoke("Nobody", {})
    with pytest.raises(CloudError, match="no schedule Nobody"):
        cloud.fire_schedule("Nobody")


def test_a_second_cloud_in_the_process_is_refused(cloud: Cloud) -> None:
    with pytest.raises(CloudError, match="already running"):
        Cloud(TEMPLATE, {"Greeting": "hello"}).__enter__()
