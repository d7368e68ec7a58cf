"""Each operation of `python -m ops` on a machine where something went wrong."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from injector import rules_of, slack_rule
from scenario import operated, owners_environment, warm_up

from local.machine import BOT_TOKEN, ROOT, SIGNING_SECRET, Machine, one_machine
from local.slack import duplicate_posts
from model.serving.head import Head
from model.serving.package import ENCODER, HEAD, TOKENIZER, read_card, write_package
from ops.__main__ import main
from osusume.items import Item
from osusume.labels import Label
from osusume.messages import INTERESTED, NOT_INTERESTED
from osusume.snapshots import Snapshot, snapshot_key, snapshot_time, write_snapshot

MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)
TOKEN_PARAMETER = "/osusume/slack-bot-token"
SECRET_PARAMETER = "/osusume/slack-signing-secret"
ENCODER_SHA = read_card(ROOT / "model" / "starter").files[ENCODER]


Ops = Callable[..., str]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """One machine for all tests here; a test that needs a snapshot brings its own."""
    with one_machine(parameters={"ExploredItemsADay": "2"}, retry_delays=(0.0, 0.0)) as machine:
        bring_snapshot(machine)
        yield machine


@pytest.fixture(scope="module")
def owner(machine: Machine) -> dict[str, str]:
    return owners_environment(machine)


@pytest.fixture
def ops(
    owner: dict[str, str], machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Ops]:
    """Run an operation with `typed` on its standard input, and return what it prints, or its error if it must `fail`.

    Repairs afterwards what the test broke in Slack and SSM.
    """
    for name, value in owner.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str = "", fail: bool = False) -> str:
        told = operated(monkeypatch, capsys, *arguments, typed=typed, fail=fail)
        machine.cloud.wait_until_idle(60)
        assert not typed or typed.strip() not in told.out + told.err, "a secret is never shown"
        return told.err if fail else told.out

    yield run
    rules_of(machine.slack).clear()
    store_secret(machine, TOKEN_PARAMETER, BOT_TOKEN)
    store_secret(machine, SECRET_PARAMETER, SIGNING_SECRET)
    sqs, url = machine.cloud.client("sqs"), machine.cloud.resources["DeadLetters"]
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def store_secret(machine: Machine, name: str, value: str) -> None:
    machine.cloud.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def bring_snapshot(machine: Machine) -> str:
    """Put a snapshot of three new works into the bucket, wait until all is idle, and return its key."""
    days = len(machine.snapshot_keys)
    numbers = [f"RJ{50 + days}{number:06}" for number in range(3)]
    items = [
        Item(number, "dlsite", f"https://www.dlsite.com/home/work/=/product_id/{number}.html", f"雨の夜 {number}")
        for number in numbers
    ]
    at = MORNING + timedelta(days=days)
    key = snapshot_key("dlsite", at)
    write_snapshot(machine.cloud.client("s3"), machine.cloud.resources["Bucket"], key, Snapshot("dlsite", at, items))
    machine.cloud.wait_until_idle(60)
    return key


def not_posted(machine: Machine, key: str) -> list[str]:
    return sorted(r.item.item_id for r in machine.records_of(key) if r.choice != "passed" and r.status != "posted")


def send_letter(machine: Machine, body: str, **attributes: str) -> None:
    machine.cloud.client("sqs").send_message(
        QueueUrl=machine.cloud.resources["DeadLetters"],
        MessageBody=body,
        MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()},
    )


def listed_letters(ops: Ops) -> list[dict[str, str]]:
    letters: list[dict[str, str]] = json.loads(ops("dead-letters", "list", "--json"))
    return letters


def test_a_dead_letter_says_what_failed_and_why_and_is_gone_once_sent(machine: Machine, ops: Ops) -> None:
    machine.cloud.client("ssm").delete_parameter(Name=TOKEN_PARAMETER)
    key = bring_snapshot(machine)
    (letter,) = listed_letters(ops)
    assert letter["function"] == "osusume-notifier"
    assert letter["subject"] == key
    assert "SecretMissing" in letter["reason"]
    assert "would send again" in ops("dead-letters", "send", letter["letter_id"])
    store_secret(machine, TOKEN_PARAMETER, BOT_TOKEN)
    ops("dead-letters", "send", letter["letter_id"], "--yes")
    assert listed_letters(ops) == []
    assert machine.cloud.invocations[-1].error is None
    assert machine.records_of(key)
    assert not_posted(machine, key) == []


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:lambda:ap-northeast-1:999999999999:function:osusume-crawler",
        "arn:aws:lambda:us-east-1:{account}:function:osusume-crawler",
        "arn:aws:lambda:ap-northeast-1:{account}:function:osusume-crawler-2",
        "arn:aws:lambda:ap-northeast-1:{account}:function:payroll",
        "arn:aws:lambda:ap-northeast-1:{account}:function:osusume-crawler:7",
        "arn:aws:states:ap-northeast-1:{account}:function:osusume-crawler",
    ],
)
def test_a_letter_that_names_a_function_of_another_stack_is_not_sent(machine: Machine, ops: Ops, arn: str) -> None:
    crawler = machine.cloud.client("lambda").get_function(FunctionName="osusume-crawler")["Configuration"]
    send_letter(machine, "{}", TARGET_ARN=arn.format(account=crawler["FunctionArn"].split(":")[4]))
    invocations = len(machine.cloud.invocations)
    (letter,) = listed_letters(ops)
    assert "not a function of stack 'osusume'" in ops("dead-letters", "send", letter["letter_id"], "--yes", fail=True)
    assert len(machine.cloud.invocations) == invocations
    assert len(listed_letters(ops)) == 1


def test_a_letter_of_the_scheduler_starts_the_crawler_again(machine: Machine, ops: Ops) -> None:
    crawler = machine.cloud.client("lambda").get_function(FunctionName="osusume-crawler")["Configuration"]
    event = '{"scheduled_at": "2026-04-01T22:00:00Z"}'
    reason = {"ERROR_CODE": "Throttled", "ERROR_MESSAGE": "Rate exceeded"}
    send_letter(machine, event, TARGET_ARN=crawler["FunctionArn"], **reason)
    assert "the crawl due at 2026-04-01T22:00:00Z\n    Throttled: Rate exceeded" in ops("dead-letters", "list")
    ops("dead-letters", "send", "--all", "--yes")
    assert machine.cloud.invocations[-1].function == "CrawlerFunction"
    assert listed_letters(ops) == []


def test_a_letter_that_cannot_be_sent_again_stays_and_is_an_error(machine: Machine, ops: Ops) -> None:
    send_letter(machine, "hello")
    assert "names no function" in ops("dead-letters", "send", "--all", "--yes", fail=True)
    assert len(listed_letters(ops)) == 1
    assert "no letter nowhere" in ops("dead-letters", "send", "nowhere", "--yes", fail=True)


def test_messages_that_slack_refused_are_posted_once_on_repost(machine: Machine, ops: Ops) -> None:
    rules_of(machine.slack).append(slack_rule("chat.postMessage", times=99, error="channel_not_found"))
    key = bring_snapshot(machine)
    waiting = not_posted(machine, key)
    assert waiting
    rules_of(machine.slack).clear()
    assert f"{len(waiting) + 1} messages of earlier runs wait" in ops("repost")  # the summary too
    assert not_posted(machine, key) == waiting
    ops("repost", "--yes")
    assert not_posted(machine, key) == []
    assert duplicate_posts(machine.slack.log) == 0
    assert ops("repost").startswith("0 messages")


def test_messages_that_were_given_up_are_retried_on_request(machine: Machine, ops: Ops) -> None:
    rules_of(machine.slack).append(slack_rule("chat.postMessage", times=99, error="invalid_blocks"))
    key = bring_snapshot(machine)  # refused in each of three attempts
    refused = [record.item.item_id for record in machine.records_of(key) if record.status == "refused"]
    assert refused
    rules_of(machine.slack).clear()
    ops("repost", "--yes")
    assert not_posted(machine, key) == sorted(refused)
    told = ops("repost", "--given-up")
    assert all(item_id in told for item_id in refused)
    ops("repost", "--given-up", "--yes")
    assert not_posted(machine, key) == []
    assert ops("repost", "--given-up") == "0 messages of earlier runs wait to be posted\n0 messages were given up\n"


def test_a_snapshot_that_failed_is_posted_by_its_key_or_its_day(machine: Machine, ops: Ops) -> None:
    machine.cloud.client("ssm").delete_parameter(Name=TOKEN_PARAMETER)
    key = bring_snapshot(machine)
    assert machine.records_of(key) == []
    assert "SecretMissing" in ops("repost", "--snapshot", key, "--yes", fail=True)
    store_secret(machine, TOKEN_PARAMETER, BOT_TOKEN)
    day = (MORNING + timedelta(days=len(machine.snapshot_keys) - 1, hours=9)).date().isoformat()  # in Tokyo
    assert f"{key}: done, 0 without a record, 0 to post" in ops("repost", "--date", day, "--yes")
    assert machine.records_of(key)
    posts = machine.slack.posts
    ops("repost", "--snapshot", key, "--yes")
    assert machine.slack.posts == posts


def test_lost_labels_are_put_back_and_newer_presses_stay(machine: Machine, ops: Ops) -> None:
    lost, changed = [message.item_id for message in machine.slack.messages if message.item_id][:2]
    assert lost
    assert changed
    warm_up(machine)
    for item_id in (lost, changed):
        assert machine.press(item_id, INTERESTED) == 200
    before = machine.labels.get(lost)
    told = ops("restore-labels", "--at", "2026-04-02 07:00", "--keep", "--yes")
    table = "osusume-labels-as-of-20260401-220000"
    assert f"2 labels in {table}: 0 put back, 2 unchanged, 0 newer ones kept" in told
    machine.cloud.client("dynamodb").delete_item(TableName="osusume-labels", Key={"item_id": {"S": lost}})
    assert machine.press(changed, NOT_INTERESTED) == 200
    assert "would put back" in ops("restore-labels", "--from-table", table)
    assert machine.labels.get(lost) is None
    told = ops("restore-labels", "--from-table", table, "--yes")
    assert "1 put back, 0 unchanged, 1 newer ones kept" in told
    assert machine.labels.get(lost) == before
    newer = machine.labels.get(changed)
    assert newer is not None
    assert not newer.is_interested
    assert f"--from-table {table}" in ops("restore-labels", "--at", "2026-04-02 07:00", "--yes", fail=True)


def test_labels_that_overwrote_others_are_put_back_to_a_chosen_time(machine: Machine, ops: Ops) -> None:
    first, second = [message.item_id for message in machine.slack.messages if message.item_id][:2]
    assert first
    assert second
    warm_up(machine)
    machine.cloud.client("dynamodb").delete_item(TableName="osusume-labels", Key={"item_id": {"S": second}})
    assert machine.press(first, INTERESTED) == 200
    before = machine.labels.get(first)
    table = "osusume-labels-as-of-20260403-000000"
    ops("restore-labels", "--at", "2026-04-03T00:00:00Z")
    wrong = Label(first, False, "import", f"{time.time() + 9:.6f}", "2026-04-03 09:00:00", "annotation")
    new = Label(second, False, "import", f"{time.time() + 9:.6f}", "2026-04-03 09:00:00", "annotation")
    machine.labels.store(wrong)
    machine.labels.store(new)
    assert "0 put back" in ops("restore-labels", "--from-table", table, "--yes")
    told = ops("restore-labels", "--from-table", table, "--origin", "annotation")
    assert f"{first}: not interested" in told
    assert f"{second}: not interested" in told
    assert "-> no label" in told
    assert machine.labels.get(first) == wrong
    assert "0 put back" in ops("restore-labels", "--from-table", table, "--user", "U0NOBODY", "--yes")
    assert "2 put back" in ops("restore-labels", "--from-table", table, "--user", "import", "--yes")
    assert (machine.labels.get(first), machine.labels.get(second)) == (before, None)
    machine.labels.store(new)
    assert "1 put back" in ops("restore-labels", "--from-table", table, "--all", "--yes")
    assert machine.labels.get(second) is None


def test_a_restored_table_is_deleted_once_its_labels_are_back(machine: Machine, ops: Ops) -> None:
    ops("restore-labels", "--at", "2026-04-02T00:00:00Z", "--yes")
    tables = machine.cloud.client("dynamodb").list_tables()["TableNames"]
    assert "osusume-labels-as-of-20260402-000000" not in tables


def test_a_token_is_stored_only_if_slack_accepts_it_and_is_never_shown(machine: Machine, ops: Ops) -> None:
    store_secret(machine, TOKEN_PARAMETER, "xoxb-broken")
    for typed, complaint in (("hello-token", "not a bot token"), ("xoxb-of-somebody-else", "invalid_auth")):
        assert complaint in ops("rotate-secret", "bot-token", "--yes", typed=typed + "\n", fail=True)
    assert "was not stored" in ops("rotate-secret", "bot-token", typed=BOT_TOKEN)
    ops("rotate-secret", "bot-token", "--yes", typed=BOT_TOKEN + "\n")
    stored = machine.cloud.client("ssm").get_parameter(Name=TOKEN_PARAMETER, WithDecryption=True)
    assert stored["Parameter"]["Value"] == BOT_TOKEN


def test_a_token_is_stored_with_a_warning_when_slack_cannot_be_reached(
    ops: Ops, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLACK_API_URL", "http://127.0.0.1:9/")
    monkeypatch.setattr("sys.stdin", io.StringIO(BOT_TOKEN))
    assert main(["rotate-secret", "bot-token", "--yes"]) == 0
    assert "Slack cannot be reached" in capsys.readouterr().err


def test_a_new_signing_secret_counts_at_once(machine: Machine, ops: Ops) -> None:
    item_id = next(message.item_id for message in machine.slack.messages if message.item_id)
    ops("rotate-secret", "signing-secret", "--yes", typed=BOT_TOKEN, fail=True)
    ops("rotate-secret", "signing-secret", "--yes", typed="0123456789abcdef0123456789abcdef")
    machine.cloud.kill("FeedbackFunction")
    warm_up(machine)
    assert machine.press(item_id, INTERESTED) == 401
    ops("rotate-secret", "signing-secret", "--yes", typed=SIGNING_SECRET)
    machine.cloud.kill("FeedbackFunction")
    warm_up(machine)
    assert machine.press(item_id, INTERESTED) == 200


def test_a_head_is_stored_promoted_and_rolled_back(machine: Machine, ops: Ops, tmp_path: Path) -> None:
    starter = ROOT / "model" / "starter"
    own = read_card(starter).version
    head = Head.from_bytes((starter / HEAD).read_bytes())
    files = (starter / ENCODER).read_bytes(), (starter / TOKENIZER).read_bytes()
    card = write_package(tmp_path, replace(read_card(starter), version="newer"), replace(head, bias=1.0), *files)
    assert f"scores with {own}" in ops("model", "list")
    ops("model", "promote", card.version, "--yes", fail=True)
    assert "would store" in ops("model", "push", str(tmp_path))
    ops("model", "push", str(tmp_path), "--yes")
    assert "would promote" in ops("model", "promote", card.version)
    ops("model", "promote", card.version, "--yes")
    machine.cloud.kill("ClassifierFunction")
    listed = ops("model", "list")
    assert f"{card.version}  promoted\n" in listed
    assert f"scores with {card.version}" in listed
    assert "would roll back" in ops("model", "roll-back")
    ops("model", "roll-back", "--yes")
    machine.cloud.kill("ClassifierFunction")
    assert f"scores with {own}" in ops("model", "list")
    ops("model", "roll-back", "--yes", fail=True)


def test_the_trainer_learns_on_request_and_lists_its_decisions(machine: Machine, ops: Ops) -> None:
    assert ops("train", "--decisions") == ""
    assert ops("train") == "would run osusume-trainer: add --yes to do it\n"
    assert "the first head needs" in ops("train", "--yes")
    assert ops("train", "--yes") == "Nothing was pressed since the last refit.\n"
    assert "wait" in ops("train", "--decisions")
    machine.cloud.client("s3").put_object(
        Bucket=machine.cloud.resources["Bucket"], Key=f"models/{ENCODER_SHA}/promoted.json", Body=b"{"
    )
    assert "osusume-trainer failed: " in ops("train", "--yes", fail=True)
    machine.cloud.client("s3").delete_object(
        Bucket=machine.cloud.resources["Bucket"], Key=f"models/{ENCODER_SHA}/promoted.json"
    )


def test_the_status_is_what_the_stack_holds(machine: Machine, ops: Ops) -> None:
    key, cloudwatch = bring_snapshot(machine), machine.cloud.client("cloudwatch")
    posted = sum(record.ts is not None for record in machine.records_of(key))
    due = snapshot_time(key).astimezone(ZoneInfo("Asia/Tokyo"))
    send_letter(machine, "hello")
    told = ops("status")
    assert "alarms        none rings\ndead letters  1\n" in told
    assert f"head in use   {read_card(ROOT / 'model' / 'starter').version}\n" in told
    (row,) = (line.split() for line in told.splitlines() if f"{due:%Y-%m-%d %H:%M}" in line)
    assert [row[2], row[3], row[-2], row[-1]] == ["3", "3", str(posted), "posted"]
    assert len(re.findall(r"(?:none yet|\d+ of \d+) +9[59]% +(?:-?\d+%|used up)", told)) == 3
    name = machine.cloud.resources["DeadLettersWaiting"]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    assert "alarms        DeadLettersWaiting rings\n" in ops("status")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["dead-letters", "send"], "give the ids of letters"),
        (["repost", "--snapshot", "snapshots/dlsite/2020/01/01/000000Z.json", "--yes"], "there is no snapshot"),
        (["repost", "--date", "2020-01-01", "--yes"], "no snapshot of 2020-01-01"),
        (["repost", "--stack", "elsewhere"], "no stack 'elsewhere' in ap-northeast-1: name another with --stack"),
        (["restore-labels", "--at", "yesterday"], "--at must be a time such as"),
        (["model", "push", "nowhere", "--yes"], "card.json"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_the_remedy(ops: Ops, arguments: list[str], complaint: str) -> None:
    assert complaint in ops(*arguments, fail=True)


def test_missing_credentials_are_an_error_that_names_the_remedy(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "aws configure" in ops("repost", fail=True)


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("dead-letters", "repost", "restore-labels", "rotate-secret", "model"):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
        told = capsys.readouterr().out
        assert f"python -m ops {command}" in told
        assert "exit status:" in told
