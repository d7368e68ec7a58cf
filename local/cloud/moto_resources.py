"""CloudFormation resources and properties that moto drops without a word, brought back.

Importing this module changes moto for the whole process. moto finds resource types by asking for the direct subclasses of
CloudFormationModel, so each class below must name it as a base of its own.
"""

from __future__ import annotations

import json
from typing import Any

import moto.cloudformation.parsing  # noqa: F401  # loads every type that moto knows, before ours are added
from moto.apigatewayv2.models import apigatewayv2_backends
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend as lambda_backend
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.iam.models import Role, iam_backends
from moto.logs.models import LogGroup
from moto.s3.models import FakeBucket, s3_backends
from moto.scheduler.models import scheduler_backends
from moto.sns.models import sns_backends

Json = dict[str, Any]


class _Created:
    """What CloudFormation needs to know of a resource that it created: its physical id and its attributes."""

    def __init__(self, physical_id: str, attributes: dict[str, str] | None = None) -> None:
        self.physical_resource_id = physical_id
        self._attributes = attributes or {}

    def get_cfn_attribute(self, name: str) -> str:
        return self._attributes[name]

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @classmethod
    def has_cfn_attr(cls, _name: str) -> bool:
        return True

    def is_created(self) -> bool:
        return True


class HttpApi(_Created, CloudFormationModel):
    """AWS::ApiGatewayV2::Api given as an OpenAPI body; the gateway reads the routes from the template."""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::ApiGatewayV2::Api"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **_: object
    ) -> HttpApi:
        properties = cloudformation_json["Properties"]
        backend = apigatewayv2_backends[account_id][region_name]
        description = properties.get("Description")
        api = backend.create_api(None, None, description, None, None, resource_name, "HTTP", None, {}, None)
        backend.reimport_api(api.api_id, json.dumps(properties["Body"]), False)
        for route in api.routes.values():
            method, path = route.route_key.split(" ", 1)
            operation = properties["Body"]["paths"][path][method.lower()]
            # moto's import leaves every route open
            route.authorization_type = "AWS_IAM" if is_iam_operation(operation) else "NONE"
        return cls(api.api_id, {"ApiEndpoint": api.api_endpoint, "ApiId": api.api_id})


def is_iam_operation(operation: Json) -> bool:
    """Return whether an operation of an API's OpenAPI body asks for a signed request."""
    return any("AWS_IAM" in requirement for requirement in operation.get("security", []))


class HttpApiStage(_Created, CloudFormationModel):
    """AWS::ApiGatewayV2::Stage."""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::ApiGatewayV2::Stage"

    @classmethod
    def create_from_cloudformation_json(
        cls, _resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **_: object
    ) -> HttpApiStage:
        properties = cloudformation_json["Properties"]
        stage = {
            "stageName": properties["StageName"],
            "autoDeploy": properties.get("AutoDeploy"),
            "defaultRouteSettings": properties.get("DefaultRouteSettings"),
        }
        apigatewayv2_backends[account_id][region_name].create_stage(properties["ApiId"], stage)
        return cls(properties["StageName"])


class Schedule(_Created, CloudFormationModel):
    """AWS::Scheduler::Schedule; moto stores it, `Cloud.fire_schedule` fires it."""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Scheduler::Schedule"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **_: object
    ) -> Schedule:
        properties = cloudformation_json["Properties"]
        name = properties.get("Name", resource_name)
        schedule = scheduler_backends[account_id][region_name].create_schedule(
            description=properties.get("Description"),
            end_date=properties.get("EndDate"),
            flexible_time_window=properties["FlexibleTimeWindow"],
            group_name=properties.get("GroupName"),
            kms_key_arn=properties.get("KmsKeyArn"),
            name=name,
            schedule_expression=properties["ScheduleExpression"],
            schedule_expression_timezone=properties.get("ScheduleExpressionTimezone"),
            start_date=properties.get("StartDate"),
            state=properties.get("State", "ENABLED"),
            target=properties["Target"],
            action_after_completion=None,
        )
        return cls(name, {"Arn": schedule.arn})


class Alarm(_Created, CloudFormationModel):
    """AWS::CloudWatch::Alarm on one metric; moto stores it and never evaluates it."""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::CloudWatch::Alarm"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **_: object
    ) -> Alarm:
        properties = cloudformation_json["Properties"]
        name = properties.get("AlarmName", resource_name)
        alarm = cloudwatch_backends[account_id][region_name].put_metric_alarm(
            name=name,
            namespace=properties["Namespace"],
            metric_name=properties["MetricName"],
            comparison_operator=properties["ComparisonOperator"],
            evaluation_periods=int(properties["EvaluationPeriods"]),
            period=int(properties["Period"]),
            threshold=float(properties["Threshold"]),
            statistic=properties.get("Statistic"),
            description=properties.get("AlarmDescription"),
            dimensions=properties.get("Dimensions", []),
            alarm_actions=properties.get("AlarmActions", []),
            ok_actions=properties.get("OKActions", []),
            treat_missing_data=properties.get("TreatMissingData"),
        )
        return cls(name, {"Arn": alarm.alarm_arn})


class Subscription(_Created, CloudFormationModel):
    """AWS::SNS::Subscription; nothing is sent to it."""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SNS::Subscription"

    @classmethod
    def create_from_cloudformation_json(
        cls, _resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **_: object
    ) -> Subscription:
        properties = cloudformation_json["Properties"]
        backend = sns_backends[account_id][region_name]
        subscription = backend.subscribe(properties["TopicArn"], properties["Endpoint"], properties["Protocol"])
        return cls(subscription.arn)


