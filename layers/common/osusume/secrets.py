"""Secrets in SSM SecureString parameters, read at run time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

SECONDS_BETWEEN_READS = 5


class Parameters(Protocol):
    """The SSM client, or what stands in for it."""

    @property
    def get_parameter(self) -> Callable[..., Mapping[str, Any]]:
        """The call that returns a parameter, as boto3's client has it."""


class SecretMissing(RuntimeError):
    """Raised when a secret cannot be read; the message names the parameter and how to create it, never a value."""


class KeptSecret:
    """The value of the SSM parameter `name`, kept by a warm function and read at most every few `seconds`."""

    def __init__(self, ssm: Parameters, name: str, seconds: float = SECONDS_BETWEEN_READS) -> None:
        self._ssm, self._name, self._seconds = ssm, name, seconds
        self._value = ""
        self._read_at = float("-inf")

    def value(self) -> str:
        """Return the secret, reading it the first time. Raises `SecretMissing`."""
        self._value = self._value or self._read()
        return self._value

    def has_changed(self) -> bool:
        """Read the secret again, keep its value, and return whether it was rotated.

        The limit on reads keeps forged requests from causing as many calls.
        """
        if time.monotonic() - self._read_at < self._seconds:
            return False
        before, self._value = self._value, self._read()
        return self._value != before

    def _read(self) -> str:
        self._read_at = time.monotonic()
        return read_secret(self._ssm, self._name)


def read_secret(ssm: Parameters, name: str) -> str:
    """Return the decrypted value of the SSM parameter `name`. Raises `SecretMissing` if there is none."""
    try:
        value = str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]).strip()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            raise _missing(name, "does not exist") from None
        raise
    if not value:
        raise _missing(name, "is empty")
    return value


def _missing(name: str, what: str) -> SecretMissing:
    return SecretMissing(
        f"the SSM parameter {name} {what}: store it with 'python -m ops secrets', which asks for it without showing it"
    )
