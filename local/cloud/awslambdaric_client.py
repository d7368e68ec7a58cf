"""A script that runs AWS's client of the Lambda Runtime API on an address that ends in a path."""

from __future__ import annotations

import sys
from typing import Any

sys.path.pop(0)  # the function must not import from this folder

from awslambdaric import __main__ as awslambdaric
from awslambdaric.lambda_runtime_client import BaseLambdaRuntimeClient

_Client: Any = BaseLambdaRuntimeClient  # it has no types
_call = _Client.call_rapid


def _call_under_path(client: Any, method: str, endpoint: str, *rest: Any, **options: Any) -> None:
    """Report an initialization error under the path; the C++ part already uses the whole address."""
    address, _, root = client.lambda_runtime_address.partition("/")
    _call(_Client(address), method, f"/{root}{endpoint}", *rest, **options)


_Client.call_rapid = _call_under_path

if __name__ == "__main__":
    main: Any = awslambdaric.main
    main(sys.argv)
