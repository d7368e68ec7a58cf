from dataclasses import dataclass
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from conftest import Stores

from osusume.secrets import SECONDS_BETWEEN_READS, KeptSecret, SecretMissing, read_secret


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def name() -> str:
    return f"/osusume/{uuid4().hex}"


def put(stores: Stores, name: str, value: str) -> None:
    stores.ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def test_a_secret_is_read_decrypted_and_without_the_line_end_of_the_shell(stores: Stores, name: str) -> None:
    put(stores, name, "s3cret\n")
    assert read_secret(stores.ssm, name) == "s3cret"


def test_a_missing_secret_is_named_with_the_command_that_creates_it(stores: Stores, name: str) -> None:
    with pytest.raises(SecretMissing, match=f"{name} does not exist: .*aws ssm put-parameter .*--name {name} "):
        read_secret(stores.ssm, name)


def test_an_empty_secret_is_missing_too(stores: Stores, name: str) -> None:
    put(stores, name, "  \n")
    with pytest.raises(SecretMissing, match=f"{name} is empty"):
        read_secret(stores.ssm, name)


def test_another_failure_of_the_store_is_not_taken_for_a_missing_secret(stores: Stores, name: str) -> None:
    put(stores, name, "s3cret")
    with pytest.raises(ClientError, match="ParameterVersionNotFound"):
        read_secret(stores.ssm, f"{name}:99")


def test_a_kept_secret_is_read_once(stores: Stores, name: str) -> None:
    put(stores, name, "first")
    secret = KeptSecret(stores.ssm, name, Clock())
    assert secret.value() == "first"
    put(stores, name, "second")
    assert secret.value() == "first"


def test_a_kept_secret_that_was_rotated_is_noticed_and_kept(stores: Stores, name: str) -> None:
    clock = Clock()
    put(stores, name, "first")
    secret = KeptSecret(stores.ssm, name, clock)
    secret.value()
    put(stores, name, "second")
    clock.now += SECONDS_BETWEEN_READS
    assert secret.has_changed()
    assert secret.value() == "second"


def test_a_kept_secret_that_was_not_rotated_has_not_changed(stores: Stores, name: str) -> None:
    clock = Clock()
    put(stores, name, "first")
    secret = KeptSecret(stores.ssm, name, clock)
    secret.value()
    clock.now += SECONDS_BETWEEN_READS
    assert not secret.has_changed()


def test_a_kept_secret_is_not_read_again_within_seconds_of_the_last_time(stores: Stores, name: str) -> None:
    clock = Clock()
    put(stores, name, "first")
    secret = KeptSecret(stores.ssm, name, clock)
    secret.value()
    clock.now += SECONDS_BETWEEN_READS
    assert not secret.has_changed()
    put(stores, name, "second")
    clock.now += SECONDS_BETWEEN_READS - 0.5
    assert not secret.has_changed()
    clock.now += 0.5
    assert secret.has_changed()


def test_a_secret_deleted_while_it_is_kept_is_missing_without_its_value_in_the_error(stores: Stores, name: str) -> None:
    clock = Clock()
    put(stores, name, "s3cret")
    secret = KeptSecret(stores.ssm, name, clock)
    secret.value()
    stores.ssm.delete_parameter(Name=name)
    clock.now += SECONDS_BETWEEN_READS
    with pytest.raises(SecretMissing) as caught:
        secret.has_changed()
    assert "s3cret" not in str(caught.value)
