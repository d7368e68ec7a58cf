"""Caches what moto looks up for every request although it never changes: its service folders and method names.

Importing this module changes moto for the whole process.
"""

from __future__ import annotations

import functools

from moto import backends
from moto.core import responses, utils

_moto_modules = backends.list_of_moto_modules


@functools.cache
def _modules() -> tuple[str, ...]:
    return tuple(_moto_modules())


setattr(backends, "list_of_moto_modules", _modules)  # noqa: B010  # mypy forbids to assign a function
setattr(responses, "method_names_from_class", functools.cache(utils.method_names_from_class))  # noqa: B010  # as above
