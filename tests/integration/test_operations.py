"""Each operation of `python -m ops` on one machine, on which something went wrong."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from injector import rules_of, slack_rule
from scenario import warm_up

from local.cloud.access import REGION
from local.machine import BOT_TOKEN, ROOT, SIGNING_SECRET, Machine, one_machine
from local.slack import duplicate_posts
from model.serving.head import Head
from model.serving.package import ENCODER, HEAD, TOKENIZER, read_card, write_package
from ops.__main__ import main
from osusume.items import Item
from osusume.labels import Label
from osusume.messages import INTERESTED, NOT_INTERESTED
from osusume.snapshots import Snapshot, snapshot_key, write_snapshot

MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)
TOKEN_PARAMETER = "/osusume/slack-bot-token"
SECRET_PARAMETER = "/osusume/slack-signing-secret"


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Ops = Callable[..., Outcome]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """One machine for all tests here; each brings a snapshot of its own where it needs one."""
    with one_machine(parameters={"ExploredItemsADay": "2"}, retry_delays=(0.0, 0.0)) as machine:
        bring_snapshot(machine)
        yield machine


@pytest.fixture(scope="module")
def owner(machine: Machine) -> dict[str, str]:
    """The environment of somebody with keys to the account."""
    iam = machine.cloud.client("iam")
    iam.create_user(UserName="owner")
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_user_policy(UserName="owner", PolicyName="all", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="owner")["AccessKey"]
    return {
        "AWS_ENDPOINT_URL": machine.cloud.endpoint,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SLACK_API_URL": machine.slack.api_url,
    }


@pytest.fixture
def ops(
    owner: dict[str, str], machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Ops]:
    """Run an operation, with `typed` on its standard input; what a test breaks in Slack or SSM is mended after it."""
    for name, value in owner.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str = "") -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = main(arguments)
        told = capsys.readouterr()
        machine.cloud.wait_until_idle(60)
        return Outcome(status, told.out, told.err)

    yield run
    rules_of(machine.slack).clear()
    store_secret(machine, TOKEN_PARAMETER, BOT_TOKEN)
    store_secret(machine, SECRET_PARAMETER, SIGNING_SECRET)
    sqs, url = machine.cloud.client("sqs"), machine.cloud.resources["DeadLetters"]
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def store_secret(machine: Machine, name: str, value: str) -> None:
    machine.cloud.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def restart(machine: Machine, function: str) -> None:
    """End the warm processes of a function: the next event starts a new one."""
    for pid in machine.cloud.pids(function):
        os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):  # somebody heard of its end already
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def bring_snapshot(machine: Machine) -> str:
    """Put a snapshot of three works never seen before into the bucket, wait for what comes of it, return its key."""
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


def listed_letters(ops: Ops) -> list[dict[str, str]]:
    letters: list[dict[str, str]] = json.loads(ops("dead-letters", "list", "--json").out)
    return letters


def test_a_dead_letter_says_what_failed_and_why_and_is_gone_once_it_was_sent_again(machine: Machine, ops: Ops) -> None:
    machine.cloud.client("ssm").delete_parameter(Name=TOKEN_PARAMETER)
    key = bring_snapshot(machine)
    (letter,) = listed_letters(ops)
    assert letter["function"] == "osusume-notifier"
    assert letter["subject"] == key
    assert "SecretMissing" in letter["reason"]
    told = ops("dead-letters", "send", letter["letter_id"])
    assert (told.status, "would send again" in told.out) == (0, True)
    store_secret(machine, TOKEN_PARAMETER, BOT_TOKEN)
    assert ops("dead-letters", "send", letter["letter_id"], "--yes").status == 0
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
    sqs = machine.cloud.client("sqs")
    queue = machine.cloud.resources["DeadLetters"]
    own = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    target = arn.format(account=own.split(":")[4])
    attributes = {"TARGET_ARN": {"DataType": "String", "StringValue": target}}
    sqs.send_message(QueueUrl=queue, MessageBody="{}", MessageAttributes=attributes)
    invocations = len(machine.cloud.invocations)
    (letter,) = listed_letters(ops)
    told = ops("dead-letters", "send", letter["letter_id"], "--yes")
    assert (told.status, "no function of stack 'osusume'" in told.err) == (1, True)
    assert len(machine.cloud.invocations) == invocations
    (message,) = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def test_a_letter_of_the_scheduler_starts_the_crawler_again(machine: Machine, ops: Ops) -> None:
    crawler = machine.cloud.client("lambda").get_function(FunctionName="osusume-crawler")["Configuration"][
        "FunctionArn"
    ]
    machine.cloud.client("sqs").send_message(
        QueueUrl=machine.cloud.resources["DeadLetters"],
        MessageBody='{"scheduled_at": "2026-04-01T22:00:00Z"}',
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value}
            for name, value in {
                "TARGET_ARN": crawler,
                "ERROR_CODE": "Throttled",
                "ERROR_MESSAGE": "Rate exceeded",
            }.items()
        },
    )
    assert "the crawl due at 2026-04-01T22:00:00Z\n    Throttled: Rate exceeded" in ops("dead-letters", "list").out
    assert ops("dead-letters", "send", "--all", "--yes").status == 0
    assert machine.cloud.invocations[-1].function == "CrawlerFunction"
    assert listed_letters(ops) == []


def test_what_cannot_be_sent_again_stays_and_is_an_error(machine: Machine, ops: Ops) -> None:
    machine.cloud.client("sqs").send_message(QueueUrl=machine.cloud.resources["DeadLetters"], MessageBody="hello")
    told = ops("dead-letters", "send", "--all", "--yes")
    assert told.status == 1
    assert "names no function" in told.err
    assert len(listed_letters(ops)) == 1
    unknown = ops("dead-letters", "send", "nowhere", "--yes")
    assert (unknown.status, "no letter nowhere" in unknown.err) == (1, True)
    assert ops("dead-letters", "send").status == 1


def test_what_slack_refused_is_posted_once_when_it_is_posted_again(machine: Machine, ops: Ops) -> None:
    rules_of(machine.slack).append(slack_rule("chat.postMessage", times=99, error="channel_not_found"))
    key = bring_snapshot(machine)
    waiting = not_posted(machine, key)
    assert waiting
    rules_of(machine.slack).clear()
    told = ops("repost")
    assert told.status == 0
    assert f"{len(waiting) + 1} messages of earlier runs wait" in told.out  # and the run's own
    assert not_posted(machine, key) == waiting
    assert ops("repost", "--yes").status == 0
    assert not_posted(machine, key) == []
    assert duplicate_posts(machine.slack.log) == 0
    assert ops("repost").out.startswith("0 messages")


def test_what_was_given_up_is_tried_once_more_when_it_is_asked_for(machine: Machine, ops: Ops) -> None:
    rules_of(machine.slack).append(slack_rule("chat.postMessage", times=99, error="invalid_blocks"))
    key = bring_snapshot(machine)  # refused in each of three attempts
    refused = [record.item.item_id for record in machine.records_of(key) if record.status == "refused"]
    assert refused
    rules_of(machine.slack).clear()
    assert ops("repost", "--yes").status == 0
    assert not_posted(machine, key) == sorted(refused)
    told = ops("repost", "--given-up")
    assert all(item_id in told.out for item_id in refused)
    assert ops("repost", "--given-up", "--yes").status == 0
    assert not_posted(machine, key) == []
    assert ops("repost", "--given-up").out == "0 messages of earlier runs wait to be posted\n0 messages were given up\n"


def test_a_snapshot_that_nobody_was_told_of_is_posted_by_its_key_or_its_day(machine: Machine, ops: Ops) -> None:
    machine.cloud.client("ssm").delete_parameter(Name=TOKEN_PARAMETER)
    key = bring_snapshot(machine)
    assert machine.records_of(key) == []
    failed = ops("repost", "--snapshot", key, "--yes")
    assert failed.status == 1
    assert "SecretMissing" in failed.err
    store_secret(machine, TOKEN_PARAMETER, BOT_TOKEN)
    day = (MORNING + timedelta(days=len(machine.snapshot_keys) - 1, hours=9)).date().isoformat()  # in Tokyo
    told = ops("repost", "--date", day, "--yes")
    assert told.status == 0
    assert f"{key}: done, 0 without a record, 0 to post" in told.out
    assert machine.records_of(key)
    posts = machine.slack.posts
    assert ops("repost", "--snapshot", key, "--yes").status == 0
    assert machine.slack.posts == posts


def test_a_snapshot_or_a_day_that_is_not_there_is_an_error(ops: Ops) -> None:
    told = ops("repost", "--snapshot", "snapshots/dlsite/2020/01/01/000000Z.json", "--yes")
    assert (told.status, "there is no snapshot" in told.err) == (1, True)
    told = ops("repost", "--date", "2020-01-01", "--yes")
    assert (told.status, "no snapshot of 2020-01-01" in told.err) == (1, True)


def test_lost_labels_are_put_back_and_newer_presses_stay(machine: Machine, ops: Ops) -> None:
    lost, changed = [message.item_id for message in machine.slack.messages if message.item_id][:2]
    assert lost
    assert changed
    warm_up(machine)
    for item_id in (lost, changed):
        assert machine.slack.press(item_id, INTERESTED).status_code == 200
    before = machine.labels.get(lost)
    told = ops("restore-labels", "--at", "2026-04-02 07:00", "--keep", "--yes")
    table = "osusume-labels-as-of-20260401-220000"
    assert told.status == 0
    assert "2 labels in " + table + ": 0 put back, 2 stood unchanged, 0 left to newer presses" in told.out
    machine.cloud.client("dynamodb").delete_item(TableName="osusume-labels", Key={"item_id": {"S": lost}})
    assert machine.slack.press(changed, NOT_INTERESTED).status_code == 200
    assert "would put back" in ops("restore-labels", "--from-table", table).out
    assert machine.labels.get(lost) is None
    told = ops("restore-labels", "--from-table", table, "--yes")
    assert "1 put back, 0 stood unchanged, 1 left to newer presses" in told.out
    assert machine.labels.get(lost) == before
    newer = machine.labels.get(changed)
    assert newer is not None
    assert not newer.is_interested
    again = ops("restore-labels", "--at", "2026-04-02 07:00", "--yes")
    assert (again.status, f"--from-table {table}" in again.err) == (1, True)


def test_labels_that_overwrote_others_are_taken_back_to_a_chosen_time(machine: Machine, ops: Ops) -> None:
    first, second = [message.item_id for message in machine.slack.messages if message.item_id][:2]
    assert first
    assert second
    warm_up(machine)
    machine.cloud.client("dynamodb").delete_item(TableName="osusume-labels", Key={"item_id": {"S": second}})
    assert machine.slack.press(first, INTERESTED).status_code == 200
    before = machine.labels.get(first)
    table = "osusume-labels-as-of-20260403-000000"
    assert ops("restore-labels", "--at", "2026-04-03T00:00:00Z").status == 0
    wrong = Label(first, False, "import", f"{time.time() + 9:.6f}", "2026-04-03 09:00:00", "annotation")
    new = Label(second, False, "import", f"{time.time() + 9:.6f}", "2026-04-03 09:00:00", "annotation")
    machine.labels.store(wrong)
    machine.labels.store(new)
    assert "0 put back" in ops("restore-labels", "--from-table", table, "--yes").out
    told = ops("restore-labels", "--from-table", table, "--origin", "annotation")
    assert f"{first}: not interested" in told.out
    assert f"{second}: not interested" in told.out
    assert "-> no label" in told.out
    assert machine.labels.get(first) == wrong
    assert "0 put back" in ops("restore-labels", "--from-table", table, "--user", "U0NOBODY", "--yes").out
    assert "2 put back" in ops("restore-labels", "--from-table", table, "--user", "import", "--yes").out
    assert (machine.labels.get(first), machine.labels.get(second)) == (before, None)
    machine.labels.store(new)
    assert "1 put back" in ops("restore-labels", "--from-table", table, "--all", "--yes").out
    assert machine.labels.get(second) is None


def test_a_time_that_is_none_is_an_error(ops: Ops) -> None:
    told = ops("restore-labels", "--at", "yesterday")
    assert (told.status, "--at must be a time such as" in told.err) == (1, True)


def test_a_restored_table_is_deleted_when_its_labels_are_back(machine: Machine, ops: Ops) -> None:
    assert ops("restore-labels", "--at", "2026-04-02T00:00:00Z", "--yes").status == 0
    tables = machine.cloud.client("dynamodb").list_tables()["TableNames"]
    assert "osusume-labels-as-of-20260402-000000" not in tables


def test_a_token_is_stored_only_when_slack_takes_it_and_is_never_shown(machine: Machine, ops: Ops) -> None:
    store_secret(machine, TOKEN_PARAMETER, "xoxb-broken")
    for typed, complaint in (("hello-token", "not a bot token"), ("xoxb-of-somebody-else", "invalid_auth")):
        told = ops("rotate-secret", "bot-token", "--yes", typed=typed + "\n")
        assert told.status == 1
        assert complaint in told.err
        assert typed not in told.out + told.err
    told = ops("rotate-secret", "bot-token", typed=BOT_TOKEN)
    assert (told.status, "was not stored" in told.out) == (0, True)
    told = ops("rotate-secret", "bot-token", "--yes", typed=BOT_TOKEN + "\n")
    assert told.status == 0
    assert BOT_TOKEN not in told.out + told.err
    assert secret_of(machine, TOKEN_PARAMETER) == BOT_TOKEN


def test_a_token_is_stored_with_a_warning_when_slack_cannot_be_asked(
    machine: Machine, ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_API_URL", "http://127.0.0.1:9/")
    told = ops("rotate-secret", "bot-token", "--yes", typed=BOT_TOKEN)
    assert told.status == 0
    assert "Slack cannot be asked" in told.err


def test_a_new_signing_secret_counts_at_once(machine: Machine, ops: Ops) -> None:
    item_id = next(message.item_id for message in machine.slack.messages if message.item_id)
    assert ops("rotate-secret", "signing-secret", "--yes", typed=BOT_TOKEN).status == 1
    assert ops("rotate-secret", "signing-secret", "--yes", typed="0123456789abcdef0123456789abcdef").status == 0
    restart(machine, "FeedbackFunction")
    warm_up(machine)
    assert machine.slack.press(item_id, INTERESTED).status_code == 401
    assert ops("rotate-secret", "signing-secret", "--yes", typed=SIGNING_SECRET).status == 0
    restart(machine, "FeedbackFunction")
    warm_up(machine)
    assert machine.slack.press(item_id, INTERESTED).status_code == 200


def secret_of(machine: Machine, name: str) -> str:
    value: str = machine.cloud.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    return value


def test_a_head_is_stored_promoted_and_rolled_back(machine: Machine, ops: Ops, tmp_path: Path) -> None:
    starter = ROOT / "model" / "starter"
    own = read_card(starter).version
    head = Head.from_bytes((starter / HEAD).read_bytes())
    files = (starter / ENCODER).read_bytes(), (starter / TOKENIZER).read_bytes()
    card = write_package(tmp_path, replace(read_card(starter), version="newer"), replace(head, bias=1.0), *files)
    assert f"scores with {own}" in ops("model", "list").out
    assert ops("model", "promote", card.version, "--yes").status == 1
    assert "would store" in ops("model", "push", str(tmp_path)).out
    assert ops("model", "push", str(tmp_path), "--yes").status == 0
    assert "would promote" in ops("model", "promote", card.version).out
    assert ops("model", "promote", card.version, "--yes").status == 0
    restart(machine, "ClassifierFunction")
    listed = ops("model", "list").out
    assert f"{card.version}  promoted\n" in listed
    assert f"scores with {card.version}" in listed
    assert "would roll back" in ops("model", "roll-back").out
    assert ops("model", "roll-back", "--yes").status == 0
    restart(machine, "ClassifierFunction")
    assert f"scores with {own}" in ops("model", "list").out
    assert ops("model", "roll-back", "--yes").status == 1


def test_a_folder_that_is_no_package_is_an_error(ops: Ops, tmp_path: Path) -> None:
    told = ops("model", "push", str(tmp_path), "--yes")
    assert (told.status, "card.json" in told.err) == (1, True)


def test_another_stack_is_an_error_that_names_the_remedy(ops: Ops) -> None:
    told = ops("repost", "--stack", "elsewhere")
    assert (told.status, "no stack 'elsewhere'" in told.err, "--stack" in told.err) == (1, True, True)


def test_missing_credentials_are_an_error_that_names_the_remedy(ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    told = ops("repost")
    assert (told.status, "aws configure" in told.err) == (1, True)


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("dead-letters", "repost", "restore-labels", "rotate-secret", "model"):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
        told = capsys.readouterr().out
        assert f"python -m ops {command}" in told
        assert "exit status:" in told
