"""Secrets, which live in SSM SecureString parameters and are read when a function runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class SecretMissing(RuntimeError):
    """Raised when a secret cannot be read; the message names the parameter and how to create it, never a value."""


def read_secret(ssm: SSMClient, name: str) -> str:
    """Return the decrypted value of the SSM parameter `name`. Raises `SecretMissing` where there is none."""
    try:
        value = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"].strip()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            raise _missing(name, "does not exist") from None
        raise
    if not value:
        raise _missing(name, "is empty")
    return value


def _missing(name: str, what: str) -> SecretMissing:
    return SecretMissing(
        f"the SSM parameter {name} {what}: create it with"
        f" 'aws ssm put-parameter --type SecureString --overwrite --name {name} --value ...'"
    )
