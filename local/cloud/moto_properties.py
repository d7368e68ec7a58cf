"""Properties that moto's CloudFormation ignores in types that it supports, added back.

Importing this module changes moto for the whole process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.awslambda.models import LambdaFunction
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.iam.models import Role, iam_backends
from moto.logs.models import LogGroup
from moto.s3.models import FakeBucket, s3_backends

Json = dict[str, Any]


completions: dict[type, Callable[[Any, Json, str, str], None]] = {}
"""Apply a resource's properties to it, by its class; they do so again when a stack is updated."""


def _extend(kind: type, complete: Callable[[Any, Json, str, str], None]) -> None:
    """Call `complete(resource, properties, account, region)` after moto created a resource of the class."""
    create = kind.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]  # a class method has one

    def create_completely(
        model: type, /, name: str, template: Json, account: str, region: str, **options: object
    ) -> Any:
        resource = create(model, name, template, account, region, **options)
        complete(resource, template.get("Properties", {}), account, region)
        return resource

    setattr(kind, "create_from_cloudformation_json", classmethod(create_completely))  # noqa: B010  # see below
    completions[kind] = complete


def _complete_role(role: Role, properties: Json, account: str, _region: str) -> None:
    for arn in properties.get("ManagedPolicyArns", []):
        iam_backends[account]["aws"].attach_role_policy(arn, role.name)
    # moto stores inline policies as dicts here, and as text everywhere else
    for name, document in list(role.policies.items()):
        if isinstance(document, dict):
            role.policies[name] = json.dumps(document)


def _complete_bucket(bucket: FakeBucket, properties: Json, account: str, _region: str) -> None:
    backend = s3_backends[account]["aws"]
    if versioning := properties.get("VersioningConfiguration"):
        backend.put_bucket_versioning(bucket.name, versioning["Status"])
    if block := properties.get("PublicAccessBlockConfiguration"):
        names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        backend.put_public_access_block(bucket.name, {name: str(block.get(name, False)).lower() for name in names})
    if ownership := properties.get("OwnershipControls"):
        backend.put_bucket_ownership_controls(bucket.name, ownership["Rules"][0]["ObjectOwnership"])
    if lifecycle := properties.get("LifecycleConfiguration"):
        rules = [{"ID": rule.get("Id"), "Filter": {"Prefix": ""}, **rule} for rule in lifecycle["Rules"]]
        backend.put_bucket_lifecycle_configuration(bucket.name, rules)
    if notifications := properties.get("NotificationConfiguration"):
        configuration = {
            "CloudFunctionConfiguration": _targets(notifications, "LambdaConfigurations", "Function", "CloudFunction"),
            "QueueConfiguration": _targets(notifications, "QueueConfigurations", "Queue", "Queue"),
            "TopicConfiguration": _targets(notifications, "TopicConfigurations", "Topic", "Topic"),
        }
        if "EventBridgeConfiguration" in notifications:
            configuration["EventBridgeConfiguration"] = []
        backend.put_bucket_notification_configuration(bucket.name, configuration)


def _targets(notifications: Json, configurations: str, target: str, target_in_moto: str) -> list[Json]:
    """Return one kind of notification in the form that moto parses from S3's own API."""
    targets = []
    for configuration in notifications.get(configurations, []):
        rules = configuration.get("Filter", {}).get("S3Key", {}).get("Rules")
        targets.append(
            {
                target_in_moto: configuration[target],
                "Event": [configuration["Event"]],
                "Filter": {"S3Key": {"FilterRule": rules}} if rules else None,
            }
        )
    return targets


def _complete_table(table: Table, properties: Json, account: str, region: str) -> None:
    if recovery := properties.get("PointInTimeRecoverySpecification"):
        dynamodb_backends[account][region].update_continuous_backups(table.name, recovery)


def _complete_function(function: LambdaFunction, properties: Json, _account: str, _region: str) -> None:
    function.package_type = properties.get("PackageType", "Zip")
    function.architectures = properties.get("Architectures", ["x86_64"])
    # CloudFormation turns every variable into text; moto keeps numbers, which boto3 then rejects
    function.environment_vars = {name: variable_text(value) for name, value in function.environment_vars.items()}


def variable_text(value: object) -> str:
    """Return an environment variable's value as CloudFormation writes it.

    >>> variable_text(60), variable_text(True)
    ('60', 'true')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def _log_group_attribute(group: LogGroup, attribute_name: str) -> str:
    # CloudFormation's ARN of a log group ends in ":*", so that a policy with it covers the streams
    value: str = _moto_log_group_attribute(group, attribute_name)
    return f"{value}:*" if attribute_name == "Arn" else value


_moto_log_group_attribute = LogGroup.get_cfn_attribute

setattr(LogGroup, "get_cfn_attribute", _log_group_attribute)  # noqa: B010  # mypy forbids to assign a method
_extend(Role, _complete_role)
_extend(FakeBucket, _complete_bucket)
_extend(Table, _complete_table)
_extend(LambdaFunction, _complete_function)
