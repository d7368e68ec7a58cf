"""CloudFormation resource types that moto silently ignores, added.

Importing this module changes moto for the whole process. moto finds types as the direct subclasses of
CloudFormationModel; each function below creates resources of one type.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import moto.cloudformation.parsing  # noqa: F401  # loads every type that moto knows, before ours are added
from moto.apigatewayv2.models import apigatewayv2_backends
from moto.awslambda.utils import get_backend as lambda_backend
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.common_models import CloudFormationModel
from moto.scheduler.models import scheduler_backends
from moto.sns.models import sns_backends

Json = dict[str, Any]
Created = tuple[str, dict[str, str]]
"""A resource's physical id and the attributes that a template may reference."""

Create = Callable[[str, Json, str, str], Created]
"""Creates a resource from a generated name, its properties, account and region."""

Delete = Callable[[str, str, str], object]
"""Deletes a resource by its physical id, account and region."""

_types: list[type[CloudFormationModel]] = []  # moto finds subclasses by weak references, so keep them alive


def _creates(kind: str, delete: Delete = lambda *_: None) -> Callable[[Create], Create]:
    """Register a type; without `delete` a resource goes with the one that it belongs to."""

    def register(create: Create) -> Create:
        class Resource(CloudFormationModel):
            def __init__(self, physical_id: str, attributes: dict[str, str]) -> None:
                self.physical_resource_id = physical_id
                self._attributes = attributes

            def get_cfn_attribute(self, attribute_name: str) -> str:
                return self._attributes[attribute_name]

            @classmethod
            def has_cfn_attr(cls, attr: str) -> bool:  # noqa: ARG003  # the signature is moto's
                return True

            @staticmethod
            def cloudformation_name_type() -> str:
                return ""

            @staticmethod
            def cloudformation_type() -> str:
                return kind

            @classmethod
            def create_from_cloudformation_json(
                cls,
                resource_name: str,
                cloudformation_json: Json,
                account_id: str,
                region_name: str,
                **kwargs: object,  # noqa: ARG003  # the signature is moto's
            ) -> Resource:
                return cls(*create(resource_name, cloudformation_json["Properties"], account_id, region_name))

            @classmethod
            def delete_from_cloudformation_json(
                cls,
                resource_name: str,
                cloudformation_json: Json,  # noqa: ARG003  # the signature is moto's
                account_id: str,
                region_name: str,
            ) -> None:
                delete(resource_name, account_id, region_name)

        _types.append(Resource)  # type: ignore[type-abstract]  # what it leaves out, moto does without
        return create

    return register


def _in(backends: Any, account: str, region: str) -> Any:  # each service has its own type of backend
    return backends[account][region]


@_creates("AWS::ApiGatewayV2::Api", lambda name, *where: _in(apigatewayv2_backends, *where).delete_api(name))
def _create_api(name: str, properties: Json, account: str, region: str) -> Created:
    backend: Any = apigatewayv2_backends[account][region]  # its hints do not allow what it takes for "not given"
    api = backend.create_api(None, None, properties.get("Description"), None, None, name, "HTTP", None, {}, None)
    backend.reimport_api(api.api_id, json.dumps(properties["Body"]), False)
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in properties["Body"]["paths"].items()
        for method, operation in methods.items()
    }
    for route in api.routes.values():
        # moto's import leaves every route without authorization
        route.authorization_type = "AWS_IAM" if needs_iam(operations[route.route_key]) else "NONE"
    return api.api_id, {"ApiEndpoint": api.api_endpoint, "ApiId": api.api_id}


def needs_iam(operation: Json) -> bool:
    """Return whether an operation of an API's OpenAPI body requires a signed request."""
    return any("AWS_IAM" in requirement for requirement in operation.get("security", []))


@_creates("AWS::ApiGatewayV2::Stage")
def _create_stage(_name: str, properties: Json, account: str, region: str) -> Created:
    stage = {
        "stageName": properties["StageName"],
        "autoDeploy": properties.get("AutoDeploy"),
        "defaultRouteSettings": properties.get("DefaultRouteSettings"),
    }
    apigatewayv2_backends[account][region].create_stage(properties["ApiId"], stage)
    return properties["StageName"], {}


@_creates("AWS::Scheduler::Schedule", lambda name, *where: _in(scheduler_backends, *where).delete_schedule(None, name))
def _create_schedule(generated_name: str, properties: Json, account: str, region: str) -> Created:
    backend: Any = scheduler_backends[account][region]  # its hints do not allow what it takes for "not given"
    name = properties.get("Name", generated_name)
    if time_zone := properties.get("ScheduleExpressionTimezone"):
        ZoneInfo(time_zone)  # an unknown one is refused
    schedule = backend.create_schedule(
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
    return name, {"Arn": schedule.arn}


@_creates("AWS::CloudWatch::Alarm", lambda name, *where: _in(cloudwatch_backends, *where).delete_alarms([name]))
def _create_alarm(generated_name: str, properties: Json, account: str, region: str) -> Created:
    name = properties.get("AlarmName", generated_name)
    # of an expression over metrics the first metric is kept: nothing here computes one
    stat = next((each["MetricStat"] for each in properties.get("Metrics", []) if "MetricStat" in each), None)
    metric = stat["Metric"] if stat else properties
    alarm = cloudwatch_backends[account][region].put_metric_alarm(
        name=name,
        namespace=metric["Namespace"],
        metric_name=metric["MetricName"],
        comparison_operator=properties["ComparisonOperator"],
        evaluation_periods=int(properties["EvaluationPeriods"]),
        period=int((stat or properties)["Period"]),
        threshold=float(properties["Threshold"]),
        statistic=stat["Stat"] if stat else properties["Statistic"],
        description=properties.get("AlarmDescription", ""),
        dimensions=metric.get("Dimensions", []),
        alarm_actions=properties.get("AlarmActions", []),
        ok_actions=properties.get("OKActions", []),
        treat_missing_data=properties.get("TreatMissingData"),
    )
    return name, {"Arn": alarm.alarm_arn}


@_creates("AWS::SNS::Subscription", lambda name, *where: _in(sns_backends, *where).unsubscribe(name))
def _create_subscription(_name: str, properties: Json, account: str, region: str) -> Created:
    backend = sns_backends[account][region]
    subscription = backend.subscribe(properties["TopicArn"], properties["Endpoint"], properties["Protocol"])
    return subscription.arn, {}


@_creates("AWS::Lambda::EventInvokeConfig")
def _create_event_invoke_config(name: str, properties: Json, account: str, region: str) -> Created:
    configuration: Json = {"DestinationConfig": properties.get("DestinationConfig", {})}
    for limit in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds"):
        if limit in properties:
            configuration[limit] = int(properties[limit])
    lambda_backend(account, region).put_function_event_invoke_config(properties["FunctionName"], configuration)
    return name, {}
