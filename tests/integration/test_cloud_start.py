"""Starting and stopping the local cloud: rejected templates and parameters, missing permissions."""

import time
from pathlib import Path
from typing import Any

import pytest

from local.cloud.cloud import Cloud
from local.cloud.errors import FunctionError, TemplateError

TEMPLATE = Path(__file__).parents[1] / "fixtures" / "cloud" / "template.yaml"


def test_a_handler_that_cannot_be_imported_fails_its_event() -> None:
    def edit(template: dict[str, Any]) -> None:
        template["Resources"]["WorkerFunction"]["Properties"]["Handler"] = "worker.nowhere.handler"

    with Cloud(TEMPLATE, {"Greeting": "hello"}, edit=edit) as cloud, pytest.raises(FunctionError, match="ImportModule"):
        cloud.invoke("WorkerFunction", {"do": "echo"})


def test_a_second_process_answers_while_the_first_is_busy(tmp_path: Path) -> None:
    sign = str(tmp_path / "sign")
    with Cloud(TEMPLATE, {"Greeting": "hello"}, time_limits={"WorkerFunction": 30}) as cloud:
        cloud.invoke_async("WorkerFunction", {"do": "wait_for", "path": sign})
        cloud.invoke("WorkerFunction", {"do": "leave_sign", "path": sign})
        cloud.wait_until_idle(20)
        assert [invocation.error for invocation in cloud.invocations] == [None, None]


def test_stopping_does_not_wait_for_events_under_way(tmp_path: Path) -> None:
    began = time.monotonic()
    limits = {"WorkerFunction": 60}
    with Cloud(TEMPLATE, {"Greeting": "hello"}, time_limits=limits, retry_delays=(60,), state_dir=tmp_path) as cloud:
        cloud.invoke_async("WorkerFunction", {"do": "sleep", "seconds": 50})
        cloud.invoke_async("WorkerFunction", {"do": "fail"})
        cloud.invoke("WorkerFunction", {"do": "say", "text": "written to a file"})
    assert time.monotonic() - began < 40
    assert "written to a file" in (tmp_path / "WorkerFunction.log").read_text("utf-8")


def test_the_callers_own_aws_settings_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "not-there")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Cloud(TEMPLATE, {"Greeting": "hello"}) as cloud:
        assert cloud.client("sts").get_caller_identity()["Arn"].endswith(":user/local-administrator")
        environment = cloud.invoke("WorkerFunction", {"do": "settings"})["environment"]
        assert environment["AWS_REGION"] == "ap-northeast-1"


def test_logs_that_the_role_may_not_write_are_reported() -> None:
    def edit(template: dict[str, Any]) -> None:
        template["Resources"]["WorkerRole"]["Properties"]["Policies"] = []

    with Cloud(TEMPLATE, {"Greeting": "hello"}, edit=edit) as cloud:
        cloud.invoke("WorkerFunction", {"do": "echo"})
        assert [error for error in cloud.delivery_errors if "logs of WorkerFunction" in error]


def test_a_role_that_lambda_may_not_assume_fails_the_event() -> None:
    def edit(template: dict[str, Any]) -> None:
        trust = template["Resources"]["WorkerRole"]["Properties"]["AssumeRolePolicyDocument"]
        trust["Statement"][0]["Principal"] = {"Service": "ec2.amazonaws.com"}

    with (
        Cloud(TEMPLATE, {"Greeting": "hello"}, edit=edit) as cloud,
        pytest.raises(FunctionError, match=r"does not let lambda\.amazonaws\.com assume it"),
    ):
        cloud.invoke("WorkerFunction", {"do": "echo"})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "parameter Greeting has no default"),
        ({"Greeting": "HELLO"}, "parameter Greeting must be a word in small letters, not 'HELLO'"),
        ({"Greeting": "hello", "Limit": "10"}, "parameter Limit must be at most 9, not '10'"),
        ({"Greeting": "hello", "Limit": "ten"}, "parameter Limit must be a number, not 'ten'"),
        ({"Greeting": "hello", "Unknown": "1"}, "no parameter Unknown"),
    ],
)
def test_parameters_are_checked(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(TemplateError, match=message), Cloud(TEMPLATE, parameters):
        pass
