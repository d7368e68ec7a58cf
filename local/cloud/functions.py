"""Functions of the stack: their settings, their processes, their logs.

Simulated: Lambda's environment variables and no others, credentials of the function's role, reuse of warm processes,
one more process for each concurrent event, logs delivered with the role's own permissions. Not simulated: a
concurrency limit for synchronous events, the freeze between events, a private /tmp, metrics embedded in log lines.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.cloud.access import ACCOUNT, REGION, Credentials, assume_role
from local.cloud.errors import AccessDenied
from local.cloud.moto_properties import variable_text
from local.cloud.processes import Start
from local.cloud.runtime import FunctionProcess, runtime_script
from local.cloud.runtime_api import Outcome
from local.cloud.stack import LocalResources
from local.cloud.state import private_file
from local.cloud.template import Template

ClientFactory = Callable[[str, Credentials], Any]
"""Makes a boto3 client of a service that signs with the given credentials."""


@dataclass(frozen=True, slots=True)
class Function:
    """The settings of one function; `timeout` is in seconds, `memory` in MB."""

    logical_id: str
    name: str
    role_arn: str
    handler: str
    runtime: str
    timeout: float
    memory: int
    log_group: str
    environment: dict[str, str]
    search_path: list[Path]

    @property
    def arn(self) -> str:
        """The function's ARN, without a version."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}"


def functions_of(stack: LocalResources, template: Template) -> list[Function]:
    """Return the functions of a deployed template."""
    functions = []
    for logical_id, properties in stack.of_type("AWS::Lambda::Function"):
        name = stack.resources[logical_id]
        variables = properties.get("Environment", {}).get("Variables", {})
        functions.append(
            Function(
                logical_id=logical_id,
                name=name,
                role_arn=properties["Role"],
                handler=properties["Handler"] if "Handler" in properties else properties["ImageConfig"]["Command"][0],
                runtime=properties.get("Runtime", "python3.13"),
                timeout=float(properties.get("Timeout", 3)),
                memory=int(properties.get("MemorySize", 128)),
                log_group=properties.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}"),
                environment={key: variable_text(value) for key, value in variables.items()},
                search_path=template.search_paths[logical_id],
            )
        )
    return functions


class FunctionPool:
    """The processes of one function.

    `report` receives delivery errors, such as logs that the role may not write.
    """

    def __init__(
        self,
        function: Function,
        endpoint: str,
        client: ClientFactory,
        log_file: Path | None,
        report: Callable[[str], None],
        start: Start,
    ) -> None:
        self.function = function
        self._start_process = start
        self._endpoint = endpoint
        self._client = client
        self._log_file = log_file
        self._report = report
        self._changed = threading.Condition()
        self._idle: list[_Environment] = []
        self._busy: list[_Environment] = []
        self._is_closed = False

    def invoke(self, payload: bytes, request_id: str) -> Outcome:
        """Run the event in a warm process or a new one, and return the outcome."""
        try:
            environment = self._take()
        except AccessDenied as error:
            return Outcome(error={"errorType": "AccessDeniedException", "errorMessage": str(error)})
        if environment is None:
            message = f"RequestId: {request_id} Error: Runtime exited: the cloud is stopping"
            return Outcome(error={"errorType": "Runtime.ExitError", "errorMessage": message})
        try:
            outcome = environment.process.invoke(payload, request_id, self.function.arn, self.function.timeout)
            if not self._is_closed:
                self._deliver_log(environment, request_id, outcome)
        finally:
            self._give_back(environment)
        return outcome

    def new_environment(self) -> tuple[dict[str, str], str, Credentials]:
        """Return the variables of a new process, the name of its log stream and its credentials."""
        function = self.function
        credentials = assume_role(function.role_arn, "lambda.amazonaws.com", function.name)
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[$LATEST]{secrets.token_hex(16)}"
        return process_environment(function, stream, self._endpoint, credentials), stream, credentials

    def kill(self) -> None:
        """Kill all processes, busy or idle, as if their host died."""
        with self._changed:
            processes = [environment.process for environment in (*self._idle, *self._busy)]
        for process in processes:
            process.kill()

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run now."""
        with self._changed:
            return [environment.process.pid for environment in (*self._idle, *self._busy)]

    def close(self) -> None:
        """End all processes and wait for their invocations to return."""
        with self._changed:
            self._is_closed = True
            idle, self._idle = self._idle, []
            for environment in self._busy:
                environment.process.kill()
        with ThreadPoolExecutor(max_workers=max(1, len(idle))) as closing:  # closing each server takes a moment
            closing.map(_Environment.close, idle)
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, 10)

    def _take(self) -> _Environment | None:
        with self._changed:
            if self._is_closed:
                return None
            environment = None
            while self._idle and environment is None:
                environment = self._idle.pop()
                if not environment.process.is_alive:
                    environment.close()
                    environment = None
            environment = environment or self._start()
            self._busy.append(environment)
            return environment

    def _give_back(self, environment: _Environment) -> None:
        with self._changed:
            is_wanted = not self._is_closed and environment.process.is_alive
            if is_wanted:
                self._idle.append(environment)
        if not is_wanted:
            environment.close()
        with self._changed:
            self._busy.remove(environment)
            self._changed.notify_all()

    def _start(self) -> _Environment:
        function = self.function
        variables, stream, credentials = self.new_environment()
        folder = tempfile.TemporaryDirectory(prefix=f"{function.name}-", ignore_cleanup_errors=True)
        process = FunctionProcess(self._start_process, runtime_script(function.handler), variables, Path(folder.name))
        return _Environment(process, stream, credentials, folder)

    def _deliver_log(self, environment: _Environment, request_id: str, outcome: Outcome) -> None:
        function = self.function
        milliseconds = outcome.seconds * 1000
        lines = [
            f"START RequestId: {request_id} Version: $LATEST",
            *outcome.log,
            f"END RequestId: {request_id}",
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\tMemory Size: {function.memory} MB",
        ]
        if self._log_file is not None:
            private_file(self._log_file)
            with self._log_file.open("a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
        try:
            if environment.logs is None:
                environment.logs = self._client("logs", environment.credentials)
                self._create_stream(environment.logs, environment.stream)
            now = int(time.time() * 1000)
            environment.logs.put_log_events(
                logGroupName=function.log_group,
                logStreamName=environment.stream,
                logEvents=[{"timestamp": now, "message": line} for line in lines if line],
            )
        except ClientError as error:
            self._report(f"logs of {function.logical_id}: {error}")

    def _create_stream(self, logs: Any, stream: str) -> None:  # a boto3 client
        group = self.function.log_group
        try:
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        except logs.exceptions.ResourceNotFoundException:
            logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName=stream)


@dataclass(slots=True)
class _Environment:
    process: FunctionProcess
    stream: str
    credentials: Credentials
    folder: tempfile.TemporaryDirectory[str]
    logs: Any = None

    def close(self) -> None:
        self.process.close()
        self.folder.cleanup()


def process_environment(function: Function, stream: str, endpoint: str, credentials: Credentials) -> dict[str, str]:
    """Return a process's environment variables: Lambda's, the template's and the AWS endpoint."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": os.pathsep.join(str(folder) for folder in function.search_path),
        "_HANDLER": function.handler,
        "LAMBDA_TASK_ROOT": str(function.search_path[0]),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": str(credentials.token),
        "AWS_ENDPOINT_URL": endpoint,  # without it calls would go to the real AWS
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,  # the user may have their own settings
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **function.environment,
    }
