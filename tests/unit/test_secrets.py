from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from conftest import Stores

from osusume.secrets import KeptSecret, SecretMissing, read_secret


@pytest.fixture
def name() -> str:
    return f"/osusume/{uuid4().hex}"


def put(stores: Stores, name: str, value: str) -> None:
    stores.ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def test_a_secret_is_read_decrypted_and_without_the_line_end_of_the_shell(stores: Stores, name: str) -> None:
    put(stores, name, "s3cret\n")
    assert read_secret(stores.ssm, name) == "s3cret"


def test_a_missing_secret_is_named_with_the_command_that_creates_it(stores: Stores, name: str) -> None:
    with pytest.raises(SecretMissing, match=f"{name} does not exist: .*python -m ops secrets"):
        read_secret(stores.ssm, name)


def test_an_empty_secret_is_missing_too(stores: Stores, name: str) -> None:
    put(stores, name, "  \n")
    with pytest.raises(SecretMissing, match=f"{name} is empty"):
        read_secret(stores.ssm, name)


def test_another_failure_of_the_store_is_not_taken_for_a_missing_secret(stores: Stores, name: str) -> None:
    put(stores, name, "s3cret")
    with pytest.raises(ClientError, match="ParameterVersionNotFound"):
        read_secret(stores.ssm, f"{name}:99")


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_kept_secret_is_read_once(stores: Stores, name: str, seconds: int) -> None:
    put(stores, name, "first")
    secret = KeptSecret(stores.ssm, name, seconds)
    assert secret.value() == "first"
    put(stores, name, "second")
    assert secret.value() == "first"


def test_a_kept_secret_that_was_rotated_is_noticed_and_kept(stores: Stores, name: str) -> None:
    put(stores, name, "first")
    secret = KeptSecret(stores.ssm, name, 0)
    secret.value()
    assert not secret.has_changed()
    put(stores, name, "second")
    assert secret.has_changed()
    assert secret.value() == "second"


def test_a_kept_secret_is_not_read_again_within_seconds_of_the_last_time(stores: Stores, name: str) -> None:
    put(stores, name, "first")
    secret = KeptSecret(stores.ssm, name, 60)
    secret.value()
    put(stores, name, "second")
    assert not secret.has_changed()
    assert secret.value() == "first"


def test_a_secret_deleted_while_it_is_kept_is_missing_without_its_value_in_the_error(stores: Stores, name: str) -> None:
    put(stores, name, "s3cret")
    secret = KeptSecret(stores.ssm, name, 0)
    secret.value()
    stores.ssm.delete_parameter(Name=name)
    with pytest.raises(SecretMissing) as caught:
        secret.has_changed()
    assert "s3cret" not in str(caught.value)
