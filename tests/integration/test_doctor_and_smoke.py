"""The doctor is right about each line in both of its states; the smoke test finds what does not work."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from scenario import operated, owners_environment, warm_up

from local.cloud.access import REGION
from local.machine import BOT_TOKEN, PARAMETERS, ROOT, SCHEDULE, SIGNING_SECRET, Machine, one_machine
from local.slack import as_text
from ops.deploying import Answers, default_of, definitions
from ops.doctor import machine_lines, needed_scopes, stack_lines
from ops.smoke import TEST_ITEM

TOKEN, SECRET = "/osusume/slack-bot-token", "/osusume/slack-signing-secret"

Ops = Callable[..., str]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with one_machine(crawl_delay=0.0, retry_delays=(0.0, 0.0), parameters={"ItemLimit": "10"}) as machine:
        yield machine


@pytest.fixture(scope="module")
def owner(machine: Machine) -> dict[str, str]:
    return owners_environment(machine)


@pytest.fixture
def ops(
    owner: dict[str, str],
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Ops]:
    """Run an operation with `typed` on its standard input; return all it prints. Mends Slack and SSM afterwards."""
    monkeypatch.chdir(tmp_path)
    for name, value in owner.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str = "", fail: bool = False) -> str:
        told = operated(monkeypatch, capsys, *arguments, typed=typed, fail=fail)
        assert not any(line in told.out + told.err for line in typed.split() if len(line) > 12), "a secret is shown"
        return told.out + told.err

    scopes = list(machine.slack.scopes)
    yield run
    machine.slack.channel.has_app, machine.slack.scopes = True, scopes
    for name, value in ((TOKEN, BOT_TOKEN), (SECRET, SIGNING_SECRET)):
        store(machine, name, value)


def store(machine: Machine, name: str, value: str) -> None:
    machine.cloud.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def answer(stack: str = "osusume", **changes: str) -> None:
    defaults = {name: default_of(name) or "" for name in definitions()}
    Answers(stack, REGION, {**defaults, **PARAMETERS, **changes}).save()


def program(folder: Path, name: str, status: int) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\nexit {status}\n", "utf-8")
    path.chmod(0o755)


def test_the_doctor_knows_what_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # programs of this test answer for pip and the engine
    sam, package = tmp_path / "sam", tmp_path / "package"
    shutil.copytree(ROOT / "model" / "starter", package)
    for status, states in ((0, ["ok"] * 5), (1, ["missing"] * 5)):
        program(tmp_path, "python3", status)
        program(tmp_path, "docker", status)
        if status == 0:
            sam.touch()
        else:
            sam.unlink()
            (package / "head.npz").write_bytes(b"altered")
        lines = list(machine_lines((3, 13, 1) if status == 0 else (3, 10, 9), sam, package))
        assert [line.state for line in lines] == states
        assert all(bool(line.remedy) == (line.state == "missing") for line in lines)
    none = next(reversed(list(machine_lines(sam=sam, package=tmp_path / "none"))))
    assert (none.state, "make deploy makes one" in none.what) == ("note", True)
    (tmp_path / "docker").unlink()
    assert [line.state for line in machine_lines(sam=sam, package=package)][2] == "missing", "no engine at all"


def test_the_doctor_is_content_with_a_stack_that_works(ops: Ops) -> None:
    answer()
    told = ops("doctor", fail="missing" in "".join(map(str, machine_lines())))
    for line in (
        "AWS account 123456789012",
        "region ap-northeast-1 (Tokyo)",
        "the name osusume",
        "07:00 Asia/Tokyo",
        "osusume is deployed (CREATE_COMPLETE)",
        f"the secret {TOKEN}",
        f"the secret {SECRET}",
        "has its scopes",
        "the app is in the channel C0LOCAL0001",
    ):
        assert f"{line}" in told
    shown = told[told.index("AWS account") :]
    assert "missing  " not in shown


def test_the_doctor_names_what_is_missing_and_what_mends_it(
    machine: Machine, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = boto3.Session(region_name=REGION)

    def told(stack: str = "osusume") -> str:
        return "\n".join(map(str, stack_lines(session, stack)))

    new = told("osusume-new")
    assert "note     nothing was answered yet" in new
    assert "nothing is in its way" in new
    assert new.count("-> make secrets STACK=osusume-new") == 2
    assert "cannot be the name of the stack" in told("Osusume")
    machine.cloud.client("dynamodb").create_table(
        TableName="osusume-old-labels",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "item_id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "item_id", "KeyType": "HASH"}],
    )
    assert "-> python -m ops adopt --stack osusume-old --yes" in told("osusume-old")
    answer(TimeZone="Asia/Tokio")
    assert "-> make deploy STACK=osusume ASK=1" in told()
    answer()
    machine.slack.scopes = ["chat:write", "channels:history", "channels:read"]
    assert "lacks groups:history, groups:read" in told()
    machine.slack.scopes = ["chat:write"]
    assert "(missing_scope)" in told()
    machine.slack.scopes = sorted(needed_scopes())
    machine.slack.channel.has_app = False
    assert "type /invite @osusume there" in told()
    store(machine, TOKEN, "xoxb-another-app-s-token")
    assert "-> python -m ops rotate-secret bot-token --stack osusume --yes" in told()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    assert "no AWS credentials that work" in ops("doctor", fail=True)
    abroad = list(stack_lines(boto3.Session(region_name="us-east-1"), "osusume"))
    assert [line.state for line in abroad] == ["missing"], "without credentials nothing else is seen"


def test_leaving_tokyo_is_said_and_keeps_nobody_from_deploying(ops: Ops) -> None:
    lines = list(stack_lines(boto3.Session(region_name="us-east-1"), "osusume-new"))
    (note,) = (line for line in lines if "us-east-1 is not Tokyo" in line.what)
    assert note.state == "note"


def test_both_secrets_are_stored_once_and_never_shown(machine: Machine, ops: Ops) -> None:
    ssm = machine.cloud.client("ssm")
    told = ops("secrets", "--stack", "osusume-dev", typed=f"{BOT_TOKEN}\n{SIGNING_SECRET}\n")
    assert told.count("is stored") == 2
    for name, value in (("bot-token", BOT_TOKEN), ("signing-secret", SIGNING_SECRET)):
        stored = ssm.get_parameter(Name=f"/osusume-dev/slack-{name}", WithDecryption=True)["Parameter"]
        assert (stored["Value"], stored["Type"]) == (value, "SecureString")
    assert ops("secrets", "--stack", "osusume-dev").count("is stored already") == 2
    assert "not a bot token" in ops("secrets", "--stack", "osusume-other", typed="hello\n", fail=True)


def test_a_deployed_stack_passes_the_smoke_test_which_teaches_it_nothing(machine: Machine, ops: Ops) -> None:
    warm_up(machine)
    told = ops("smoke", "--within", "30")
    assert told.count("ok      ") == 3
    assert f"presses to {machine.cloud.api_url}/slack/interactions" in told
    assert "動作確認" in as_text(machine.slack.messages[-1])
    machine.cloud.wait_until_idle(60)
    assert [run for run in machine.cloud.invocations if run.error] == [], "no alarm rings"
    assert machine.labels.get(TEST_ITEM) is None
    assert list(machine.ledger.all()) == []
    assert machine.snapshot_keys == []
    pages = [path for _, path, _ in machine.site.log if "/product_id/" in path]
    assert len(pages) == 1
    assert "failed  a press: answered after" in ops("smoke", "--within", "0.0001", fail=True)
    assert [path for _, path, _ in machine.site.log if "/product_id/" in path] == pages, "its page is kept"
    machine.site.clear_log()
    machine.cloud.fire_schedule(SCHEDULE, datetime(2026, 4, 1, 22, 0, tzinfo=UTC))
    machine.cloud.wait_until_idle(60)
    read = [path for _, path, _ in machine.site.log if "/product_id/" in path]
    assert read
    assert pages[0] not in read, "the crawl finds the page that the smoke test kept"
    newest = pages[0].rpartition("/")[2].partition(".")[0]
    assert newest in {item.item_id for item in machine.snapshot(machine.snapshot_keys[-1]).items}


def test_the_smoke_test_says_which_part_does_not_work(machine: Machine, ops: Ops) -> None:
    for name in (TOKEN, SECRET):
        machine.cloud.client("ssm").delete_parameter(Name=name)
    told = ops("smoke", "--within", "30", fail=True)
    assert "failed  a press: the signing secret is not stored" in told
    assert "failed  osusume-notifier failed: SecretMissing" in told
    assert TOKEN in told
    assert "2 of 3 checks failed" in told
