"""The local cloud: a SAM template deployed on this machine, its functions running."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from botocore.config import Config

from local.cloud import moto_events
from local.cloud.access import REGION, Credentials, create_administrator
from local.cloud.dispatch import Dispatcher, Invocation, async_settings_of
from local.cloud.errors import CloudError, TemplateError
from local.cloud.functions import Function, FunctionPool, functions_of
from local.cloud.gateway import Gateway, routes_of
from local.cloud.meter import Meter
from local.cloud.moto_access import enforce
from local.cloud.moto_stacks import public_address
from local.cloud.persistence import KeptStores
from local.cloud.processes import fork_server, start_interpreter
from local.cloud.sources import ObjectNotifications, fire_schedule
from local.cloud.stack import AwsServer, LocalResources, clear
from local.cloud.state import State
from local.cloud.template import Template, isolated_session, load_template

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

_one_cloud = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """Let nothing else use moto's stores, which belong to the process. Raises CloudError if something does."""
    if not _one_cloud.acquire(blocking=False):
        raise CloudError("a local cloud is already running in this process: leave it first")
    try:
        yield
    finally:
        _one_cloud.release()


class Cloud:
    """The resources of a SAM template in moto, its functions as processes under the Lambda Runtime API.

    A context manager. A process can run one cloud at a time, because moto's stores belong to the process. Every server
    listens on 127.0.0.1 only and refuses requests from web pages. AWS accepts only signed requests and enforces IAM;
    each Runtime API serves only the process it was started for. The modules beside this one list what is simulated.

    Attributes, set while the cloud runs: `endpoint` (AWS), `api_url` (the HTTP API, empty without one), `resources`
    (logical to physical ids), `outputs`, `delivery_errors` (notifications, logs and destination records that were not
    permitted, which AWS drops silently).
    """

    endpoint: str
    api_url: str
    resources: dict[str, str]
    outputs: dict[str, str]
    delivery_errors: list[str]

    def __init__(
        self,
        template: Path,
        parameters: Mapping[str, str] | None = None,
        *,
        secrets: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        overrides: Mapping[str, Mapping[str, str]] | None = None,
        time_limits: Mapping[str, float] | None = None,
        retry_delays: tuple[float, ...] = (1.0, 2.0),
        edit: Callable[[dict[str, Any]], None] | None = None,
        state_dir: Path | None = None,
        stack_name: str = "osusume",
        state: State | None = None,
        proxy_ports: Collection[int] = (),
        preload: Mapping[str, Sequence[str]] | None = None,
        meter: Meter | None = None,
    ) -> None:
        """Set up a cloud that starts when it is entered.

        `secrets` become SSM SecureString parameters. `environment` is added to every function's variables, `overrides`
        to those of single functions (by logical id); both point the functions at stand-ins. `time_limits` replaces
        `Timeout`, in seconds, by logical id. `retry_delays` are the seconds before each retry of a failed event; AWS
        waits 60 and 120. `edit` changes the transformed template before it is deployed. `state_dir` receives one log
        file for each function. `state` keeps buckets, tables and the queue of asynchronous events across processes.
        `proxy_ports` are local ports of proxies in front of AWS and the HTTP API. `preload` names packages, by
        logical id: processes of these functions are forked from one that has imported them. `meter` counts what AWS
        would bill.

        Entering raises TemplateError if the template or its parameters cannot be deployed.
        """
        self._path = template
        self._parameters = dict(parameters or {})
        self._secrets = dict(secrets or {})
        self._environment = dict(environment or {})
        self._overrides = {name: dict(variables) for name, variables in (overrides or {}).items()}
        self._time_limits = dict(time_limits or {})
        self._retry_delays = retry_delays
        self._edit = edit
        self._state_dir = state_dir
        self._stack_name = stack_name
        self._state = state
        self._proxy_ports = proxy_ports
        self._preload = {name: tuple(packages) for name, packages in (preload or {}).items()}
        self._meter = meter
        self._session = isolated_session(REGION)
        self._session_lock = threading.Lock()  # sessions are not thread-safe
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        template = load_template(self._path, self._parameters, REGION)
        if self._edit:
            self._edit(template.document)
        with ExitStack() as closing:
            closing.enter_context(alone())
            self._start(template, closing)
            self._closing = closing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.close()

    def _start(self, template: Template, closing: ExitStack) -> None:
        self.delivery_errors = []
        closing.callback(clear)
        self._stack = LocalResources(self._stack_name, template, self._secrets)
        self.resources = self._stack.resources
        enforce(enabled=True)
        note = KeptStores(self._state, self._stack).note if self._state else None
        server = AwsServer(note, self._proxy_ports, self._meter)
        closing.callback(server.close)
        self.endpoint = server.url
        self._administrator = create_administrator("local-administrator")
        self._gateway = gateway = self._open_gateway(closing)
        functions = self._functions(template, gateway)
        self._names = {function.name: function.logical_id for function in functions}
        self._pools = {function.logical_id: self._open_pool(function, closing) for function in functions}
        self._dispatcher = Dispatcher(
            self._pools,
            async_settings_of(self._stack),
            self._retry_delays,
            self._client,
            self.delivery_errors.append,
            state=self._state,
        )
        closing.callback(self._dispatcher.stop)
        self._notifications = ObjectNotifications(self._queue, self.delivery_errors.append)
        moto_events.handlers = moto_events.Handlers(
            self._names.__contains__, self._invoke_for_sdk, self._notifications.deliver
        )
        closing.callback(setattr, moto_events, "handlers", None)

    def _open_gateway(self, closing: ExitStack) -> Gateway | None:
        self.api_url = ""
        self.outputs = self._stack.outputs
        apis = list(self._stack.of_type("AWS::ApiGatewayV2::Api"))
        if len(apis) > 1:
            raise TemplateError(f"the local cloud serves one HTTP API, not {len(apis)}")
        if not apis:
            return None
        logical_id, properties = apis[0]
        gateway = Gateway(
            self.resources[logical_id],
            routes_of(properties["Body"]),
            lambda name, payload: self._dispatcher.invoke(self._names[name], payload, "http"),
            self.delivery_errors.append,
            self._proxy_ports,
        )
        closing.callback(gateway.close)
        self.api_url = gateway.url
        self._stack.serve_api_at(gateway.api_id, gateway.url)
        self.outputs = _at_gateway(self.outputs, gateway)
        return gateway

    def _functions(self, template: Template, gateway: Gateway | None) -> list[Function]:
        """Return the template's functions with local addresses, variables and time limits."""
        functions = functions_of(self._stack, template)
        known = {function.logical_id for function in functions}
        if unknown := sorted((self._overrides.keys() | self._time_limits.keys()) - known):
            raise TemplateError(f"the template has no function {', '.join(unknown)}")
        return [
            replace(
                function,
                environment={
                    **(_at_gateway(function.environment, gateway) if gateway else function.environment),
                    **self._environment,
                    **self._overrides.get(function.logical_id, {}),
                },
                timeout=self._time_limits.get(function.logical_id, function.timeout),
            )
            for function in functions
        ]

    def _open_pool(self, function: Function, closing: ExitStack) -> FunctionPool:
        log_file = None
        if self._state_dir is not None:
            self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            log_file = self._state_dir / f"{function.logical_id}.log"
        packages = self._preload.get(function.logical_id)
        start = fork_server(packages).start if packages else start_interpreter
        pool = FunctionPool(function, self.endpoint, self._client, log_file, self.delivery_errors.append, start)
        closing.callback(pool.close)
        return pool

    # ---- what tests and the demo use ----

    def client(self, service: str) -> Any:  # boto3's clients are made at run time
        """Return a boto3 client with administrator permissions."""
        return self._client(service, self._administrator)

    def dynamodb(self) -> DynamoDBServiceResource:
        """Return boto3's DynamoDB resource with administrator permissions, as the ledger and the labels need it."""
        with self._session_lock:
            return self._session.resource("dynamodb", **self._connection(self._administrator))

    @property
    def api_errors(self) -> int:
        """How many requests the HTTP API answered with a status of 500 and above."""
        return self._gateway.server_errors if self._gateway else 0

    @property
    def invocations(self) -> list[Invocation]:
        """The attempts that finished so far, in the order they finished."""
        return self._dispatcher.invocations

    def invoke(self, function: str, event: object) -> Any:  # whatever the function answers
        """Return the response of the function with that logical id. Raises FunctionError, PayloadTooLarge."""
        return json.loads(self._dispatcher.invoke(self._known(function), _json(event), "invoke"))

    def invoke_async(self, function: str, event: object) -> str:
        """Queue an event for the function with that logical id and return the request id. Raises PayloadTooLarge."""
        return self._dispatcher.invoke_async(self._known(function), _json(event), "invoke")

    def invoke_twice(self, function: str, event: object, again: threading.Event) -> None:
        """Deliver an asynchronous event twice under one request id, as Lambda sometimes does.

        The second delivery starts when `again` is set. Returns when both attempts end; neither is retried.
        """
        self._dispatcher.invoke_twice(self._known(function), _json(event), "invoke", again)

    def fire_schedule(self, schedule: str, scheduled_at: datetime | None = None) -> None:
        """Fire the schedule with that logical id as EventBridge Scheduler does; it is due now by default.

        Raises AccessDenied if the schedule's role may not invoke its target.
        """
        schedules = dict(self._stack.of_type("AWS::Scheduler::Schedule"))
        if schedule not in schedules:
            raise CloudError(f"the template has no schedule {schedule}; it has {', '.join(schedules) or 'none'}")
        fire_schedule(
            self.resources[schedule],
            schedules[schedule],
            scheduled_at or datetime.now(UTC),
            lambda name, text: self._dispatcher.invoke_async(self._names[name], text.encode(), "schedule"),
            self._client,
        )

    def deliver_s3_event(self, key: str, *, times: int = 1, bucket: str = "Bucket") -> None:
        """Deliver the same S3 notifications of an object again, `times` at once.

        `bucket` is a logical id. If the object has caused no notification yet, S3 creates it now.
        """
        self._notifications.deliver_again(self.resources[bucket], key, times)

    def deliver_unfinished(self, forget: Collection[str] = ()) -> int:
        """Redeliver the asynchronous events that the previous process left unfinished, and return their number.

        They keep their request ids, as in Lambda's queue. Without `state` there are none. Those of the functions in
        `forget`, by logical id, are dropped.
        """
        return self._dispatcher.deliver_unfinished(forget)

    def kill(self, function: str) -> None:
        """Kill the processes of the function with that logical id with SIGKILL, whatever they are doing.

        Events being processed fail, and are retried where Lambda retries.
        """
        self._pools[self._known(function)].kill()

    @contextmanager
    def time_limit(self, function: str, seconds: float) -> Iterator[None]:
        """Set the time limit of the function with that logical id, in seconds, for the duration of the context."""
        pool = self._pools[self._known(function)]
        usual, pool.function = pool.function, replace(pool.function, timeout=seconds)
        try:
            yield
        finally:
            pool.function = usual

    def pids(self, function: str) -> list[int]:
        """Return the ids of the processes of the function with that logical id, busy or idle."""
        return self._pools[self._known(function)].pids

    def environment(self, function: str) -> dict[str, str]:
        """Return the environment variables of a new process of the function with that logical id."""
        return self._pools[self._known(function)].new_environment()[0]

    def wait_until_idle(self, timeout: float = 60.0) -> None:
        """Return when no event is queued, running or waiting for a retry; raises StillBusy after `timeout` seconds."""
        self._dispatcher.wait_until_idle(timeout)

    # ---- what moto and the parts call back ----

    def _known(self, function: str) -> str:
        known = sorted(self._names.values())
        if function not in known:
            raise CloudError(f"the template has no function {function}; it has {', '.join(known)}")
        return function

    def _client(self, service: str, credentials: Credentials) -> Any:  # boto3's clients are made at run time
        with self._session_lock:
            return self._session.client(service, **self._connection(credentials))  # type: ignore[call-overload]  # any

    def _connection(self, credentials: Credentials) -> dict[str, Any]:
        return {
            "endpoint_url": self.endpoint,
            "aws_access_key_id": credentials.access_key,
            "aws_secret_access_key": credentials.secret_key,
            "aws_session_token": credentials.token,
            "config": Config(proxies={}),  # loopback: ignore proxies named in the caller's environment
        }

    def _invoke_for_sdk(self, name: str, payload: bytes, is_event: bool) -> bytes:
        if is_event:
            self._dispatcher.invoke_async(self._names[name], payload, "sdk")
            return b""
        return self._dispatcher.invoke(self._names[name], payload, "sdk")

    def _queue(self, name: str, event: dict[str, Any]) -> None:
        self._dispatcher.invoke_async(self._names[name], _json(event), "s3")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _at_gateway(values: Mapping[str, str], gateway: Gateway) -> dict[str, str]:
    """Return the values with the API's public address replaced by the gateway's."""
    public = public_address(gateway.api_id)
    return {name: value.replace(public, gateway.url) for name, value in values.items()}
