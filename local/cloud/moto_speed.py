"""Spares moto what takes most of its time: looking up what never changes, and copying and measuring DynamoDB's values.

Importing this module changes moto for the whole process.
"""

from __future__ import annotations

import base64
import functools
from typing import Any

from moto import backends
from moto.core import responses, utils
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict

_moto_modules = backends.list_of_moto_modules
_serialize_structure = BaseJSONSerializer._serialize_type_structure


@functools.cache
def _modules() -> tuple[str, ...]:
    return tuple(_moto_modules())


def _serialize(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """Pass on a value of DynamoDB, for which moto would try each of the ten kinds under several names."""
    if shape.name == "AttributeValue" and type(value) is dict:
        self._default_serialize(serialized, _sent(value), shape, key)
    else:
        _serialize_structure(self, serialized, value, shape, key)


def _sent(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value of DynamoDB as it is sent; moto holds binary ones as bytes."""
    ((kind, content),) = value.items()
    if kind == "M":
        return {kind: {name: _sent(each) for name, each in content.items()}}
    if kind == "L":
        return {kind: [_sent(each) for each in content]}
    if kind == "B":
        return {kind: base64.b64encode(content).decode()}
    if kind == "BS":
        return {kind: [base64.b64encode(each).decode() for each in content]}
    return value


def _init(self: Any, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
    """Make a record of DynamoDB, and check its size once."""
    self.hash_key, self.range_key = hash_key, range_key
    self.attrs = LimitedSizeDict()
    for key, value in attrs.items():
        dict.__setitem__(self.attrs, key, DynamoType(value))
    if self.attrs:
        self.attrs.__setitem__(*self.attrs.popitem())  # this checks it


setattr(backends, "list_of_moto_modules", _modules)  # noqa: B010  # mypy forbids to assign a function
setattr(responses, "method_names_from_class", functools.cache(utils.method_names_from_class))  # noqa: B010  # as above
setattr(BaseJSONSerializer, "_serialize_type_structure", _serialize)  # noqa: B010  # as above
setattr(Item, "__init__", _init)  # noqa: B010  # as above
