"""Spares moto what takes most of its time: looking up what never changes, and copying values of DynamoDB.

Importing this module changes moto for the whole process.
"""

from __future__ import annotations

import functools
from typing import Any

from moto import backends
from moto.core import responses, utils
from moto.core.serialize import BaseJSONSerializer

_moto_modules = backends.list_of_moto_modules
_serialize_structure = BaseJSONSerializer._serialize_type_structure
_READY = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})
"""Kinds of DynamoDB's values that moto holds as they are sent; binary ones it still has to encode."""


@functools.cache
def _modules() -> tuple[str, ...]:
    return tuple(_moto_modules())


def _serialize(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """Pass on a simple value, for which moto would try each of the ten kinds under several names."""
    if shape.name == "AttributeValue" and type(value) is dict and _READY.issuperset(value):
        self._default_serialize(serialized, value, shape, key)
    else:
        _serialize_structure(self, serialized, value, shape, key)


setattr(backends, "list_of_moto_modules", _modules)  # noqa: B010  # mypy forbids to assign a function
setattr(responses, "method_names_from_class", functools.cache(utils.method_names_from_class))  # noqa: B010  # as above
setattr(BaseJSONSerializer, "_serialize_type_structure", _serialize)  # noqa: B010  # as above
