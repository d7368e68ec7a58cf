"""Access to the local cloud's servers: only with a signature or a token, and never from a web page."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from faults.wire import EDGES, Wire

from local.cloud.cloud import Cloud
from local.cloud.runtime_api import Event, Outcome, RuntimeApi
from local.cloud.stack import AwsServer
from local.machine import ROOT

TEMPLATE = Path(__file__).parents[1] / "fixtures" / "cloud" / "template.yaml"
SECRET = "/cloud/secret"
FOREIGN = [
    {"Origin": "http://attacker.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Host": "attacker.example"},
    {"Host": "127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud(TEMPLATE, {"Greeting": "hello"}, secrets={SECRET: "s3cret"}) as running:
        yield running


def signed(cloud: Cloud, url: str, service: str, *, method: str = "POST", body: str = "", **headers: str) -> Any:
    """Return a request with the administrator's signature, as `requests` sends it."""
    credentials = cloud.client(service)._request_signer._credentials
    request = AWSRequest(method, url, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    kind(credentials, service, "ap-northeast-1").add_auth(request)
    return request


def send(request: Any, **headers: str) -> requests.Response:
    given = {**dict(request.headers), **headers}
    return requests.request(request.method, request.url, data=request.data, headers=given, timeout=10)


@pytest.mark.parametrize("path", ["/moto-api/", "/moto-api/reset", "/moto-api/reset-auth", "/moto-api/data.json"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_motos_own_api_is_refused_even_to_the_administrator(cloud: Cloud, path: str, method: str) -> None:
    assert send(signed(cloud, cloud.endpoint + path, "s3", method=method)).status_code == 403
    assert requests.request(method, cloud.endpoint + path, data="0", timeout=5).status_code == 403
    assert cloud.client("ssm").get_parameter(Name=SECRET)["Parameter"]["Name"] == SECRET


@pytest.mark.parametrize(
    ("service", "headers", "body"),
    [
        ("ssm", {"X-Amz-Target": "AmazonSSM.GetParameter"}, f'{{"Name": "{SECRET}", "WithDecryption": true}}'),
        ("dynamodb", {"X-Amz-Target": "DynamoDB_20120810.ListTables"}, "{}"),
        ("sts", {}, "Action=GetCallerIdentity&Version=2011-06-15"),
        (
            "sts",
            {},
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=a&WebIdentityToken=a&RoleArn=a",
        ),
        ("s3", {}, ""),
    ],
)
@pytest.mark.parametrize(
    "authorization", ["", "AWS4-HMAC-SHA256 Credential=AKIA/20260401/ap-northeast-1/{}/aws4_request"]
)
def test_an_unsigned_request_is_refused(
    cloud: Cloud, service: str, headers: dict[str, str], body: str, authorization: str
) -> None:
    given = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    if authorization:
        given["Authorization"] = f"{authorization.format(service)}, SignedHeaders=host, Signature={'0' * 64}"

    answer = requests.post(cloud.endpoint, body, headers=given, timeout=5)

    assert answer.status_code == 403
    assert "s3cret" not in answer.text


@pytest.mark.parametrize("change", ["body", "path", "chunks"])
def test_a_request_that_was_changed_after_it_was_signed_is_refused(cloud: Cloud, change: str) -> None:
    request = signed(
        cloud, f"{cloud.endpoint}/", "ssm", body='{"Name": "/other"}', X_Amz_Target="AmazonSSM.GetParameter"
    )
    wanted = f'{{"Name": "{SECRET}", "WithDecryption": true}}'.encode()
    if change == "path":
        request.url += "other"
    else:
        request.data = wanted if change == "body" else iter([wanted])

    answer = send(request)

    assert answer.status_code == 403
    assert "s3cret" not in answer.text


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_is_refused_even_with_a_signature(cloud: Cloud, headers: dict[str, str]) -> None:
    request = signed(cloud, f"{cloud.endpoint}/osusume-123456789012?list-type=2", "s3", method="GET")

    assert send(request).status_code == 200
    assert send(request, **headers).status_code == 403


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_gateway_refuses_requests_from_a_page(cloud: Cloud, headers: dict[str, str], method: str) -> None:
    address = f"{cloud.api_url}/open/x"

    assert requests.request(method, address, timeout=10).status_code != 403
    assert requests.request(method, address, headers=headers, timeout=10).status_code == 403


@pytest.mark.parametrize("origin", [None, "http://attacker.example"])
def test_no_answer_lets_another_page_read_it(cloud: Cloud, origin: str | None) -> None:
    asks = {"Access-Control-Request-Method": "POST", **({"Origin": origin} if origin else {})}
    for address in (cloud.endpoint, f"{cloud.api_url}/open/x"):
        for method in ("OPTIONS", "GET", "POST"):
            answer = requests.request(method, address, headers=asks, timeout=10)
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
            assert method != "OPTIONS" or answer.status_code == 403
    answer = send(signed(cloud, f"{cloud.endpoint}/osusume-123456789012?list-type=2", "s3", method="GET"))
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_keys_and_tokens_are_new_for_each_cloud(cloud: Cloud) -> None:
    first = cloud.client("s3")._request_signer._credentials
    environment = cloud.invoke("WorkerFunction", {"do": "settings"})["environment"]
    other = cloud.invoke("WorkerFunction", {"do": "settings"})["environment"]

    assert environment["AWS_LAMBDA_RUNTIME_API"] == other["AWS_LAMBDA_RUNTIME_API"]  # the same process
    assert len(environment["AWS_LAMBDA_RUNTIME_API"].partition("/")[2]) >= 32
    assert len({first.secret_key, environment["AWS_SECRET_ACCESS_KEY"]}) == 2
    assert all(len(key) >= 40 for key in (first.secret_key, environment["AWS_SECRET_ACCESS_KEY"]))


class OneEvent:
    """An environment with one event."""

    def next_event(self) -> Event | None:
        return Event("request-1", b'{"secret": true}', "arn", 1.0)

    def answer(self, request_id: str, outcome: Outcome) -> bool:  # noqa: ARG002  # the protocol's
        return True

    def fail_to_start(self, error: dict[str, Any]) -> None:
        raise AssertionError(error)


@pytest.fixture
def runtime() -> Iterator[RuntimeApi]:
    with RuntimeApi(OneEvent()) as api:
        yield api
        api.shutdown()


def test_the_runtime_api_serves_the_process_that_knows_its_address(runtime: RuntimeApi) -> None:
    answer = requests.get(f"http://{runtime.address}/2018-06-01/runtime/invocation/next", timeout=5)

    assert answer.json() == {"secret": True}


@pytest.mark.parametrize("root", ["", "/wrong", "/wrong/2018-06-01/runtime/..", "/トークン"])
def test_the_runtime_api_gives_nobody_else_an_event(runtime: RuntimeApi, root: str) -> None:
    address = f"http://127.0.0.1:{runtime.server_port}{root}/2018-06-01/runtime"

    assert requests.get(f"{address}/invocation/next", timeout=5).status_code == 404
    assert requests.post(f"{address}/init/error", json={}, timeout=5).status_code == 404
    assert requests.post(f"{address}/invocation/request-1/response", json={}, timeout=5).status_code == 404


@pytest.mark.parametrize("headers", FOREIGN)
def test_the_runtime_api_refuses_requests_from_a_page(runtime: RuntimeApi, headers: dict[str, str]) -> None:
    address = f"http://{runtime.address}/2018-06-01/runtime/invocation/next"

    assert requests.get(address, headers=headers, timeout=5).status_code == 403


@pytest.mark.parametrize("headers", FOREIGN)
def test_the_wire_refuses_requests_from_a_page(headers: dict[str, str]) -> None:
    with Wire(["WorkerFunction"]) as wire:
        for edge in EDGES:
            address = wire.address("WorkerFunction", edge)
            assert requests.post(address, headers=headers, timeout=5).status_code == 403
        assert wire.log == []


def test_each_process_makes_secrets_of_its_own() -> None:
    script = "from local import machine; print(machine.BOT_TOKEN, machine.SIGNING_SECRET)"
    command = [sys.executable, "-c", script]
    printed = [subprocess.check_output(command, cwd=ROOT, text=True) for _ in range(2)]  # noqa: S603  # the command above

    assert len({secret for line in printed for secret in line.split()}) == 4


def test_aws_requires_a_signature_before_anything_is_set_up() -> None:
    server = AwsServer()
    try:
        assert requests.get(server.url, timeout=5).status_code == 403
    finally:
        server.close()
