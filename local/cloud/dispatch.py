"""Invocations: synchronous ones, and the queue of asynchronous ones with retries and destinations.

Simulated: the queue in front of a function, which outlives the process if there is a state; retries by
EventInvokeConfig with one request id; on-failure and on-success destinations, which receive AWS's record with the
function role's permissions; the size limits of events. Not simulated: throttling, the age limit of events,
dead-letter queues of functions, destinations other than SQS.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from local.cloud.access import assume_role
from local.cloud.effort import NO_EFFORT, Effort
from local.cloud.errors import AccessDenied, FunctionError, PayloadTooLarge, StillBusy, TemplateError
from local.cloud.functions import ClientFactory, FunctionPool
from local.cloud.stack import LocalResources
from local.cloud.state import State

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

MAX_EVENT_BYTES = 6 * 1024 * 1024
"""The largest event of a synchronous invocation."""

MAX_ASYNC_EVENT_BYTES = 1024 * 1024
"""The largest event of an asynchronous invocation."""

CONCURRENCY = 10
"""How many asynchronous events of a function run at the same time: a new AWS account's limit."""

Trigger = Literal["invoke", "s3", "schedule", "http", "sdk"]

_QUEUE = "events"
"""The store of a state that holds the unfinished asynchronous events, by request id."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One finished attempt of a function at one event; retries of an event share its `request_id`.

    `function` is the logical id, `attempt` counts from 1, `response` is the parsed answer, `error` Lambda's error
    document or None, `log` the lines that the function printed, `effort` what the process needed for it.
    """

    function: str
    request_id: str
    attempt: int
    event: Any
    response: Any
    error: dict[str, Any] | None
    seconds: float
    log: list[str]
    trigger: Trigger
    effort: Effort = NO_EFFORT


@dataclass(frozen=True, slots=True)
class AsyncSettings:
    """An EventInvokeConfig: how often to retry, and the ARNs of the queues that get the outcome."""

    retries: int = 2
    on_failure: str | None = None
    on_success: str | None = None


def async_settings_of(stack: LocalResources) -> dict[str, AsyncSettings]:
    """Return the settings of a deployed template, by the functions' logical ids.

    Raises TemplateError for a destination that is not a queue.
    """
    names = {stack.resources[logical_id]: logical_id for logical_id, _ in stack.of_type("AWS::Lambda::Function")}
    settings = {}
    for _, properties in stack.of_type("AWS::Lambda::EventInvokeConfig"):
        destinations = properties.get("DestinationConfig", {})
        for target in destinations.values():
            if target["Destination"].split(":")[2] != "sqs":
                raise TemplateError(
                    f"{target['Destination']} is no queue: the local cloud has destinations in SQS alone"
                )
        settings[names[properties["FunctionName"]]] = AsyncSettings(
            retries=int(properties.get("MaximumRetryAttempts", 2)),
            on_failure=destinations.get("OnFailure", {}).get("Destination"),
            on_success=destinations.get("OnSuccess", {}).get("Destination"),
        )
    return settings


