"""The small Runtime API client, which takes awslambdaric's place where that is not installed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cloud.runtime import FunctionProcess, fallback_command

HANDLER = """
def handler(event, context):
    print("seen", event["n"])
    if event["n"] == 0:
        raise ZeroDivisionError("no zero")
    return {"n": event["n"], "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis()}
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[FunctionProcess]:
    (tmp_path / "sample.py").write_text(HANDLER, "utf-8")
    names = ("FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE", "LOG_GROUP_NAME", "LOG_STREAM_NAME")
    environment = {f"AWS_LAMBDA_{name}": "1" for name in names}
    started = FunctionProcess(
        fallback_command("sample.handler"), {**environment, "PYTHONPATH": str(tmp_path)}, tmp_path
    )
    yield started
    started.close()


def test_it_answers_events_one_after_another(process: FunctionProcess) -> None:
    for number in (1, 2):
        outcome = process.invoke(json.dumps({"n": number}).encode(), f"request-{number}", "arn:f", 5.0)
        assert outcome.response is not None
        answer = json.loads(outcome.response)
        assert (answer["n"], answer["arn"]) == (number, "arn:f")
        assert 0 < answer["left"] <= 5000
        assert outcome.log == [f"seen {number}"]


def test_it_reports_an_exception_and_goes_on(process: FunctionProcess) -> None:
    failed = process.invoke(b'{"n": 0}', "request-1", "arn:f", 5.0)
    assert failed.error is not None
    assert (failed.error["errorType"], failed.error["errorMessage"]) == ("ZeroDivisionError", "no zero")
    assert process.invoke(b'{"n": 1}', "request-2", "arn:f", 5.0).error is None
