"""A deployed stack, found by its name: its resources, its parameters and its stores."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from ops.deploying import TOKYO, read_answers
from osusume.errors import UserError
from osusume.labels import Labels
from osusume.ledger import Ledger


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """One stack: `resources`, `parameters` and `outputs` by their names in template.yaml, and its functions' names."""

    session: boto3.Session
    name: str
    resources: Mapping[str, str]
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    functions: list[str]

    def resource(self, logical_id: str) -> str:
        """Return the physical id of a resource. Raises `UserError` if the stack does not have it."""
        return self._known(self.resources, "resource", logical_id)

    def parameter(self, name: str) -> str:
        """Return the value of a parameter. Raises `UserError` if the stack does not have it."""
        return self._known(self.parameters, "parameter", name)

    def output(self, name: str) -> str:
        """Return the value of an output. Raises `UserError` if the stack does not have it."""
        return self._known(self.outputs, "output", name)

    def client(self, service: str, config: Config | None = None) -> Any:  # boto3 makes its client classes at run time
        """Return a boto3 client with the caller's credentials."""
        return self.session.client(service, config=config)  # type: ignore[call-overload]  # any service

    def invoke(self, logical_id: str, event: Mapping[str, object], seconds: int) -> dict[str, Any]:
        """Invoke a function once, wait up to `seconds` for it, and return its answer. Raises `UserError` if it failed.

        It is not retried, because a second invocation might find nothing to do.
        """
        config = Config(read_timeout=seconds, retries={"total_max_attempts": 1})
        name, body = self.resource(logical_id), json.dumps(event).encode()
        answer = self.client("lambda", config).invoke(FunctionName=name, Payload=body)
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise UserError(f"{name} failed: {result.get('errorType')}: {result.get('errorMessage')}")
        return result

    @property
    def ledger(self) -> Ledger:
        """The table `items`."""
        return Ledger(self.session.resource("dynamodb"), self.resource("ItemsTable"))

    @property
    def labels(self) -> Labels:
        """The table `labels`."""
        return Labels(self.session.resource("dynamodb"), self.resource("LabelsTable"))

    def _known(self, values: Mapping[str, str], kind: str, name: str) -> str:
        if name not in values:
            raise UserError(f"stack {self.name!r} has no {kind} {name}: deploy this version of template.yaml")
        return values[name]


def open_session(options: argparse.Namespace) -> boto3.Session:
    """Return the session that a command's options name.

    The region is that of --region, of AWS_REGION, of the stack's last deployment, of the AWS configuration, or Tokyo,
    in this order.
    """
    chosen = options.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not chosen and (answers := read_answers(options.stack)):
        chosen = answers.region
    session = boto3.Session(region_name=chosen, profile_name=options.profile)
    return session if session.region_name else boto3.Session(region_name=TOKYO, profile_name=options.profile)


def open_stack(options: argparse.Namespace) -> DeployedStack:
    """Return the stack that a command's options name (see `commands.add_command`).

    Raises `UserError` if there is no such stack, and botocore's errors for missing credentials.
    """
    session = open_session(options)
    cloudformation: Any = session.client("cloudformation")
    try:
        (described,) = cloudformation.describe_stacks(StackName=options.stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        where = session.region_name
        raise UserError(
            f"there is no stack {options.stack!r} in {where}: name another with --stack or --region"
        ) from error
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=options.stack)
    summaries = [summary for page in pages for summary in page["StackResourceSummaries"]]
    resources = {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in summaries}
    functions = [resources[e["LogicalResourceId"]] for e in summaries if e["ResourceType"] == "AWS::Lambda::Function"]
    parameters = {p["ParameterKey"]: p.get("ParameterValue", "") for p in described.get("Parameters", [])}
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    return DeployedStack(session, options.stack, resources, parameters, outputs, functions)
