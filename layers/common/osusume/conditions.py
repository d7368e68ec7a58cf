"""Conditional writes to S3 and DynamoDB."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError

_CONDITION_FAILED = {
    "ConditionalCheckFailedException",  # DynamoDB
    "PreconditionFailed",  # S3
    "ConditionalRequestConflict",  # S3, where another write came in between
}


def is_condition_failure(error: ClientError) -> bool:
    """Return whether `error` says that the condition of a write does not hold."""
    return error.response["Error"]["Code"] in _CONDITION_FAILED


def write_if(write: Callable[..., object], **arguments: object) -> bool:
    """Call a client's conditional `write` with `arguments`; return False if its condition does not hold."""
    try:
        write(**arguments)
    except ClientError as error:
        if not is_condition_failure(error):
            raise
        return False
    return True
