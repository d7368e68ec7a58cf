"""What a deployment needs before `sam deploy`, and what an earlier one left.

The answers lie in `.deploy/{stack}.toml`, which git ignores and `sam deploy` reads as its configuration.
"""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import boto3
from botocore.exceptions import ClientError, WaiterError
from samtranslator.yaml_helper import yaml_parse

from ops.schedules import next_times
from osusume.errors import UserError

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
FOLDER = Path(".deploy")
TOKYO = "ap-northeast-1"

_LONGEST_BUCKET_NAME = 63
_NAME = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]")
_WAIT = {"Delay": 2, "MaxAttempts": 300}
_IDENTIFIERS = {"AWS::S3::Bucket": "BucketName", "AWS::DynamoDB::Table": "TableName"}


# ---- answers ----


@dataclass(frozen=True, slots=True)
class Answers:
    """What a deployment of a stack was told: the region, and a value for each parameter of the template."""

    stack: str
    region: str
    parameters: Mapping[str, str]

    def save(self) -> Path:
        """Store the answers as a configuration of `sam deploy`, and return its path."""
        FOLDER.mkdir(exist_ok=True)
        settings = {
            "stack_name": self.stack,
            "region": self.region,
            "s3_prefix": self.stack,
            "capabilities": "CAPABILITY_IAM",
            "resolve_s3": True,
            "resolve_image_repos": True,
            "confirm_changeset": False,
            "fail_on_empty_changeset": False,
        }
        lines = ["version = 0.1", "", "[default.deploy.parameters]"]
        lines += [f"{name} = {_toml(value)}" for name, value in settings.items()]
        # each one, also an empty one: what `sam deploy` is not told it leaves as it was
        lines += ["", "[default.deploy.parameters.parameter_overrides]"]
        lines += [f"{name} = {_toml(value)}" for name, value in self.parameters.items()]
        path = path_of(self.stack)
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return path


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # TOML's strings and booleans are JSON's


def path_of(stack: str) -> Path:
    """Return where a stack's answers are kept."""
    return FOLDER / f"{stack}.toml"


def read_answers(stack: str) -> Answers | None:
    """Return a stack's answers, None if it has none. Raises `UserError` for a file that is not as `save` writes it."""
    path = path_of(stack)
    if not path.exists():
        return None
    try:
        settings = tomllib.loads(path.read_text("utf-8"))["default"]["deploy"]["parameters"]
        parameters = {name: str(value) for name, value in settings["parameter_overrides"].items()}
        return Answers(stack, str(settings["region"]), parameters)
    except (KeyError, AttributeError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}): mend it, or delete it to be asked again") from error


@functools.cache
def _template() -> dict[str, dict[str, Any]]:
    parsed: dict[str, dict[str, Any]] = yaml_parse(TEMPLATE.read_text("utf-8"))
    return parsed


def definitions() -> dict[str, dict[str, Any]]:
    """Return the parameters of the template."""
    return _template()["Parameters"]


def default_of(name: str) -> str | None:
    """Return a parameter's default in the template, None if it needs a value."""
    value = definitions()[name].get("Default")
    return None if value is None else str(value)


def check_parameters(parameters: Mapping[str, str]) -> None:
    """Raise `UserError` for a value that CloudFormation refuses, at once or after it has made resources."""
    from local.cloud.errors import TemplateError  # noqa: PLC0415  # it takes seconds to import, and most commands
    from local.cloud.template import parameter_values  # noqa: PLC0415  # do without it

    try:
        parameter_values(definitions(), parameters)
    except TemplateError as error:
        raise UserError(str(error)) from error
    time_zone = zone_of(parameters)
    if "feed" in {parameters.get("Source"), parameters.get("SecondSource")} and not parameters.get("Feeds"):
        raise UserError("parameter Feeds: name at least one feed, such as https://example.com/feed")
    for name in ("Schedule", "SecondSchedule", "TrainingSchedule"):
        if name in parameters and next(next_times(parameters[name], time_zone, datetime.now(UTC)), None) is None:
            raise UserError(f"parameter {name}: {parameters[name]} never fires")


def zone_of(parameters: Mapping[str, str]) -> ZoneInfo:
    """Return the time zone of the parameters. Raises `UserError` for one that does not exist."""
    name = parameters.get("TimeZone", "Asia/Tokyo")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UserError(f"parameter TimeZone: there is no time zone {name!r}; write one such as Asia/Tokyo") from error


def check_name(stack: str, region: str) -> None:
    """Raise `UserError` for a stack's name of which no bucket, function or secret can be named."""
    longest = _LONGEST_BUCKET_NAME - len(f"-123456789012-{region}")
    if not _NAME.fullmatch(stack) or "--" in stack or stack.startswith(("aws", "ssm", "xn-", "sthree-", "amzn-")):
        raise UserError(
            f"{stack!r} cannot be the name of the stack, which names its bucket: use small letters, digits and single"
            " hyphens, a letter first, not 'aws' or 'ssm'; for example osusume-dev"
        )
    if len(stack) > longest:
        raise UserError(f"the name {stack!r} is too long for the bucket's name in {region}: at most {longest} letters")


# ---- the stack ----


def state_of(session: boto3.Session, stack: str) -> str | None:
    """Return the stack's status in CloudFormation, None if there is no stack."""
    described = _described(session, stack)
    return str(described["StackStatus"]) if described else None