@dataclass(slots=True)
class _Counter:
    """What is under way, by what it is."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    under_way: dict[str, str] = field(default_factory=dict)


class Dispatcher:
    """Runs events on the functions' pools, by logical id."""

    def __init__(
        self,
        pools: Mapping[str, FunctionPool],
        settings: Mapping[str, AsyncSettings],
        retry_delays: tuple[float, ...],
        client: ClientFactory,
        report: Callable[[str], None],
        *,
        state: State | None = None,
    ) -> None:
        self._pools = pools
        self._state = state
        self._settings = settings
        self._retry_delays = retry_delays
        self._client = client
        self._report = report
        self._stopping = threading.Event()
        self._turns = {function: threading.Semaphore(CONCURRENCY) for function in pools}
        self._counter = _Counter()
        self._invocations: list[Invocation] = []

    @property
    def invocations(self) -> list[Invocation]:
        """The attempts that finished so far, in the order they finished."""
        return list(self._invocations)

    def invoke(self, function: str, payload: bytes, trigger: Trigger) -> bytes:
        """Return the function's answer. Raises FunctionError, PayloadTooLarge."""
        check_size(payload, MAX_EVENT_BYTES)
        request_id = str(uuid.uuid4())
        self._begin(request_id, f"{function} running (request {request_id})")
        try:
            invocation, response = self._attempt(function, payload, request_id, 1, trigger)
        finally:
            self._end(request_id)
        if invocation.error is not None:
            raise FunctionError(function, invocation.error)
        return response

    def invoke_async(self, function: str, payload: bytes, trigger: Trigger) -> str:
        """Queue the event and return its request id at once. Raises PayloadTooLarge."""
        check_size(payload, MAX_ASYNC_EVENT_BYTES)
        request_id = str(uuid.uuid4())
        if self._state:
            event = {"function": function, "payload": payload.decode(), "trigger": trigger}
            self._state.put(_QUEUE, request_id, json.dumps(event).encode())
        self._queue(function, payload, request_id, trigger)
        return request_id

    def invoke_twice(self, function: str, payload: bytes, trigger: Trigger, again: threading.Event) -> None:
        """Invoke the function with the event, twice under one request id if `again` is set; wait for both."""
        request_id = str(uuid.uuid4())
        self._begin(request_id, f"{function} running twice (request {request_id})")
        try:
            with ThreadPoolExecutor(1) as first:
                attempt = first.submit(self._attempt, function, payload, request_id, 1, trigger)
                again.wait(self._pools[function].function.timeout)
                self._attempt(function, payload, request_id, 1, trigger)
                attempt.result()
        finally:
            self._end(request_id)

    def deliver_unfinished(self, forget: Collection[str] = ()) -> int:
        """Queue the events that an earlier process left, under their request ids; return their number.

        Those of the functions in `forget` are dropped.
        """
        left = self._state.all(_QUEUE) if self._state else {}
        events = {request_id: json.loads(value) for request_id, value in left.items()}
        delivered = {request_id: event for request_id, event in events.items() if event["function"] not in forget}
        for request_id, event in delivered.items():
            self._queue(event["function"], event["payload"].encode(), request_id, event["trigger"])
        if self._state:
            for request_id in events.keys() - delivered.keys():
                self._state.remove(_QUEUE, request_id)
        return len(delivered)

    def _queue(self, function: str, payload: bytes, request_id: str, trigger: Trigger) -> None:
        self._begin(request_id, f"{function} queued (request {request_id})")
        thread = threading.Thread(
            target=self._run,
            args=(function, payload, request_id, trigger),
            name=f"{function} {request_id}",
            daemon=True,
        )
        thread.start()

    def wait_until_idle(self, timeout: float) -> None:
        """Return when nothing is queued, running or waiting for a retry; raises StillBusy after `timeout` seconds."""
        with self._counter.changed:
            if not self._counter.changed.wait_for(lambda: not self._counter.under_way, timeout):
                busy = "; ".join(self._counter.under_way.values())
                raise StillBusy(f"after {timeout:g} seconds there is still: {busy}")

    def stop(self) -> None:
        """Start no further attempts; running ones end with their pool."""
        self._stopping.set()

    def _run(self, function: str, payload: bytes, request_id: str, trigger: Trigger) -> None:
        try:
            is_done = self._run_attempts(function, payload, request_id, trigger)
            if is_done and self._state:
                self._state.remove(_QUEUE, request_id)
        finally:
            self._end(request_id)

    def _run_attempts(self, function: str, payload: bytes, request_id: str, trigger: Trigger) -> bool:
        """Return whether the event is finished; False if the cloud stopped first."""
        settings = self._settings.get(function, AsyncSettings())
        attempts = settings.retries + 1
        for attempt in range(1, attempts + 1):
            with self._turns[function]:
                if self._stopping.is_set():
                    return False
                self._begin(request_id, f"{function} running, attempt {attempt} (request {request_id})")
                invocation, _ = self._attempt(function, payload, request_id, attempt, trigger)
            if self._stopping.is_set():
                return False
            if invocation.error is None:
                self._tell(settings.on_success, invocation, "Success")
                return True
            if attempt < attempts:
                delay = [0.0, *self._retry_delays][min(attempt, len(self._retry_delays))]
                self._begin(request_id, f"{function} waiting for attempt {attempt + 1} (request {request_id})")
                if self._stopping.wait(delay):
                    return False
        self._tell(settings.on_failure, invocation, "RetriesExhausted")
        return True

    def _attempt(
        self, function: str, payload: bytes, request_id: str, attempt: int, trigger: Trigger
    ) -> tuple[Invocation, bytes]:
        outcome = self._pools[function].invoke(payload, request_id)
        invocation = Invocation(
            function=function,
            request_id=request_id,
            attempt=attempt,
            event=json.loads(payload),
            response=json.loads(outcome.response) if outcome.response else None,
            error=outcome.error,
            seconds=outcome.seconds,
            log=outcome.log,
            trigger=trigger,
            effort=outcome.effort,
        )
        self._invocations.append(invocation)
        return invocation, outcome.response or b"null"

    def _tell(self, destination: str | None, invocation: Invocation, condition: str) -> None:
        if destination is None:
            return
        function = self._pools[invocation.function].function
        record = destination_record(invocation, function.arn, condition)
        try:
            credentials = assume_role(function.role_arn, "lambda.amazonaws.com", function.name)
            send_to_queue(self._client("sqs", credentials), destination, json.dumps(record, ensure_ascii=False))
        except (AccessDenied, ClientError) as error:
            self._report(f"destination of {invocation.function}: {error}")

    def _begin(self, request_id: str, description: str) -> None:
        with self._counter.changed:
            self._counter.under_way[request_id] = description

    def _end(self, request_id: str) -> None:
        with self._counter.changed:
            del self._counter.under_way[request_id]
            self._counter.changed.notify_all()


def check_size(payload: bytes, limit: int) -> None:
    """Raise PayloadTooLarge for an event over `limit` bytes."""
    if len(payload) > limit:
        raise PayloadTooLarge(f"{len(payload)} byte payload is too large: the limit is {limit} bytes")


def destination_record(invocation: Invocation, function_arn: str, condition: str) -> dict[str, Any]:
    """Return the record of an event's last attempt that Lambda sends to a destination."""
    context: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST"}
    if invocation.error is not None:
        context["functionError"] = "Unhandled"
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": f"{function_arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": invocation.attempt,
        },
        "requestPayload": invocation.event,
        "responseContext": context,
        "responsePayload": invocation.response if invocation.error is None else invocation.error,
    }


def send_to_queue(sqs: SQSClient, queue_arn: str, body: str, attributes: Mapping[str, str] | None = None) -> None:
    """Send one message to the queue with that ARN. Raises botocore's ClientError."""
    account, name = queue_arn.split(":")[4:]
    url = f"{sqs.meta.endpoint_url}/{account}/{name}"
    values: dict[str, MessageAttributeValueTypeDef] = {
        key: {"DataType": "String", "StringValue": value} for key, value in (attributes or {}).items()
    }
    sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=values)
