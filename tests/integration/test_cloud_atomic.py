"""Concurrent conditional writes: exactly one wins, however moto is reached."""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from conftest import REGION, Stores
from moto import mock_aws

from local.cloud.cloud import Cloud

TEMPLATE = Path(__file__).parents[1] / "fixtures" / "cloud" / "template.yaml"
WRITERS = 6
ITEMS = 20
LOST = {
    "ConditionalCheckFailedException",
    "TransactionCanceledException",
    "PreconditionFailed",
    "ParameterAlreadyExists",
}

Client = Callable[[str], Any]
"""Makes a boto3 client of a service."""


@pytest.fixture(autouse=True)
def _threads_take_turns_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture(params=["the local cloud", "moto's server", "moto in the process"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """Clients of a moto with the table `claims`, whose key is `id`, and the bucket `claims`."""
    account = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}
    if request.param == "the local cloud":
        with Cloud(TEMPLATE, {"Greeting": "hello"}) as cloud:
            yield _with_stores(cloud.client)
    elif request.param == "moto's server":
        address = request.getfixturevalue("moto_address")
        yield _with_stores(lambda service: boto3.client(service, endpoint_url=address, **account))  # type: ignore[call-overload]
    else:
        lock = threading.Lock()

        def make(service: str) -> Any:
            with lock:  # boto3's default session is not thread-safe
                return boto3.client(service, **account)  # type: ignore[call-overload]

        with mock_aws():
            yield _with_stores(make)


def _with_stores(client: Client) -> Client:
    dynamodb, s3 = client("dynamodb"), client("s3")
    if "claims" in dynamodb.list_tables()["TableNames"]:  # moto's server is the session's
        return client
    dynamodb.create_table(
        TableName="claims",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    s3.create_bucket(Bucket="claims", CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


def winners(client: Client, service: str, claim: Callable[[Any, str, str], object]) -> Counter[str]:
    """Return how many writers won each item; `claim(client, item, writer)` raises if it loses."""
    together = threading.Barrier(WRITERS, timeout=60)

    def write(writer: str, own: Any) -> list[str]:
        won = []
        try:
            for item in map(str, range(ITEMS)):
                together.wait()
                try:
                    claim(own, item, writer)
                except ClientError as error:
                    if error.response["Error"]["Code"] not in LOST:
                        raise
                else:
                    won.append(item)
        except BaseException:
            together.abort()  # the others would wait for this one
            raise
        return won

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, f"writer-{n}", client(service)) for n in range(WRITERS)]
        return Counter(item for writer in writers for item in writer.result())


ONCE_EACH = Counter({str(item): 1 for item in range(ITEMS)})
IS_NEW = "attribute_not_exists(id)"


def _put(dynamodb: Any, item: str, writer: str) -> None:
    dynamodb.put_item(
        TableName="claims", Item={"id": {"S": f"put-{item}"}, "by": {"S": writer}}, ConditionExpression=IS_NEW
    )


def _update(dynamodb: Any, item: str, writer: str) -> None:
    dynamodb.update_item(
        TableName="claims",
        Key={"id": {"S": f"update-{item}"}},
        UpdateExpression="SET #by = :by",
        ConditionExpression="attribute_not_exists(#by)",
        ExpressionAttributeNames={"#by": "by"},
        ExpressionAttributeValues={":by": {"S": writer}},
    )


def _delete(dynamodb: Any, item: str, _writer: str) -> None:
    dynamodb.delete_item(
        TableName="claims", Key={"id": {"S": f"there-{item}"}}, ConditionExpression="attribute_exists(id)"
    )


def _transact(dynamodb: Any, item: str, writer: str) -> None:
    put = {
        "TableName": "claims",
        "Item": {"id": {"S": f"transact-{item}"}, "by": {"S": writer}},
        "ConditionExpression": IS_NEW,
    }
    dynamodb.transact_write_items(TransactItems=[{"Put": put}])


@pytest.mark.parametrize("claim", [_put, _update, _transact])
def test_one_writer_wins_each_record(client: Client, claim: Callable[[Any, str, str], None]) -> None:
    assert winners(client, "dynamodb", claim) == ONCE_EACH


def test_one_writer_removes_each_record(client: Client) -> None:
    dynamodb = client("dynamodb")
    for item in range(ITEMS):
        dynamodb.put_item(TableName="claims", Item={"id": {"S": f"there-{item}"}})

    assert winners(client, "dynamodb", _delete) == ONCE_EACH


def test_no_addition_is_lost(client: Client) -> None:
    def add(dynamodb: Any, _item: str, _writer: str) -> None:
        dynamodb.update_item(
            TableName="claims",
            Key={"id": {"S": "count"}},
            UpdateExpression="ADD additions :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    winners(client, "dynamodb", add)

    record = client("dynamodb").get_item(TableName="claims", Key={"id": {"S": "count"}})["Item"]
    assert record["additions"] == {"N": str(WRITERS * ITEMS)}


def test_one_writer_makes_each_object(client: Client) -> None:
    def make(s3: Any, item: str, writer: str) -> None:
        s3.put_object(Bucket="claims", Key=f"new/{item}", Body=writer.encode(), IfNoneMatch="*")

    assert winners(client, "s3", make) == ONCE_EACH


def test_one_writer_replaces_each_object(client: Client) -> None:
    s3 = client("s3")
    tags = {str(item): s3.put_object(Bucket="claims", Key=f"old/{item}", Body=b"old")["ETag"] for item in range(ITEMS)}

    def replace(own: Any, item: str, writer: str) -> None:
        own.put_object(Bucket="claims", Key=f"old/{item}", Body=writer.encode(), IfMatch=tags[item])

    assert winners(client, "s3", replace) == ONCE_EACH


def test_one_writer_makes_each_parameter(client: Client) -> None:
    def make(ssm: Any, item: str, writer: str) -> None:
        ssm.put_parameter(Name=f"/claims/{item}", Value=writer, Type="String")

    assert winners(client, "ssm", make) == ONCE_EACH


def test_a_long_poll_of_a_queue_does_not_block_writers() -> None:
    with Cloud(TEMPLATE, {"Greeting": "hello"}) as cloud:
        sqs = cloud.client("sqs")
        address = sqs.create_queue(QueueName="waited-at")["QueueUrl"]
        received: list[Any] = []
        waiting = threading.Thread(
            target=lambda: received.append(sqs.receive_message(QueueUrl=address, WaitTimeSeconds=20))
        )
        waiting.start()
        cloud.client("sqs").send_message(QueueUrl=address, MessageBody="written meanwhile")
        waiting.join()

    assert [message["Body"] for message in received[0]["Messages"]] == ["written meanwhile"]


def test_threads_that_use_the_stores_fixture_win_once(stores: Stores) -> None:
    def make(s3: Any, item: str, writer: str) -> None:
        s3.put_object(Bucket=stores.bucket, Key=item, Body=writer.encode(), IfNoneMatch="*")

    assert winners(lambda _service: stores.s3, "s3", make) == ONCE_EACH