def deployed_parameters(session: boto3.Session, stack: str) -> dict[str, str]:
    """Return the parameters of a deployed stack that the template still has."""
    described = _described(session, stack) or {}
    known = definitions()
    found = {each["ParameterKey"]: each.get("ParameterValue", "") for each in described.get("Parameters", [])}
    return {name: value for name, value in found.items() if name in known}


def _described(session: boto3.Session, stack: str) -> dict[str, Any] | None:
    client: Any = session.client("cloudformation")
    try:
        (described,) = client.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return None
    found: dict[str, Any] = described
    return found


def make_ready(session: boto3.Session, stack: str, say: Callable[[str], None]) -> str | None:
    """Delete what a first deployment that failed left of the stack itself, and return the stack's status then.

    Raises `UserError` if the stack cannot be deployed to.
    """
    state = state_of(session, stack)
    if state in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"}:
        # the bucket and the tables stay, if there are any: their DeletionPolicy keeps them
        say(f"{stack} was never complete ({state}): removing it first")
        client: Any = session.client("cloudformation")
        client.delete_stack(StackName=stack)
        try:
            client.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=_WAIT)
        except WaiterError as error:
            raise UserError(
                f"{stack} cannot be removed: 'aws cloudformation describe-stack-events --stack-name {stack}' says why"
            ) from error
        return None
    if state and state.endswith("_IN_PROGRESS"):
        raise UserError(f"{stack} is being changed ({state}): wait until that is over")
    if state and state.endswith("_FAILED"):
        raise UserError(
            f"{stack} is stuck ({state}): run 'aws cloudformation continue-update-rollback --stack-name {stack}'"
            " and wait until it is over"
        )
    return state


def begin_watch(session: boto3.Session, stack: str, is_first: bool) -> None:
    """Count one summary for a stack whose alarm on missing summaries is about to be made.

    The alarm is then quiet until the first morning is due, and sounds if that morning is missing. Later deployments
    count none, because a morning that is missing must stay so; a stack from before the alarm has no summary counted.
    """
    client: Any = session.client("cloudwatch")
    dimensions = [{"Name": "service", "Value": "notifier"}, {"Name": "stack", "Value": stack}]
    metric = {"MetricName": "SummariesPosted", "Dimensions": dimensions}
    if is_first or not client.list_metrics(Namespace="Osusume", **metric)["Metrics"]:
        client.put_metric_data(Namespace="Osusume", MetricData=[{**metric, "Value": 1.0, "Unit": "Count"}])


# ---- what an earlier stack left ----


@dataclass(frozen=True, slots=True)
class Kept:
    """A resource that outlives its stack: its definition with literal names, as an import needs it."""

    logical_id: str
    definition: Mapping[str, Any]

    @property
    def identifier(self) -> str:
        """The property that names it."""
        return _IDENTIFIERS[self.definition["Type"]]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.definition["Properties"][self.identifier])


def kept_resources(session: boto3.Session, stack: str) -> list[Kept]:
    """Return what the template keeps when a stack is deleted, for a stack of this name."""
    account = str(session.client("sts").get_caller_identity()["Account"])
    values = {"AWS::StackName": stack, "AWS::AccountId": account, "AWS::Region": str(session.region_name)}
    kept = {name: each for name, each in _template()["Resources"].items() if "Retain" in each.get("DeletionPolicy", "")}
    return [Kept(name, _literal(each, values)) for name, each in kept.items()]


def _literal(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"Fn::Sub"}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: values[found[1]], value["Fn::Sub"])
        return {name: _literal(each, values) for name, each in value.items()}
    return [_literal(each, values) for each in value] if isinstance(value, list) else value


def leftovers(session: boto3.Session, stack: str) -> list[Kept]:
    """Return which kept resources of a stack of this name exist."""
    return [each for each in kept_resources(session, stack) if _exists(session, each)]


def _exists(session: boto3.Session, kept: Kept) -> bool:
    try:
        if kept.identifier == "BucketName":
            session.client("s3").head_bucket(Bucket=kept.name)
        else:
            session.client("dynamodb").describe_table(TableName=kept.name)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchBucket", "ResourceNotFoundException"}:
            return False
        raise
    return True


def adopt(session: boto3.Session, stack: str, found: list[Kept]) -> None:
    """Make a new stack of resources that an earlier one left, with all that they hold. Raises `UserError`."""
    client: Any = session.client("cloudformation")
    name = f"adopt-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    which = {"StackName": stack, "ChangeSetName": name}
    client.create_change_set(
        **which,
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps({"Resources": {each.logical_id: each.definition for each in found}}),
        ResourcesToImport=[
            {
                "ResourceType": each.definition["Type"],
                "LogicalResourceId": each.logical_id,
                "ResourceIdentifier": {each.identifier: each.name},
            }
            for each in found
        ],
    )
    try:
        client.get_waiter("change_set_create_complete").wait(**which, WaiterConfig=_WAIT)
        client.execute_change_set(**which)
        client.get_waiter("stack_import_complete").wait(StackName=stack, WaiterConfig=_WAIT)
    except WaiterError as error:
        reason = error.last_response.get("StatusReason") or state_of(session, stack)
        raise UserError(f"CloudFormation did not import what is left of {stack}: {reason}") from error
