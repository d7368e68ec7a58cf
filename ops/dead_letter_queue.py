"""Dead letters: events that failed for good, in the queue where Lambda and EventBridge Scheduler put them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from ops.stack import DeployedStack
from osusume.errors import UserError

HELD_SECONDS = 120
"""How long the queue hides letters from other readers if this process dies before it releases them."""

_WAIT_SECONDS = 1  # without a wait, SQS may leave out letters
_SHOWN_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter: when it was written (UTC), the function that failed, the event's subject, the reason.

    `event` is the original event as JSON. `target` is the function's ARN in the letter; `function` is None if neither
    Lambda nor the scheduler wrote the letter.
    """

    letter_id: str
    written_at: datetime
    function: str | None
    subject: str
    reason: str
    event: str
    receipt: str
    target: str = ""


class Letters:
    """The queue of a stack."""

    def __init__(self, stack: DeployedStack) -> None:
        self._sqs: Any = stack.client("sqs")
        self._lambda: Any = stack.client("lambda")
        self._url = stack.resource("DeadLetters")
        self._stack = stack

    @contextmanager
    def held(self) -> Iterator[list[Letter]]:
        """Yield all letters, oldest first, hidden from other readers; release those that are still in the list."""
        letters: list[Letter] = []
        try:
            while messages := self._received():
                letters += [_letter(message) for message in messages]
            letters.sort(key=lambda letter: letter.written_at)
            yield letters
        finally:
            for letter in letters:
                with suppress(ClientError):  # held too long: it is visible again
                    self._sqs.change_message_visibility(
                        QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
                    )

    def send_again(self, letter: Letter, held: list[Letter]) -> None:
        """Send the event to its function again, and delete the letter once Lambda has accepted the event.

        Raises `UserError`, and keeps the letter, if the function is not the stack's or Lambda refuses the event.
        """
        if letter.function is None:
            raise UserError(f"letter {letter.letter_id} names no function: {letter.reason}")
        if not self._is_own(letter.target):
            raise UserError(
                f"letter {letter.letter_id} names {letter.target}, not a function of stack {self._stack.name!r}:"
                " it is not sent, because anyone who can write to the queue could call any function this way"
            )
        try:
            self._lambda.invoke(FunctionName=letter.function, InvocationType="Event", Payload=letter.event.encode())
        except ClientError as error:
            raise UserError(f"letter {letter.letter_id} was refused by {letter.function}: {error}") from error
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)
        held.remove(letter)

    def _is_own(self, target: str) -> bool:
        """Return whether an ARN names the newest version of one of the stack's functions."""
        queue = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        partition, _, region, account = queue.split(":")[1:5]
        own = {f"arn:{partition}:lambda:{region}:{account}:function:{name}" for name in self._stack.functions}
        return target.removesuffix(":$LATEST") in own

    def _received(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HELD_SECONDS,
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        return messages


def _letter(message: dict[str, Any]) -> Letter:
    body = message["Body"]
    target, event, reason = (
        _of_scheduler(message) or _of_lambda(body) or (None, body, "it is not a letter of a function")
    )
    return Letter(
        letter_id=message["MessageId"][:8],
        written_at=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        # arn:aws:lambda:REGION:ACCOUNT:function:NAME, with or without :$LATEST
        function=target.split(":")[6] if target and target.count(":") >= 6 else None,
        subject=_subject(event),
        reason=reason,
        event=event,
        receipt=message["ReceiptHandle"],
        target=target or "",
    )


def _of_scheduler(message: dict[str, Any]) -> tuple[str | None, str, str] | None:
    """Return target, event and reason of a letter of the scheduler, which has attributes, and None for any other."""
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    if "TARGET_ARN" not in attributes:
        return None
    reason = f"{attributes.get('ERROR_CODE', 'unknown')}: {attributes.get('ERROR_MESSAGE', '')}"
    return attributes["TARGET_ARN"], message["Body"], reason


def _of_lambda(body: str) -> tuple[str | None, str, str] | None:
    """Return target, event and reason of a letter of Lambda, a record of an invocation, and None for any other."""
    try:
        record = json.loads(body)
        context, event = record["requestContext"], record["requestPayload"]
        arn, condition = str(context["functionArn"]), context.get("condition", "unknown")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    error = record.get("responsePayload")
    if isinstance(error, Mapping) and "errorMessage" in error:
        condition = f"{error.get('errorType', 'error')}: {error['errorMessage']}"
    return arn, json.dumps(event, ensure_ascii=False), condition


def _subject(event: str) -> str:
    """Return what an event is about: the time of a crawl, a press, the keys of snapshots, or the start of its text."""
    try:
        value = json.loads(event)
        if "scheduled_at" in value:
            return f"the crawl due at {value['scheduled_at']}"
        if "tell" in value:
            return f"telling Slack of a press {value['tell']['item_id']}".rstrip()
        return ", ".join(record["s3"]["object"]["key"] for record in value["Records"])
    except (ValueError, KeyError, TypeError):
        return event[:_SHOWN_CHARACTERS]
