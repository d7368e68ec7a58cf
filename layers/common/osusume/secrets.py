"""Secrets, which live in SSM SecureString parameters and are read when a function runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


SECONDS_BETWEEN_READS = 5


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


class KeptSecret:
    """A secret that a warm function keeps. `clock` gives seconds."""

    def __init__(self, ssm: SSMClient, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._ssm, self._name, self._clock = ssm, name, clock
        self._value: str | None = None
        self._read_at = 0.0

    def value(self) -> str:
        """Return the secret, which is read the first time. Raises `SecretMissing`."""
        if self._value is None:
            self._value, self._read_at = read_secret(self._ssm, self._name), self._clock()
        return self._value

    def has_changed(self) -> bool:
        """Return whether the secret was rotated since it was read, and keep the new value.

        It is read again at most every few seconds, so that forged requests do not turn into as many calls.
        """
        if self._clock() - self._read_at < SECONDS_BETWEEN_READS:
            return False
        before, self._value = self._value, None
        return self.value() != before


def _missing(name: str, what: str) -> SecretMissing:
    return SecretMissing(
        f"the SSM parameter {name} {what}: create it with"
        f" 'aws ssm put-parameter --type SecureString --overwrite --name {name} --value ...'"
    )
