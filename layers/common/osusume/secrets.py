"""Secrets, which live in SSM SecureString parameters and are read when a function runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import GetParameterError, SSMProvider

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

SECONDS_BETWEEN_READS = 5


class SecretMissing(RuntimeError):
    """Raised when a secret cannot be read; the message names the parameter and how to create it, never a value."""


class KeptSecret:
    """The SSM parameter `name`, which a warm function keeps. It is read again after `seconds` at the earliest."""

    def __init__(self, ssm: SSMClient, name: str, seconds: int = SECONDS_BETWEEN_READS) -> None:
        self._ssm, self._name, self._seconds = ssm, name, seconds
        self._provider = SSMProvider(boto3_client=ssm)
        self._value = ""

    def value(self) -> str:
        """Return the secret, which is read the first time. Raises `SecretMissing`."""
        self._value = self._value or self._read()
        return self._value

    def has_changed(self) -> bool:
        """Return whether the secret was rotated since it was read, and keep the new value.

        It is read again at most every few seconds, so that forged requests do not turn into as many calls.
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
    """Return the decrypted value of the SSM parameter `name`. Raises `SecretMissing` where there is none."""
    return KeptSecret(ssm, name).value()


def _missing(name: str, what: str) -> SecretMissing:
    return SecretMissing(
        f"the SSM parameter {name} {what}: create it with"
        f" 'aws ssm put-parameter --type SecureString --overwrite --name {name} --value ...'"
    )
