"""An AWS account on this machine without a stack, to which stacks are deployed through AWS's own API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.config import Config
from moto.s3.models import s3_backends

from local.cloud.access import ACCOUNT, REGION, create_administrator
from local.cloud.cloud import alone
from local.cloud.moto_access import enforce
from local.cloud.stack import AwsServer, clear
from local.cloud.template import ARTIFACT_BUCKET, isolated_session


class Account:
    """`endpoint` is the address of every AWS service, `credentials` are keys of an administrator."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint, self.credentials = endpoint, create_administrator("local-administrator")
        self._session = isolated_session(REGION)
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:  # boto3's clients are made at run time
        """Return a boto3 client with administrator permissions."""
        if service not in self._clients:
            self._clients[service] = self._session.client(  # type: ignore[call-overload]  # any service
                service,
                endpoint_url=self.endpoint,
                aws_access_key_id=self.credentials.access_key,
                aws_secret_access_key=self.credentials.secret_key,
                config=Config(proxies={}),
            )
        return self._clients[service]


@contextmanager
def empty_account() -> Iterator[Account]:
    """Serve an account for the duration of the context. Functions of its stacks do not run; `Cloud` runs them."""
    with alone():
        clear()
        s3_backends[ACCOUNT]["aws"].create_bucket(ARTIFACT_BUCKET, REGION)
        enforce(enabled=True)
        server = AwsServer()
        try:
            yield Account(server.url)
        finally:
            server.close()
            clear()
