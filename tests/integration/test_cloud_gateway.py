"""The local cloud's HTTP API: routes, signatures, events and responses."""

import base64
import copy
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.auth
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.cloud.cloud import Cloud

TEMPLATE = Path(__file__).parents[1] / "fixtures" / "cloud" / "template.yaml"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    def edit(template: dict[str, Any]) -> None:
        paths = template["Resources"]["HttpApi"]["Properties"]["Body"]["paths"]
        slow = paths["/open/slow/one"] = copy.deepcopy(paths["/open/{name}"])
        slow["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]["timeoutInMillis"] = 200

    with Cloud(TEMPLATE, {"Greeting": "hello"}, edit=edit) as running:
        yield running


@pytest.fixture(scope="module")
def role(cloud: Cloud) -> Credentials:
    """The worker's own credentials; its policy allows it to invoke the closed route."""
    environment = cloud.invoke("WorkerFunction", {"do": "settings"})["environment"]
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return Credentials(*(environment[name] for name in names))


def signed(cloud: Cloud, credentials: Credentials, path: str, body: str = "{}", region: str = "ap-northeast-1") -> Any:
    request = AWSRequest("POST", f"{cloud.api_url}{path}", JSON, body)
    SigV4Auth(credentials, "execute-api", region).add_auth(request)
    return request


def send(request: Any, body: str | None = None, headers: Mapping[str, str] | None = None) -> requests.Response:
    given = {**dict(request.headers), **(headers or {})}
    return requests.post(request.url, data=request.data if body is None else body, headers=given, timeout=10)


def forbidden(response: requests.Response) -> bool:
    return response.status_code == 403 and response.json() == {"message": "Forbidden"}


def test_a_signed_request_reaches_the_function(cloud: Cloud, role: Credentials) -> None:
    response = send(signed(cloud, role, "/closed?b=2&a=%E9%9B%A8", '{"text": "雨"}'))
    assert response.status_code == 201
    event = response.json()
    assert event["routeKey"] == "POST /closed"
    assert event["requestContext"]["authorizer"]["iam"]["userArn"].endswith("/osusume-worker")


def test_an_unsigned_request_is_forbidden(cloud: Cloud) -> None:
    assert forbidden(requests.post(f"{cloud.api_url}/closed", json={}, timeout=10))


def test_an_altered_request_is_forbidden(cloud: Cloud, role: Credentials) -> None:
    assert forbidden(send(signed(cloud, role, "/closed"), body='{"altered": true}'))


@pytest.mark.parametrize("part", ["secret_key", "token"])
def test_a_wrong_secret_or_token_is_forbidden(cloud: Cloud, role: Credentials, part: str) -> None:
    wrong = copy.copy(role)
    setattr(wrong, part, "wrong")
    assert forbidden(send(signed(cloud, wrong, "/closed")))


def test_a_signature_for_another_region_is_forbidden(cloud: Cloud, role: Credentials) -> None:
    assert forbidden(send(signed(cloud, role, "/closed", region="us-east-1")))


def test_an_old_signature_is_forbidden(cloud: Cloud, role: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    then = datetime.now(UTC) - timedelta(minutes=6)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: then)
    request = signed(cloud, role, "/closed")
    assert then.strftime("%H%M") in request.headers["X-Amz-Date"]
    assert forbidden(send(request))


def test_a_user_without_permission_is_forbidden(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    iam.create_user(UserName="somebody")
    key = iam.create_access_key(UserName="somebody")["AccessKey"]
    assert forbidden(send(signed(cloud, Credentials(key["AccessKeyId"], key["SecretAccessKey"]), "/closed")))


def test_an_open_route_accepts_any_method_and_passes_path_parameters(cloud: Cloud) -> None:
    event = requests.put(f"{cloud.api_url}/open/%E9%9B%A8?a=1&a=2", timeout=10).json()
    assert event["version"] == "2.0"
    assert event["routeKey"] == "ANY /open/{name}"
    assert event["rawPath"] == "/open/雨"
    assert event["pathParameters"] == {"name": "雨"}
    assert event["rawQueryString"] == "a=1&a=2"
    assert event["queryStringParameters"] == {"a": "1,2"}
    assert event["requestContext"]["http"]["method"] == "PUT"
    assert "body" not in event


def test_json_arrives_as_text_and_forms_in_base64(cloud: Cloud) -> None:
    url = f"{cloud.api_url}/open/a"
    text = requests.post(url, data='{"a": "雨"}'.encode(), headers=JSON, timeout=10).json()
    assert (text["body"], text["isBase64Encoded"]) == ('{"a": "雨"}', False)
    form = requests.post(url, data={"payload": "{}"}, timeout=10).json()
    assert (base64.b64decode(form["body"]), form["isBase64Encoded"]) == (b"payload=%7B%7D", True)


def test_cookies_and_headers_pass_both_ways(cloud: Cloud) -> None:
    response = requests.get(f"{cloud.api_url}/open/a", headers={"X-Mine": "1"}, cookies={"c": "3"}, timeout=10)
    assert response.json()["headers"]["x-mine"] == "1"
    assert response.json()["cookies"] == ["c=3"]
    assert response.headers["x-kind"] == "echo"
    assert response.cookies.get_dict() == {"a": "1", "b": "2"}


def test_a_response_without_a_status_is_json(cloud: Cloud) -> None:
    response = requests.get(f"{cloud.api_url}/open/a?plain=1", timeout=10)
    assert (response.status_code, response.json()) == (200, {"plain": True})


def test_a_failing_function_is_an_internal_error(cloud: Cloud) -> None:
    response = requests.get(f"{cloud.api_url}/open/a?fail=1", timeout=10)
    assert (response.status_code, response.json()) == (500, {"message": "Internal Server Error"})


def test_a_slow_function_is_unavailable_and_continues(cloud: Cloud) -> None:
    before = cloud.api_errors
    response = requests.get(f"{cloud.api_url}/open/slow/one?sleep=0.5", timeout=10)
    assert (response.status_code, response.json()) == (503, {"message": "Service Unavailable"})
    cloud.wait_until_idle(10)
    assert cloud.invocations[-1].response["statusCode"] == 201
    assert cloud.api_errors == before + 1


def test_an_unknown_route_is_not_found(cloud: Cloud) -> None:
    response = requests.get(f"{cloud.api_url}/closed", timeout=10)
    assert (response.status_code, response.json()) == (404, {"message": "Not Found"})


@pytest.mark.parametrize("size", [7_000_000, 11_000_000])
def test_a_body_over_the_limits_is_refused(cloud: Cloud, size: int) -> None:
    response = requests.post(f"{cloud.api_url}/open/a", data=b"x" * size, timeout=10)
    assert response.status_code == 413
