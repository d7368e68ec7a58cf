import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError
from conftest import Stores, lambda_environment
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Request, Response
from werkzeug.serving import make_server

from feedback.aws import TRIES, Aws, Database, Unreachable, received, sent

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.decimals(-(10**9), 10**9, places=6),
    lambda each: st.lists(each) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), each),
    max_leaves=20,
)

Answer = Callable[[Request], Response]


class Service:
    """A server that answers each request as the next of `answers` says, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.requests.append((request.path, {**request.headers}, request.get_data()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request)(environ, start_response)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def aws(service: Service) -> Iterator[Aws]:
    server = make_server("127.0.0.1", 0, service, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Aws(lambda_environment(f"http://127.0.0.1:{server.server_port}"))
    server.shutdown()
    thread.join()
    server.server_close()


def answered(status: int, said: object) -> Answer:
    return lambda _request: Response(json.dumps(said), status)


THROTTLED = answered(400, {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slowly"})


@given(VALUES)
def test_values_are_sent_and_received_as_boto3_does(value: object) -> None:
    assert sent(value) == TypeSerializer().serialize(value)
    written: Any = sent(value)
    assert received(written) == TypeDeserializer().deserialize(written)


@pytest.mark.parametrize("value", [1.5, b"bytes", {"set"}])
def test_a_value_that_no_record_has_is_an_error(value: object) -> None:
    with pytest.raises(TypeError, match="DynamoDB is sent no"):
        sent(value)


def test_a_table_takes_and_returns_what_boto3s_resource_does(stores: Stores) -> None:
    address = stores.dynamodb.meta.client.meta.endpoint_url
    ours, theirs = Database(Aws(lambda_environment(address))).Table(stores.labels_table), stores.dynamodb
    item: dict[str, Any] = {"item_id": "RJ1", "at": Decimal("1.5"), "none": None, "list": [1, "雨"], "map": {"a": True}}
    table: Any = theirs.Table(stores.labels_table)

    ours.put_item(Item=item)
    assert ours.get_item(Key={"item_id": "RJ1"})["Item"] == table.get_item(Key={"item_id": "RJ1"})["Item"]
    assert "Item" not in ours.get_item(Key={"item_id": "RJ2"})
    update: dict[str, Any] = {
        "Key": {"item_id": "RJ1"},
        "UpdateExpression": "SET #at = :at",
        "ConditionExpression": "#at < :at",
        "ExpressionAttributeNames": {"#at": "at"},
        "ExpressionAttributeValues": {":at": Decimal("2.5")},
        "ReturnValues": "ALL_NEW",
    }
    assert ours.update_item(**update)["Attributes"] == {**item, "at": Decimal("2.5")}
    for each in (ours, table):
        with pytest.raises(ClientError) as caught:
            each.update_item(**update)
        assert caught.value.response["Error"]["Code"] == "ConditionalCheckFailedException"


def test_records_are_read_in_a_batch_as_boto3s_resource_reads_them(stores: Stores) -> None:
    ours = Database(Aws(lambda_environment(stores.dynamodb.meta.client.meta.endpoint_url)))
    ours.Table(stores.items_table).put_item(Item={"item_id": "RJ1", "n": 1})
    wanted = {stores.items_table: {"Keys": [{"item_id": "RJ1"}, {"item_id": "RJ2"}], "ConsistentRead": True}}
    theirs: Any = stores.dynamodb.batch_get_item(RequestItems=wanted)  # type: ignore[arg-type]  # a list of dicts
    answer = ours.batch_get_item(RequestItems=wanted)
    assert {name: answer[name] for name in ("Responses", "UnprocessedKeys")} == {
        name: theirs[name] for name in ("Responses", "UnprocessedKeys")
    }


def test_keys_that_were_not_read_are_returned_to_be_asked_for_again(aws: Aws, service: Service) -> None:
    left = {"items": {"Keys": [{"item_id": {"S": "RJ2"}}], "ConsistentRead": True}}
    service.answers = [answered(200, {"Responses": {"items": []}, "UnprocessedKeys": left})]
    answer = Database(aws).batch_get_item(RequestItems={"items": {"Keys": [{"item_id": "RJ2"}]}})
    assert answer["UnprocessedKeys"] == {"items": {"Keys": [{"item_id": "RJ2"}], "ConsistentRead": True}}


@pytest.mark.parametrize("first", [answered(500, {}), answered(503, "no JSON object"), THROTTLED])
def test_a_failure_that_passes_is_tried_again(aws: Aws, service: Service, first: Answer) -> None:
    service.answers = [first, first, answered(200, {"Parameter": {"Value": "s3cret"}})]
    assert aws.get_parameter(Name="/a", WithDecryption=True)["Parameter"]["Value"] == "s3cret"
    assert len(service.requests) == TRIES


def test_a_failure_that_stays_is_raised_with_its_name_after_some_tries(aws: Aws, service: Service) -> None:
    service.answers = [THROTTLED]
    with pytest.raises(ClientError, match=r"ThrottlingException.*slowly"):
        aws.get_parameter(Name="/a", WithDecryption=True)
    assert len(service.requests) == TRIES


def test_a_refusal_is_raised_at_once(aws: Aws, service: Service) -> None:
    service.answers = [answered(400, {"__type": "ParameterNotFound"})]
    with pytest.raises(ClientError) as caught:
        aws.get_parameter(Name="/a", WithDecryption=True)
    assert caught.value.response["Error"]["Code"] == "ParameterNotFound"
    assert len(service.requests) == 1


def test_a_service_that_does_not_answer_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="lambda does not answer"):
        Aws(lambda_environment("http://127.0.0.1:9")).invoke_later("osusume-feedback", {})


def test_an_invocation_is_asked_for_without_waiting_for_it(aws: Aws, service: Service) -> None:
    service.answers = [lambda _request: Response(status=202)]
    aws.invoke_later("osusume-feedback", {"tell": {"id": "雨"}})
    ((path, headers, body),) = service.requests
    assert path == "/2015-03-31/functions/osusume-feedback/invocations"
    assert headers["X-Amz-Invocation-Type"] == "Event"
    assert headers["X-Amz-Security-Token"] == "token"
    assert "/ap-northeast-1/lambda/aws4_request" in headers["Authorization"]
    assert json.loads(body) == {"tell": {"id": "雨"}}


def test_a_cold_start_loads_neither_boto3_nor_slacks_sdk() -> None:
    environment = {
        **os.environ,
        **lambda_environment("http://127.0.0.1:9"),
        "ITEMS_TABLE": "items",
        "LABELS_TABLE": "labels",
        "POWERTOOLS_SERVICE_NAME": uuid4().hex,
        "SLACK_SIGNING_SECRET_PARAMETER": "/secret",
        "TIME_ZONE": "Asia/Tokyo",
    }
    loaded = subprocess.run(  # our own code
        [sys.executable, "-c", "import feedback.app, sys; print(*sys.modules)"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert {"boto3", "botocore.session", "slack_sdk", "slack_bolt", "requests", "bs4"}.isdisjoint(loaded)
    assert "feedback.aws" in loaded