class EventInvokeConfig(_Created, CloudFormationModel):
    """AWS::Lambda::EventInvokeConfig: retries and destinations of asynchronous invocations."""

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Lambda::EventInvokeConfig"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **_: object
    ) -> EventInvokeConfig:
        properties = cloudformation_json["Properties"]
        configuration: Json = {"DestinationConfig": properties.get("DestinationConfig", {})}
        for name in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
            if name in properties:
                configuration[name] = int(properties[name])
        lambda_backend(account_id, region_name).put_function_event_invoke_config(
            properties["FunctionName"], configuration
        )
        return cls(resource_name)


def _create_role(
    cls: type[Role], resource_name: str, cloudformation_json: Json, account_id: str, region_name: str, **options: object
) -> Role:
    role = _moto_role(cls, resource_name, cloudformation_json, account_id, region_name, **options)
    for arn in cloudformation_json["Properties"].get("ManagedPolicyArns", []):
        iam_backends[account_id]["aws"].attach_role_policy(arn, role.name)
    # moto keeps inline documents as dicts, and its own evaluation of a dict dies with KeyError('policy_document')
    for name, document in list(role.policies.items()):
        if isinstance(document, dict):
            role.policies[name] = json.dumps(document)
    return role


def _create_bucket(
    cls: type[FakeBucket],
    resource_name: str,
    cloudformation_json: Json,
    account_id: str,
    region_name: str,
    **options: object,
) -> FakeBucket:
    bucket = _moto_bucket(cls, resource_name, cloudformation_json, account_id, region_name, **options)
    properties = cloudformation_json.get("Properties", {})
    backend = s3_backends[account_id]["aws"]
    if versioning := properties.get("VersioningConfiguration"):
        backend.put_bucket_versioning(bucket.name, versioning["Status"])
    if block := properties.get("PublicAccessBlockConfiguration"):
        names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        backend.put_public_access_block(bucket.name, {name: str(block.get(name, False)).lower() for name in names})
    if ownership := properties.get("OwnershipControls"):
        backend.put_bucket_ownership_controls(bucket.name, {"Rule": ownership["Rules"]})
    if lifecycle := properties.get("LifecycleConfiguration"):
        rules = [{"ID": rule.get("Id"), "Filter": {"Prefix": ""}, **rule} for rule in lifecycle["Rules"]]
        backend.put_bucket_lifecycle_configuration(bucket.name, rules)
    if notifications := properties.get("NotificationConfiguration"):
        backend.put_bucket_notification_configuration(bucket.name, _notifications(notifications))
    return bucket


def _notifications(properties: Json) -> Json:
    """Return CloudFormation's notification configuration in the form that moto parses from S3's own API."""

    def converted(configurations: str, target: str, target_name: str) -> list[Json]:
        return [
            {
                target_name: configuration[target],
                "Event": [configuration["Event"]],
                "Filter": (
                    {"S3Key": {"FilterRule": configuration["Filter"]["S3Key"]["Rules"]}}
                    if "Filter" in configuration
                    else None
                ),
            }
            for configuration in properties.get(configurations, [])
        ]

    result: Json = {
        "CloudFunctionConfiguration": converted("LambdaConfigurations", "Function", "CloudFunction"),
        "QueueConfiguration": converted("QueueConfigurations", "Queue", "Queue"),
        "TopicConfiguration": converted("TopicConfigurations", "Topic", "Topic"),
    }
    if "EventBridgeConfiguration" in properties:
        result["EventBridgeConfiguration"] = {}
    return result


def _create_table(
    cls: type[Table],
    resource_name: str,
    cloudformation_json: Json,
    account_id: str,
    region_name: str,
    **options: object,
) -> Table:
    table = _moto_table(cls, resource_name, cloudformation_json, account_id, region_name, **options)
    if recovery := cloudformation_json["Properties"].get("PointInTimeRecoverySpecification"):
        dynamodb_backends[account_id][region_name].update_continuous_backups(table.name, recovery)
    return table


def _create_function(
    cls: type[LambdaFunction],
    resource_name: str,
    cloudformation_json: Json,
    account_id: str,
    region_name: str,
    **options: object,
) -> LambdaFunction:
    properties = cloudformation_json["Properties"]
    variables = properties.get("Environment", {}).get("Variables", {})
    # CloudFormation turns every variable into text; moto would keep numbers and answer boto3 with them
    for name, value in variables.items():
        variables[name] = str(value).lower() if isinstance(value, bool) else str(value)
    function = _moto_function(cls, resource_name, cloudformation_json, account_id, region_name, **options)
    function.package_type = properties.get("PackageType", "Zip")
    function.architectures = properties.get("Architectures", ["x86_64"])
    return function


def _log_group_attribute(group: LogGroup, name: str) -> str:
    # CloudFormation's ARN of a log group ends in ":*", which is what lets a policy name its streams with it
    value: str = _moto_log_group_attribute(group, name)
    return f"{value}:*" if name == "Arn" else value


_moto_log_group_attribute = LogGroup.get_cfn_attribute
LogGroup.get_cfn_attribute = _log_group_attribute  # type: ignore[method-assign]  # the point of this module

_moto_role = Role.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]  # a class method has one
_moto_bucket = FakeBucket.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]  # as above
_moto_table = Table.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]  # as above
_moto_function = LambdaFunction.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]  # as above

for _model, _create in (
    (Role, _create_role),
    (FakeBucket, _create_bucket),
    (Table, _create_table),
    (LambdaFunction, _create_function),
):
    setattr(_model, "create_from_cloudformation_json", classmethod(_create))  # noqa: B010  # mypy: not a method
