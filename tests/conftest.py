"""Real stores on loopback: a moto server with a bucket and the tables as template.yaml defines them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer
from mypy_boto3_dynamodb import DynamoDBServiceResource
from mypy_boto3_s3 import S3Client
from mypy_boto3_ssm import SSMClient
from samtranslator.yaml_helper import yaml_parse

import local.cloud.boto_speed
import local.cloud.moto_atomic
import local.cloud.moto_speed  # noqa: F401  # they change the boto3 and the moto of the stores below

ROOT = Path(__file__).parent.parent
REGION: Final = "ap-northeast-1"
# not a conftest.py of the browser tests' own, which would take this module's name
pytest_plugins = ["browser_fixtures"]
# A shell starts what runs in the background deaf to Ctrl-C, and so are all that it starts; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Stores:
    """Clients of the moto server, and the names of a bucket and two tables that this test has for itself."""

    s3: S3Client
    ssm: SSMClient
    dynamodb: DynamoDBServiceResource
    bucket: str
    items_table: str
    labels_table: str


@pytest.fixture(scope="session")
def moto_address() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def stores(moto_address: str) -> Stores:
    return make_stores(endpoint_url=moto_address)


def lambda_environment(address: str) -> dict[str, str]:
    """Return what Lambda's environment says of AWS, with an endpoint in its place."""
    return {
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "token",
    }


@cache
def read_template() -> dict[str, Any]:
    """Return template.yaml, read once; nobody may change it."""
    template: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return template


def make_stores(**client_options: str) -> Stores:
    """Create a bucket and the template's tables under names of their own."""
    account: Any = {
        "region_name": REGION,
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        **client_options,
    }
    name = uuid4().hex[:12]
    resources = read_template()["Resources"]
    dynamodb = boto3.resource("dynamodb", **account)
    for table in ("items", "labels"):
        properties = resources[f"{table.capitalize()}Table"]["Properties"]
        names = properties.keys() & {"AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes"}
        dynamodb.create_table(TableName=f"{name}-{table}", **{key: properties[key] for key in names})
    s3 = boto3.client("s3", **account)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return Stores(s3, boto3.client("ssm", **account), dynamodb, name, f"{name}-items", f"{name}-labels")


@pytest.fixture
def stack(moto_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A stack with the template's stores, of which the environment tells."""
    environment = {
        "AWS_ENDPOINT_URL": moto_address,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    template = read_template()
    stack = f"osusume-{uuid4().hex[:8]}"
    resources: dict[str, Any] = {"Bucket": {"Type": "AWS::S3::Bucket"}}
    for table in ("ItemsTable", "LabelsTable"):
        properties = {**template["Resources"][table]["Properties"], "TableName": f"{stack}-{table}"}
        resources[table] = {"Type": "AWS::DynamoDB::Table", "Properties": properties}
    body = {"Parameters": {"TimeZone": template["Parameters"]["TimeZone"]}, "Resources": resources}
    cloudformation: Any = boto3.Session().client("cloudformation")
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(body))
    return stack
