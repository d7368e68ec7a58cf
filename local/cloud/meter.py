"""Counts what AWS would bill of the functions' calls: requests, DynamoDB's units, bytes of logs.

Units are counted as DynamoDB documents them: a write by started KB of the larger version, a write more for each change
of a sparse index, a read by started 4 KB, half of that where it is eventually consistent.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import dynamodb_backends
from moto.sts.models import sts_backends

from local.cloud.access import ACCOUNT, REGION

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LOG_EVENT_BYTES = 26
"""What CloudWatch Logs adds to each event."""

_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d{8}/[^/]+/([^/]+)/")
_WRITES = {"PutItem": "Item", "UpdateItem": "Key", "DeleteItem": "Key"}
_READS = {"GetItem", "Query", "Scan"}


class Meter:
    """Counts by caller: `counts["osusume-crawler"]["s3:put"]`.

    What is counted: `s3:put` (PUT, POST, LIST), `s3:get` (everything else but DELETE), `dynamodb:write` and
    `dynamodb:read` (request units), `logs:bytes`, `kms:decrypt` (one for each encrypted parameter), and the number of
    calls of the other services, as `sqs:calls`.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._indexed: dict[tuple[str, str], frozenset[str]] = {}

    def count(self, environ: WSGIEnvironment, body: bytes, answer: bytes) -> None:
        """Count one request that was served."""
        given = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        role = sts_backends[ACCOUNT]["aws"].get_assumed_role_from_access_key(given[1]) if given else None
        if given is None or role is None:  # the owner of the account, not a function
            return
        counts, service = self.counts.setdefault(role.session_name, Counter()), given[2]
        if service == "s3":
            counts.update(_s3(environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")))
            return
        action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if service == "dynamodb":
            counts.update(self._dynamodb(action, json.loads(body), json.loads(answer or b"{}")))
        elif action == "PutLogEvents":
            events = json.loads(body)["logEvents"]
            counts["logs:bytes"] += sum(len(event["message"].encode()) + LOG_EVENT_BYTES for event in events)
        elif service == "ssm" and json.loads(body).get("WithDecryption"):
            counts["kms:decrypt"] += 1
        elif service not in {"ssm", "logs"}:
            counts[f"{service}:calls"] += 1

    def _dynamodb(self, action: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> Counter[str]:
        if action in _WRITES:
            return Counter({"dynamodb:write": self._write(request["TableName"], request[_WRITES[action]])})
        if action in _READS:
            items = answer.get("Items", [answer.get("Item", {})])
            return Counter({"dynamodb:read": read_units(sum(map(item_bytes, items)), request)})
        if action == "BatchGetItem":  # each item is rounded up by itself, and one that is missing counts too
            tables = request["RequestItems"]
            found = answer.get("Responses", {})
            units = 0.0
            for table, wanted in tables.items():
                sizes = [item_bytes(item) for item in found.get(table, [])]
                sizes += [0] * (len(wanted["Keys"]) - len(sizes))
                units += sum(read_units(size, wanted) for size in sizes)
            return Counter({"dynamodb:read": units})
        return Counter({"dynamodb:other": 1})

    def _write(self, name: str, item: Mapping[str, Any]) -> int:
        """Return the units of a write to the table, whose outcome is in the table already."""
        table = dynamodb_backends[ACCOUNT][REGION].get_table(name.rpartition("/")[2])
        key = {schema["AttributeName"]: item[schema["AttributeName"]] for schema in table.schema}
        stored = dynamodb_backends[ACCOUNT][REGION].get_item(table.name, key)
        attributes = stored.to_json()["Attributes"] if stored else {}
        identity = (table.name, json.dumps(key, sort_keys=True))
        size = item_bytes(attributes)
        units = write_units(max(size, self._sizes.get(identity, 0), item_bytes(item)))
        indexed = frozenset(
            f"{index.name}={attributes[schema['AttributeName']]}"
            for index in table.global_indexes
            for schema in index.schema
            if schema["KeyType"] == "HASH" and schema["AttributeName"] in attributes
        )
        units += len(indexed ^ self._indexed.get(identity, frozenset()))
        self._sizes[identity], self._indexed[identity] = size, indexed
        return units


def _s3(method: str, query: str) -> dict[str, int]:
    if method == "DELETE":
        return {}
    return {"s3:put" if method in {"PUT", "POST"} or "list-type" in query else "s3:get": 1}


def write_units(size: int) -> int:
    """Return DynamoDB's write units of an item of `size` bytes.

    >>> [write_units(size) for size in (0, 1024, 1025)]
    [1, 1, 2]
    """
    return max(1, ceil(size / 1024))


def read_units(size: int, request: Mapping[str, Any]) -> float:
    """Return DynamoDB's read units of `size` bytes read by one request.

    >>> read_units(5000, {}), read_units(5000, {"ConsistentRead": True}), read_units(0, {})
    (1.0, 2.0, 0.5)
    """
    return max(1, ceil(size / 4096)) * (1.0 if request.get("ConsistentRead") else 0.5)


def item_bytes(item: Mapping[str, Any]) -> int:
    """Return the size of an item as DynamoDB counts it: the names and the values of its attributes.

    >>> item_bytes({"id": {"S": "雨"}, "score": {"N": "0.25"}, "tags": {"L": [{"S": "a"}]}})
    21
    """
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            size = (len(content.strip("-0").replace(".", "")) + 1) // 2 + 1
        case "S":
            size = len(content.encode())
        case "B":
            size = len(base64.b64decode(content))
        case "L":
            size = 3 + sum(1 + _value_bytes(each) for each in content)
        case "M":
            size = 3 + sum(1 + len(name.encode()) + _value_bytes(each) for name, each in content.items())
        case "SS" | "NS" | "BS":
            size = sum(len(str(each).encode()) for each in content)
        case _:
            size = 1
    return size
