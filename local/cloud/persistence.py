"""Persistence of the stack's buckets and tables in a `State`, so that they outlive the process.

Kept: the newest version of each object, and each record. Not kept: older versions, objects' headers, queues, logs. A
record with a binary value raises an error: binary values are not supported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import FakeKey, s3_backends

from local.cloud.access import ACCOUNT, REGION
from local.cloud.stack import LocalResources
from local.cloud.state import State

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_READS = frozenset({"GET", "HEAD"})
_DYNAMODB = "DynamoDB_"


class KeptStores:
    """Loads the state into the stack's stores; `note` saves what a request changes in them."""

    def __init__(self, state: State, stack: LocalResources) -> None:
        self._state = state
        self._s3 = s3_backends[ACCOUNT]["aws"]
        self._dynamodb = dynamodb_backends[ACCOUNT][REGION]
        # logical ids stay the same when the stack or the account is named differently
        self._buckets = {name: stack.resources[name] for name, _ in stack.of_type("AWS::S3::Bucket")}
        self._tables = {stack.resources[name]: name for name, _ in stack.of_type("AWS::DynamoDB::Table")}
        for name, bucket in self._buckets.items():
            for key, body in state.all(name).items():
                self._s3.put_object(bucket, key, body, disable_notification=True)
        for table, name in self._tables.items():
            for record in state.all(name).values():
                self._dynamodb.put_item(table, json.loads(record), overwrite=True)
        self._seen = {name: self._objects(bucket) for name, bucket in self._buckets.items()}

    def note(self, environ: WSGIEnvironment, body: bytes) -> None:
        """Save what a request may have changed, before its response is sent."""
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target.startswith(_DYNAMODB):
            for table, attributes in _written(json.loads(body)):
                self._note_record(table.rpartition("/")[2], attributes)
        elif environ["REQUEST_METHOD"] not in _READS:
            self._note_objects()

    def _note_record(self, table: str, attributes: Mapping[str, Any]) -> None:
        if table not in self._tables:
            return
        names = [schema["AttributeName"] for schema in self._dynamodb.get_table(table).schema]
        key = {name: attributes[name] for name in names}
        record = self._dynamodb.get_item(table, key)
        if record is None:
            self._state.remove(self._tables[table], json.dumps(key))
        else:
            self._state.put(self._tables[table], json.dumps(key), json.dumps(record.to_json()["Attributes"]).encode())

    def _note_objects(self) -> None:
        for name, bucket in self._buckets.items():
            before, now = self._seen[name], self._objects(bucket)
            for key in before.keys() - now.keys():
                self._state.remove(name, key)
            for key, stored in now.items():
                if before.get(key) is not stored:
                    self._state.put(name, key, stored.value)
            self._seen[name] = now

    def _objects(self, bucket: str) -> dict[str, Any]:
        """Return the newest version of each object that is not deleted; moto creates a new object for each put."""
        return {key: stored for key, stored in self._s3.get_bucket(bucket).keys.items() if isinstance(stored, FakeKey)}


def _written(request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the table and the attributes, key included, of each record that a DynamoDB request may write."""
    parts: list[tuple[str, Mapping[str, Any]]]
    if "RequestItems" in request:  # a batch read names its keys in another form
        batches = request["RequestItems"].items()
        parts = [(table, part) for table, batch in batches if isinstance(batch, list) for part in _inner(batch)]
    elif "TransactItems" in request:
        parts = [(part["TableName"], part) for part in _inner(request["TransactItems"])]
    else:
        parts = [(request["TableName"], request)] if "TableName" in request else []
    for table, part in parts:
        attributes = part.get("Key") or part.get("Item")
        if attributes:
            yield table, attributes


def _inner(requests: list[Mapping[str, Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    return [part for request in requests for part in request.values()]
