"""AWS services that send events to functions: S3 notifications and EventBridge Scheduler.

Simulated: required permissions, notification filters, S3's event records, schedules' roles, inputs with their context
attributes, dead-letter queues. Not simulated: schedules firing by the clock (they are fired by hand), flexible time
windows, the scheduler's retries (a missing permission is final here; everything else is retried by Lambda).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import moto.s3.notifications
from botocore.exceptions import ClientError
from moto.s3.models import s3_backends
from moto.s3.notifications import S3NotificationEvent

from local.cloud.access import (
    ACCOUNT,
    REGION,
    assume_role,
    check_service_may_invoke,
    is_allowed,
    policies_of_role,
)
from local.cloud.dispatch import send_to_queue
from local.cloud.errors import AccessDenied, CloudError
from local.cloud.functions import ClientFactory

Report = Callable[[str], None]


class ObjectNotifications:
    """Delivers S3's notifications; `queue(function_name, event)` receives the permitted ones."""

    def __init__(self, queue: Callable[[str, dict[str, Any]], None], report: Report) -> None:
        self._queue = queue
        self._report = report
        self._lock = threading.Lock()
        self._sent: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}

    def deliver(self, function_arn: str, event: dict[str, Any]) -> None:
        """Deliver one notification; report and drop it, as S3 does, if it is not permitted."""
        s3 = event["Records"][0]["s3"]
        where = s3["bucket"]["name"], unquote_plus(s3["object"]["key"])
        with self._lock:
            sent = self._sent.setdefault(where, [])
            # notifications of a newer version of the object replace the older ones
            sent[:] = [(arn, old) for arn, old in sent if arn != function_arn] + [(function_arn, event)]
        self._send(function_arn, event)

    def deliver_again(self, bucket: str, key: str, times: int) -> None:
        """Deliver the latest notifications of an object again, `times` at once; create them if there are none."""
        with self._lock:
            sent = list(self._sent.get((bucket, key), []))
        if not sent:
            self._notify(bucket, key)
            with self._lock:
                sent = list(self._sent.get((bucket, key), []))
            times -= 1
        if not sent:
            raise CloudError(f"no notification of {bucket} is set up for {key}")
        for _ in range(times):
            for function_arn, event in sent:
                self._send(function_arn, event)

    def _notify(self, bucket: str, key: str) -> None:
        backend = s3_backends[ACCOUNT]["aws"]
        stored = backend.get_object(bucket, key)
        if stored is None:
            raise CloudError(f"{bucket} holds no object {key}: put it first")
        created = S3NotificationEvent.OBJECT_CREATED_PUT_EVENT
        moto.s3.notifications.send_event(ACCOUNT, created, backend.get_bucket(bucket), stored)

    def _send(self, function_arn: str, event: dict[str, Any]) -> None:
        name = function_arn.rpartition(":")[2]
        try:
            check_service_may_invoke(name, "s3.amazonaws.com", event["Records"][0]["s3"]["bucket"]["arn"])
        except AccessDenied as error:
            self._report(f"notification of S3: {error}")
        else:
            self._queue(name, event)


def fire_schedule(
    name: str,
    properties: Mapping[str, Any],
    scheduled_at: datetime,
    queue: Callable[[str, str], object],
    client: ClientFactory,
) -> None:
    """Invoke the schedule's target as its role, as EventBridge Scheduler does at `scheduled_at`.

    `queue(function_name, input)` receives a permitted event; any other goes to the schedule's dead-letter queue and
    raises AccessDenied, so that nobody waits for a function that never runs.
    """
    if properties.get("State") == "DISABLED":
        raise CloudError(f"schedule {name} is disabled")
    target = properties["Target"]
    text = _input(target.get("Input", "{}"), name, scheduled_at)
    role = target["RoleArn"]
    credentials = assume_role(role, "scheduler.amazonaws.com", name)
    if is_allowed(policies_of_role(role), "lambda:InvokeFunction", target["Arn"]):
        queue(target["Arn"].rpartition(":")[2], text)
        return
    denied = AccessDenied(f"{role} of schedule {name} is not authorized to perform lambda:InvokeFunction")
    if dead_letters := target.get("DeadLetterConfig", {}).get("Arn"):
        attributes = {"ERROR_CODE": "AccessDeniedException", "ERROR_MESSAGE": str(denied), "TARGET_ARN": target["Arn"]}
        try:
            send_to_queue(client("sqs", credentials), dead_letters, text, attributes)
        except ClientError as error:
            raise AccessDenied(f"{denied}; nor may it write to its dead-letter queue") from error
    raise denied


def _input(text: str, name: str, scheduled_at: datetime) -> str:
    values = {
        "schedule-arn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}",
        "scheduled-time": f"{scheduled_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "execution-id": uuid.uuid4().hex[:16],
        "attempt-number": "1",
    }
    for attribute, value in values.items():
        text = text.replace(f"<aws.scheduler.{attribute}>", value)
    return text
