"""What goes wrong in DynamoDB, in S3 and with secrets."""

from __future__ import annotations

import time

from injector import Act, Rule, answer_lost, broken, calls, dynamodb_error, json_answered, s3_error, slow

from faults.fault import Fault, a_day_of, presses_of
from faults.harness import Harness
from local.machine import SECRETS

_THROTTLED = dynamodb_error("ProvisionedThroughputExceededException")
_CONDITION = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
_CLAIMED_BY_ANOTHER = json_answered(
    400, {"__type": _CONDITION, "message": "injected", "Item": {"status": {"S": "posting"}}}
)
_BOT_TOKEN, _SIGNING_SECRET = SECRETS
SECONDS_UNTIL_READ_AGAIN = 5.0
"""The feedback function reads a secret that does not fit again at most so often."""


def _dynamodb(name: str, injected: str, where: tuple[str, str], act: Act, times: float) -> Fault:
    function, call = where
    hit = Rule(calls(function, f"dynamodb:{call}"), act, times)
    happen = presses_of(hit) if function == "feedback" else a_day_of(hit)
    return Fault("DynamoDB", f"dynamodb-{name}", injected, happen, seconds=10, is_quick=name == "throttled")


DYNAMODB_FAULTS = (
    _dynamodb("throttled", "throttled, five times in a row", ("notifier", ""), _THROTTLED, 5),
    _dynamodb("throttled-long", "throttled, longer than the client tries", ("notifier", "PutItem"), _THROTTLED, 12),
    _dynamodb("condition", "a conditional failure of a first record", ("notifier", "PutItem"), _CLAIMED_BY_ANOTHER, 2),
    _dynamodb("claimed", "a conditional failure of a claim", ("notifier", "UpdateItem"), _CLAIMED_BY_ANOTHER, 2),
    _dynamodb("slow", "a second for each answer, ten times", ("notifier", ""), slow(1.0), 10),
    _dynamodb("slow-claim", "a claim so slow that it has run out when it is won", ("notifier", "Update"), slow(4), 1),
    _dynamodb("broken", "connection broken before a write", ("notifier", ""), broken, 3),
    _dynamodb("lost", "write done and its answer lost, each of the first ten", ("notifier", "Update"), answer_lost, 10),
    _dynamodb("press-throttled", "throttled at a press", ("feedback", "PutItem"), _THROTTLED, 4),
    _dynamodb("press-slow", "two seconds for an answer at a press", ("feedback", "PutItem"), slow(2.0), 2),
    _dynamodb("press-lost", "label stored and the answer lost", ("feedback", "PutItem"), answer_lost, 2),
)

_DENIED = s3_error(403, "AccessDenied")


def _s3(name: str, injected: str, where: tuple[str, str], act: Act, times: float = float("inf")) -> Fault:
    function, call = where
    hit = Rule(calls(function, f"s3:{call}"), act, times)
    return Fault("S3", f"s3-{name}", injected, a_day_of(hit), is_quick=name == "denied-snapshot")


def _heads_denied(on: Harness) -> int:
    """Deny the classifier, which starts anew, the look for a head that the trainer made."""
    on.machine.cloud.kill("ClassifierFunction")
    return a_day_of(Rule(calls("classifier", "s3:"), _DENIED))(on)


S3_FAULTS = (
    _s3("denied-snapshot", "access denied to the snapshot for the notifier, all day", ("notifier", "Get"), _DENIED),
    _s3("denied-write", "access denied to writing the snapshot, all day", ("crawler", "PutObject snapshots"), _DENIED),
    _s3("denied-progress", "access denied to the crawl's progress, all day", ("crawler", "GetObject crawls"), _DENIED),
    _s3("slow-down", "503 SlowDown to the crawler, three times", ("crawler", ""), s3_error(503, "SlowDown"), 3),
    Fault("S3", "s3-denied-heads", "access denied to new heads for the classifier, all day", _heads_denied),
    _s3("lost", "object written and the answer lost, each of the first four", ("crawler", "PutObject"), answer_lost, 4),
)


def _bot_token_missing(on: Harness) -> int:
    ssm = on.machine.cloud.client("ssm")
    ssm.delete_parameter(Name=_BOT_TOKEN)
    on.a_day()
    ssm.put_parameter(Name=_BOT_TOKEN, Value=on.machine.slack.bot_token, Type="SecureString")
    on.a_day(1)
    return 1


def _bot_token_rotated(on: Harness) -> int:
    """Rotate the token while the notifier is warm, and once more, so that Slack knows it before the parameter does."""
    ssm, slack = on.machine.cloud.client("ssm"), on.machine.slack
    for number, parameter_first in enumerate((True, False)):
        slack.bot_token = f"xoxb-rotated-{number}"
        if not parameter_first:
            on.a_day()
        ssm.put_parameter(Name=_BOT_TOKEN, Value=slack.bot_token, Type="SecureString", Overwrite=True)
        on.a_day(1)
    return 2


def _signing_secret_missing(on: Harness) -> int:
    ssm, slack = on.machine.cloud.client("ssm"), on.machine.slack
    value = ssm.get_parameter(Name=_SIGNING_SECRET, WithDecryption=True)["Parameter"]["Value"]
    ssm.delete_parameter(Name=_SIGNING_SECRET)
    on.machine.cloud.kill("FeedbackFunction")
    message = on.newest_message()
    on.press(message)
    ssm.put_parameter(Name=_SIGNING_SECRET, Value=value, Type="SecureString")
    on.press_until_taken(message)
    return len(slack.failed_presses) > 0


def _signing_secret_rotated(on: Harness) -> int:
    ssm, slack = on.machine.cloud.client("ssm"), on.machine.slack
    message = on.newest_message()
    on.press_until_taken(message)
    time.sleep(SECONDS_UNTIL_READ_AGAIN)
    slack.signing_secret = "rotated-while-warm"  # opens nothing but the stand-in
    ssm.put_parameter(Name=_SIGNING_SECRET, Value=slack.signing_secret, Type="SecureString", Overwrite=True)
    on.press_until_taken(message)
    return 1


SECRET_FAULTS = (
    Fault("Secrets", "secret-token-missing", "the bot token's parameter missing, all day", _bot_token_missing),
    Fault("Secrets", "secret-token-rotated", "the bot token rotated while the notifier is warm", _bot_token_rotated),
    Fault("Secrets", "secret-signing-missing", "the signing secret's parameter missing", _signing_secret_missing),
    Fault(
        "Secrets",
        "secret-signing-rotated",
        "the signing secret rotated while the feedback function is warm",
        _signing_secret_rotated,
        seconds=8,
    ),
)
