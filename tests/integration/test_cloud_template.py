"""The project's own template in the local cloud: every property takes effect."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from samtranslator.yaml_helper import yaml_parse

from crawler.sources.registry import SOURCES
from local.cloud.cloud import Cloud
from local.cloud.errors import TemplateError
from local.cloud.template import load_template
from osusume.observability import UNITS
from osusume.service_levels import DAYS, OBJECTIVES, POST_SECONDS, PRESS_SECONDS, SUMMARY_SECONDS

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
PARAMETERS = {"Contact": "owner@example.com", "SlackChannelId": "C0LOCAL"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud(TEMPLATE, {**PARAMETERS, "AlarmEmail": "owner@example.com"}) as running:
        yield running


def test_schedules_keep_their_time_zone_and_target(cloud: Cloud) -> None:
    schedule = cloud.client("scheduler").get_schedule(Name=cloud.resources["CrawlerFunctionEveryMorning"])
    assert schedule["ScheduleExpression"] == "cron(0 7 * * ? *)"
    assert schedule["ScheduleExpressionTimezone"] == "Asia/Tokyo"
    assert schedule["Target"]["Arn"].endswith(":function:osusume-crawler")


def test_alarms_watch_and_tell(cloud: Cloud) -> None:
    alarms = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    missing, dead, api = (
        next(alarm for alarm in alarms if alarm["AlarmName"] == cloud.resources[name])
        for name in ("SummaryMissing", "DeadLettersWaiting", "ApiErrors")
    )
    assert len(alarms) == 3
    assert missing["TreatMissingData"] == "breaching"
    assert (missing["MetricName"], missing["Period"], missing["EvaluationPeriods"]) == ("SummariesPosted", 3600, 26)
    assert (dead["Namespace"], dead["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert dead["Dimensions"] == [{"Name": "QueueName", "Value": "osusume-dead-letters"}]
    assert (api["Namespace"], api["MetricName"]) == ("AWS/ApiGateway", "5xx")
    assert api["Dimensions"] == [{"Name": "ApiId", "Value": cloud.resources["HttpApi"]}]
    assert all((alarm["Threshold"], alarm["Period"]) == (1.0, 300) for alarm in (dead, api))
    assert all(alarm["AlarmActions"] == [cloud.resources["AlarmTopic"]] == alarm["OKActions"] for alarm in alarms)
    told = cloud.client("sns").list_subscriptions()["Subscriptions"]
    assert {(each["Protocol"], each["Endpoint"].rpartition(":")[2]) for each in told} == {
        ("email", "owner@example.com"),
        ("lambda", "osusume-notifier"),
    }


def test_the_dashboard_shows_every_alarm_the_service_levels_and_metrics_that_are_emitted(cloud: Cloud) -> None:
    shown = cloud.client("cloudwatch").get_dashboard(DashboardName=cloud.resources["Dashboard"])["DashboardBody"]
    alarms, promises, *graphs = json.loads(shown)["widgets"]
    deployed = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert sorted(alarms["properties"]["alarms"]) == sorted(alarm["AlarmArn"] for alarm in deployed)
    said = promises["properties"]["markdown"]
    assert f"of the last {DAYS} days" in said
    assert f"{OBJECTIVES['summaries']:.0%} of summaries within {SUMMARY_SECONDS / 60:.0f} minutes" in said
    assert f"{OBJECTIVES['posts']:.0%} of posts within {POST_SECONDS / 60:.0f} minutes" in said
    assert f"{OBJECTIVES['presses']:.0%} of presses within {PRESS_SECONDS:.0f} second" in said
    emitted = {
        (name, path.parent.name)
        for path in TEMPLATE.parent.glob("functions/*/app.py")
        for call in re.findall(r"\bmeasure\((.+?)\)\n", path.read_text("utf-8"), re.DOTALL)
        for name in re.findall(r"(\w+)=", call)
    }
    own = {
        (metric[1], metric[3])
        for graph in graphs
        for metric in graph["properties"]["metrics"]
        if metric[0] == "Osusume"
    }
    assert own == emitted
    assert {name for name, _ in own} == UNITS.keys()
    assert len(own) <= 10, "CloudWatch charges for each metric beyond ten"
    names = {metric[3] for graph in graphs for metric in graph["properties"]["metrics"] if metric[0] == "AWS/Lambda"}
    assert names == {f"osusume-{name}" for name in ("crawler", "notifier", "classifier", "trainer", "feedback")}


def test_tables_keep_their_index_and_recovery(cloud: Cloud) -> None:
    client = cloud.client("dynamodb")
    table = client.describe_table(TableName=cloud.resources["ItemsTable"])["Table"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["unfinished"]
    backups = client.describe_continuous_backups(TableName=cloud.resources["LabelsTable"])
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


def test_the_bucket_is_versioned_private_and_tidied(cloud: Cloud) -> None:
    client, bucket = cloud.client("s3"), cloud.resources["Bucket"]
    assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    block = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    assert block.keys() == {"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"}
    (rule,) = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert client.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    (rule,) = client.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert rule == {"ObjectOwnership": "BucketOwnerEnforced"}


def test_snapshots_alone_wake_the_notifier(cloud: Cloud) -> None:
    notifications = cloud.client("s3").get_bucket_notification_configuration(Bucket=cloud.resources["Bucket"])
    (notification,) = notifications["LambdaFunctionConfigurations"]
    assert notification["LambdaFunctionArn"].endswith(":function:osusume-notifier")
    rules = notification["Filter"]["Key"]["FilterRules"]
    assert {rule["Name"].lower(): rule["Value"] for rule in rules} == {"prefix": "snapshots/", "suffix": ".json"}


def test_routes_keep_their_authorization(cloud: Cloud) -> None:
    routes = cloud.client("apigatewayv2").get_routes(ApiId=cloud.resources["HttpApi"])["Items"]
    assert {route["RouteKey"]: route["AuthorizationType"] for route in routes} == {
        "POST /predict": "AWS_IAM",
        "POST /slack/interactions": "NONE",
    }
    assert requests.post(f"{cloud.api_url}/predict", json={"items": []}, timeout=10).status_code == 403


def test_the_api_gives_up_a_press_when_slack_does() -> None:
    document = load_template(TEMPLATE, PARAMETERS, "ap-northeast-1").document
    paths = document["Resources"]["HttpApi"]["Properties"]["Body"]["paths"]
    integrations = {path: route["post"]["x-amazon-apigateway-integration"] for path, route in paths.items()}
    limits = {path: integration.get("timeoutInMillis") for path, integration in integrations.items()}
    assert limits == {"/slack/interactions": 3000, "/predict": None}


def test_functions_keep_their_settings(cloud: Cloud) -> None:
    client = cloud.client("lambda")
    classifier = client.get_function_configuration(FunctionName="osusume-classifier")
    assert (classifier["PackageType"], classifier["MemorySize"]) == ("Image", 1024)
    crawler = client.get_function_configuration(FunctionName="osusume-crawler")
    assert crawler["Timeout"] == 900
    assert crawler["Environment"]["Variables"]["ITEM_LIMIT"] == "100"
    for name in ("crawler", "notifier", "trainer", "feedback"):
        retries = client.get_function_event_invoke_config(FunctionName=f"osusume-{name}")
        assert retries["MaximumRetryAttempts"] == 2
        assert retries["DestinationConfig"]["OnFailure"]["Destination"].endswith(":osusume-dead-letters")


def test_logs_have_a_retention_period(cloud: Cloud) -> None:
    groups = cloud.client("logs").describe_log_groups()["logGroups"]
    assert {group["logGroupName"]: group["retentionInDays"] for group in groups} == {
        f"/aws/lambda/osusume-{name}": 30 for name in ("crawler", "notifier", "classifier", "trainer", "feedback")
    }


def test_outputs_name_the_local_address(cloud: Cloud) -> None:
    assert cloud.outputs["InteractionsUrl"] == f"{cloud.api_url}/slack/interactions"


def test_a_channels_name_is_refused_where_its_id_is_wanted() -> None:
    with pytest.raises(TemplateError, match="parameter SlackChannelId must be an id such as C0123456789"):
        Cloud(TEMPLATE, {**PARAMETERS, "SlackChannelId": "#works"}).__enter__()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("Schedule", "7:00"),
        ("TrainingSchedule", "every morning"),
        ("TimeZone", "Tokyo time"),
        ("AlarmEmail", "owner"),
        ("AllowedSlackUsers", "U0123,@owner"),
        ("Source", "elsewhere"),
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_is_made(parameter: str, value: str) -> None:
    with pytest.raises(TemplateError, match=f"parameter {parameter} must be"):
        load_template(TEMPLATE, {**PARAMETERS, parameter: value}, "ap-northeast-1")


def test_the_sources_that_the_template_allows_are_those_that_there_are() -> None:
    assert yaml_parse(TEMPLATE.read_text("utf-8"))["Parameters"]["Source"]["AllowedValues"] == sorted(SOURCES)
