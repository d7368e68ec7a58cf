"""AWS's own client of the Lambda Runtime API, for an address that ends in a path. Run as a script."""

from __future__ import annotations

import sys
from typing import Any

sys.path.pop(0)  # this folder: its modules are none of the function's

from awslambdaric import __main__ as awslambdaric
from awslambdaric.lambda_runtime_client import BaseLambdaRuntimeClient

_Client: Any = BaseLambdaRuntimeClient  # it has no types
_call = _Client.call_rapid


def _call_under_path(client: Any, method: str, endpoint: str, *rest: Any, **options: Any) -> None:
    """Report an error that kept the function from starting: the part written in C++ takes the address as it is."""
    address, _, root = client.lambda_runtime_address.partition("/")
    _call(_Client(address), method, f"/{root}{endpoint}", *rest, **options)


_Client.call_rapid = _call_under_path

if __name__ == "__main__":
    main: Any = awslambdaric.main
    main(sys.argv)
