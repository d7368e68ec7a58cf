"""Secrets in SSM SecureString parameters, read at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import GetParameterError, SSMProvider

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

SECONDS_BETWEEN_READS = 5


class SecretMissing(RuntimeError):
    """Raised when a secret cannot be read; the message names the parameter and how to create it, never a value."""


class KeptSecret:
    """The value of the SSM parameter `name`, kept by a warm function and read at most every few `seconds`."""

    def __init__(self, ssm: SSMClient, name: str, seconds: int = SECONDS_BETWEEN_READS) -> None:
        self._ssm, self._name, self._seconds = ssm, name, seconds
        self._provider = SSMProvider(boto3_client=ssm)
        self._value = ""

    def value(self) -> str:
        """Return the secret, reading it the first time. Raises `SecretMissing`."""
        self._value = self._value or self._read()
        return self._value

    def has_changed(self) -> bool:
        """Read the secret again, keep its value, and return whether it was rotated.

        The limit on reads keeps forged requests from causing as many calls.
        """
        before, self._value = self._value, self._read()
        return self._value != before

    def _read(self) -> str:
        try:
            value = str(self._provider.get(self._name, max_age=self._seconds, decrypt=True)).strip()
        except GetParameterError as error:
            if isinstance(error.__context__, self._ssm.exceptions.ParameterNotFound):
                raise _missing(self._name, "does not exist") from None
            raise
        if not value:
            raise _missing(self._name, "is empty")
        return value


def read_secret(ssm: SSMClient, name: str) -> str:
    """Return the decrypted value of the SSM parameter `name`. Raises `SecretMissing` if there is none."""
    return KeptSecret(ssm, name).value()


def _missing(name: str, what: str) -> SecretMissing:
    return SecretMissing(
        f"the SSM parameter {name} {what}: store it with 'python -m ops secrets', which asks for it without showing it"
    )
