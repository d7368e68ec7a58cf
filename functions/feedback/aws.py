"""The few calls of AWS that a press needs, signed by botocore and without its clients.

Slack waits three seconds, a cold start included. A client reads the descriptions of its service first, and boto3's
resources read more on top, which costs more processor time than all the rest of a cold start (`make bench`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError
from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

TRIES = 3
SECONDS_BETWEEN_TRIES = 0.05
SECONDS_TO_CONNECT, SECONDS_TO_READ = 1, 1
THROTTLED = {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}

Json = dict[str, Any]


class Unreachable(Exception):
    """Raised when a service does not answer in several tries."""


class Credentials(NamedTuple):
    """What botocore's signer reads; its own class for them would bring in the finding and refreshing of credentials."""

    access_key: str
    secret_key: str
    token: str | None


class Aws:
    """Calls services of AWS with what Lambda's environment variables say: region, credentials, and endpoint if any."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._region = environment["AWS_REGION"]
        self._endpoint = environment.get("AWS_ENDPOINT_URL")
        self._credentials: Any = Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment.get("AWS_SESSION_TOKEN"),
        )
        self._pool = PoolManager(timeout=Timeout(connect=SECONDS_TO_CONNECT, read=SECONDS_TO_READ), retries=False)

    def get_parameter(self, **arguments: Any) -> Json:
        """Return an SSM parameter as boto3's client does. Raises `ClientError`, `Unreachable`."""
        return self._call("ssm", "AmazonSSM.GetParameter", "1.1", arguments)

    def dynamodb(self, operation: str, arguments: Json) -> Json:
        """Call an operation of DynamoDB with values as it sends them. Raises `ClientError`, `Unreachable`."""
        return self._call("dynamodb", f"DynamoDB_20120810.{operation}", "1.0", arguments)

    def invoke_later(self, function_name: str, event: Json) -> None:
        """Let Lambda invoke a function with `event`, without waiting for it. Raises `ClientError`, `Unreachable`."""
        path = f"/2015-03-31/functions/{function_name}/invocations"
        self._post("lambda", path, {"X-Amz-Invocation-Type": "Event"}, event)

    def _call(self, service: str, target: str, version: str, arguments: Json) -> Json:
        headers = {"X-Amz-Target": target, "Content-Type": f"application/x-amz-json-{version}"}
        answer: Json = json.loads(self._post(service, "/", headers, arguments))
        return answer

    def _post(self, service: str, path: str, headers: dict[str, str], arguments: Json) -> bytes:
        host = self._endpoint or f"https://{service}.{self._region}.amazonaws.com"
        request = AWSRequest("POST", f"{host}{path}", headers, json.dumps(arguments).encode())
        SigV4Auth(self._credentials, service, self._region).add_auth(request)
        for _ in range(TRIES - 1):
            try:
                return self._send(service, request)
            except Unreachable:
                pass
            except ClientError as error:
                if not _passes(error):
                    raise
            time.sleep(SECONDS_BETWEEN_TRIES)
        return self._send(service, request)

    def _send(self, service: str, request: AWSRequest) -> bytes:
        try:
            answer = self._pool.request("POST", str(request.url), body=request.data, headers=dict(request.headers))
        except HTTPError as error:
            raise Unreachable(f"{service} does not answer: {type(error).__name__}") from error
        if answer.status >= 300:
            raise _error_of(answer.data, answer.status)
        return answer.data


def _error_of(body: bytes, status: int) -> ClientError:
    try:
        said = json.loads(body)
        code, message = said["__type"].rpartition("#")[2], said.get("message") or said.get("Message") or ""
    except (ValueError, TypeError, KeyError, AttributeError):
        code, message = str(status), body[:200].decode(errors="replace")
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "call")


def _passes(error: ClientError) -> bool:
    return error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500 or error.response["Error"]["Code"] in THROTTLED


class Database:
    """DynamoDB as boto3's resource shows it, as far as labels, records and rules use it here."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def Table(self, name: str) -> Table:  # noqa: N802  # boto3's name
        """Return the table named `name`."""
        return Table(self._aws, name)

    def batch_get_item(self, *, RequestItems: Json) -> Json:  # noqa: N803  # boto3's name
        """Return records of tables by their keys."""
        wanted = {
            table: {**asked, "Keys": [_sent_each(key) for key in asked["Keys"]]}
            for table, asked in RequestItems.items()
        }
        answer = self._aws.dynamodb("BatchGetItem", {"RequestItems": wanted})
        return {
            "Responses": {
                table: [_received_each(record) for record in records] for table, records in answer["Responses"].items()
            },
            "UnprocessedKeys": {
                table: {**left, "Keys": [_received_each(key) for key in left["Keys"]]}
                for table, left in answer.get("UnprocessedKeys", {}).items()
            },
        }


class Table:
    """One table of DynamoDB; the methods take and return what those of boto3's resource do."""

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws, self.name = aws, name
        self.get_item = self._operation("GetItem")
        self.put_item = self._operation("PutItem")
        self.update_item = self._operation("UpdateItem")

    def _operation(self, name: str) -> Callable[..., Json]:
        def call(**arguments: Any) -> Json:
            values = {key: _sent_each(arguments[key]) for key in _VALUES if key in arguments}
            answer = self._aws.dynamodb(name, {"TableName": self.name, **arguments, **values})
            return {**answer, **{key: _received_each(answer[key]) for key in ("Item", "Attributes") if key in answer}}

        return call


_VALUES = ("Item", "Key", "ExpressionAttributeValues")


def _sent_each(values: Mapping[str, object]) -> Json:
    return {name: sent(value) for name, value in values.items()}


def _received_each(values: Mapping[str, Json]) -> Json:
    return {name: received(value) for name, value in values.items()}


def sent(value: object) -> Json:
    """Return a value as DynamoDB's API writes it. Raises `TypeError` for one that no record here has.

    >>> sent({"liked": True, "at": Decimal("1.5")})
    {'M': {'liked': {'BOOL': True}, 'at': {'N': '1.5'}}}
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | Decimal():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list() | tuple():
            return {"L": [sent(each) for each in value]}
        case dict():
            return {"M": _sent_each(value)}
    raise TypeError(f"DynamoDB is sent no {type(value).__name__} here")


def received(value: Json) -> Any:
    """Return the value that DynamoDB's API wrote, numbers as `Decimal`. Raises `TypeError` as `sent` does.

    >>> received({"L": [{"N": "1.5"}, {"NULL": True}]})
    [Decimal('1.5'), None]
    """
    ((kind, content),) = value.items()
    match kind:
        case "NULL":
            return None
        case "BOOL" | "S":
            return content
        case "N":
            return Decimal(content)
        case "L":
            return [received(each) for each in content]
        case "M":
            return _received_each(content)
    raise TypeError(f"DynamoDB sends no {kind} here")
