"""Stacks that fail, are updated, deleted and adopted, as CloudFormation documents it, with the project's template."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from scenario import operated

from local.cloud.access import REGION
from local.cloud.account import Account, empty_account
from local.cloud.template import ARTIFACT_BUCKET, load_template
from ops.deploying import Answers, default_of, definitions, read_answers

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
SAM = Path(__file__).parents[2] / ".venv-sam" / "bin" / "python"
REQUIRED = ("--set", "Contact=owner@example.com", "--set", "SlackChannelId=C0LOCAL")

Ops = Callable[..., str]


@pytest.fixture
def account() -> Iterator[Account]:
    with empty_account() as served:
        yield served


@pytest.fixture
def ops(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ops:
    """Run an operation with `typed` on its standard input; return what it prints, or its error if it must `fail`."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "AWS_ENDPOINT_URL": account.endpoint,
        "AWS_ACCESS_KEY_ID": account.credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": account.credentials.secret_key,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str = "", fail: bool = False) -> str:
        told = operated(monkeypatch, capsys, *arguments, typed=typed, fail=fail)
        return told.err if fail else told.out

    return run


def deploy(account: Account, stack: str = "osusume", **changes: str) -> str:
    """Deploy with the stack's answers as `sam deploy` does, with a change set, and return the stack's status."""
    answers = tomllib.loads(Path(f".deploy/{stack}.toml").read_text("utf-8"))["default"]["deploy"]["parameters"]
    assert (answers["stack_name"], answers["region"]) == (stack, REGION)
    parameters = {**answers["parameter_overrides"], **changes}
    document = load_template(TEMPLATE, parameters, REGION).document
    client, s3 = account.client("cloudformation"), account.client("s3")
    for name, resource in document["Resources"].items():
        if resource["Type"] in {"AWS::Lambda::Function", "AWS::Lambda::LayerVersion"}:
            s3.put_object(Bucket=ARTIFACT_BUCKET, Key=f"{name}.zip", Body=b"code")
    exists = any(each["StackName"] == stack for each in client.describe_stacks()["Stacks"])
    client.create_change_set(
        StackName=stack,
        ChangeSetName="deploy",
        ChangeSetType="UPDATE" if exists else "CREATE",
        TemplateBody=json.dumps(document, default=str),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    client.execute_change_set(StackName=stack, ChangeSetName="deploy")
    (described,) = client.describe_stacks(StackName=stack)["Stacks"]
    status: str = described["StackStatus"]
    return status


def everything(account: Account) -> dict[str, list[str]]:
    """Return the names of all that the account holds, by kind."""
    return {
        "tables": account.client("dynamodb").list_tables()["TableNames"],
        "buckets": [b["Name"] for b in account.client("s3").list_buckets()["Buckets"] if b["Name"] != ARTIFACT_BUCKET],
        "functions": [f["FunctionName"] for f in account.client("lambda").list_functions()["Functions"]],
        "layers": [layer["LayerName"] for layer in account.client("lambda").list_layers()["Layers"]],
        "roles": [role["RoleName"] for role in account.client("iam").list_roles()["Roles"]],
        "log groups": [g["logGroupName"] for g in account.client("logs").describe_log_groups()["logGroups"]],
        "queues": account.client("sqs").list_queues().get("QueueUrls", []),
        "topics": [topic["TopicArn"] for topic in account.client("sns").list_topics()["Topics"]],
        "subscriptions": [s["Endpoint"] for s in account.client("sns").list_subscriptions()["Subscriptions"]],
        "alarms": [a["AlarmName"] for a in account.client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "schedules": [each["Name"] for each in account.client("scheduler").list_schedules()["Schedules"]],
        "apis": [each["ApiId"] for each in account.client("apigatewayv2").get_apis()["Items"]],
    }


def summaries_counted(account: Account) -> float:
    now = datetime.now(UTC)
    statistics = account.client("cloudwatch").get_metric_statistics(
        Namespace="Osusume",
        MetricName="SummariesPosted",
        Dimensions=[{"Name": "service", "Value": "notifier"}, {"Name": "stack", "Value": "osusume"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in statistics["Datapoints"]))


def environment_of(account: Account, function: str) -> dict[str, str]:
    configuration = account.client("lambda").get_function_configuration(FunctionName=function)
    variables: dict[str, str] = configuration["Environment"]["Variables"]
    return variables


def test_a_first_deployment_that_fails_leaves_nothing_and_can_be_tried_again(account: Account, ops: Ops) -> None:
    nothing: dict[str, list[str]] = {kind: [] for kind in everything(account)}
    ops("prepare", *REQUIRED)
    # a zone that no pattern refuses, as if it had been deployed without `prepare`
    assert deploy(account, TimeZone="Asia/Tokio") == "ROLLBACK_COMPLETE"
    assert everything(account) == nothing
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        deploy(account)
    assert "was never complete" in ops("prepare")
    assert deploy(account) == "CREATE_COMPLETE"
    assert all(names for kind, names in everything(account).items() if kind != "subscriptions")
    assert summaries_counted(account) == 2, "before each first deployment"
    ops("prepare")
    assert summaries_counted(account) == 2, "an update must not hide a missing morning"


def test_what_would_fail_late_is_refused_before_anything_is_made(ops: Ops) -> None:
    assert "small letters" in ops("prepare", "--stack", "Osusume", *REQUIRED, fail=True)
    assert "too long" in ops("prepare", "--stack", "o" * 36, *REQUIRED, fail=True)
    assert "no time zone 'Asia/Tokio'" in ops("prepare", *REQUIRED, "--set", "TimeZone=Asia/Tokio", fail=True)
    assert "must be '?'" in ops("prepare", *REQUIRED, "--set", "Schedule=cron(0 7 * * * *)", fail=True)
    assert "never fires" in ops("prepare", *REQUIRED, "--set", "Schedule=cron(0 7 31 2 ? *)", fail=True)
    assert "e-mail" in ops("prepare", *REQUIRED, "--set", "AlarmEmail=owner", fail=True)
    assert "SlackChannelId has no value" in ops("prepare", "--set", "Contact=owner@example.com", fail=True)
    assert not Path(".deploy").exists()


def test_a_deleted_stack_is_adopted_with_all_its_labels(account: Account, ops: Ops) -> None:
    ops("prepare", *REQUIRED)
    deploy(account)
    ops("protect", "--yes")
    bucket = f"osusume-123456789012-{REGION}"
    account.client("s3").put_object(Bucket=bucket, Key="models/head.json", Body=b"learnt")
    table = {"TableName": "osusume-labels"}
    for number in range(30):
        account.client("dynamodb").put_item(**table, Item={"item_id": {"S": f"RJ{number:08}"}})
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):  # a bare `sam delete` of the wrong stack
        account.client("cloudformation").delete_stack(StackName="osusume")
    ops("protect", "--off", "--yes")
    account.client("cloudformation").delete_stack(StackName="osusume")

    assert "ops adopt --stack osusume --yes" in ops("prepare", fail=True)
    assert deploy(account) == "ROLLBACK_COMPLETE", "what is left cannot be made again"
    assert "would import" in ops("adopt")
    assert "imported" in ops("adopt", "--yes")
    ops("prepare")
    assert deploy(account) == "UPDATE_COMPLETE"
    ops("protect", "--yes")

    assert account.client("dynamodb").scan(**table, Select="COUNT")["Count"] == 30
    assert account.client("s3").get_object(Bucket=bucket, Key="models/head.json")["Body"].read() == b"learnt"
    notifications = account.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    assert notifications["LambdaFunctionConfigurations"][0]["LambdaFunctionArn"].endswith(":osusume-notifier")
    assert "nothing to adopt" in ops("adopt", "--yes", fail=True)


def test_a_destroyed_stack_keeps_its_data_until_its_name_is_typed(account: Account, ops: Ops) -> None:
    nothing = everything(account)
    ops("prepare", *REQUIRED)
    deploy(account)
    ops("protect", "--yes")
    secret = {"Name": "/osusume/slack-bot-token", "Type": "SecureString"}
    account.client("ssm").put_parameter(**secret, Value="xoxb-1234567890")
    account.client("dynamodb").put_item(TableName="osusume-labels", Item={"item_id": {"S": "RJ00000001"}})
    bucket = f"osusume-123456789012-{REGION}"
    for body in (b"old", b"new"):
        account.client("s3").put_object(Bucket=bucket, Key="models/head.json", Body=body)

    sam_delete = [str(SAM.with_name("sam")), "delete", "--no-prompts", "--stack-name", "osusume", "--region", REGION]
    assert "would let osusume be deleted" in ops("destroy")
    assert "still exists" in ops("destroy-data", typed="osusume\n", fail=True)
    assert f"stays: {bucket}" in ops("destroy", "--yes")
    subprocess.run(sam_delete, capture_output=True, check=True)  # noqa: S603  # fixed
    left = {kind: names for kind, names in everything(account).items() if names}
    assert left == {"tables": ["osusume-items", "osusume-labels"], "buckets": [bucket]}

    assert "not its name" in ops("destroy-data", typed="osusume-dev\n", fail=True)
    assert "not its name" in ops("destroy-data", fail=True)
    assert {kind: names for kind, names in everything(account).items() if names} == left
    told = ops("destroy-data", typed="osusume\n")
    assert told.count("will be deleted for good") == 4
    assert everything(account) == nothing
    assert account.client("ssm").describe_parameters()["Parameters"] == []
    assert "left nothing" in ops("destroy-data")


def test_two_stacks_share_nothing_and_one_goes_without_the_other(account: Account, ops: Ops) -> None:
    ops("prepare", *REQUIRED)
    ops("prepare", "--stack", "osusume-dev", *REQUIRED)
    assert deploy(account) == "CREATE_COMPLETE"
    alone = everything(account)
    assert deploy(account, "osusume-dev") == "CREATE_COMPLETE"
    assert all(len(names) == 2 * len(alone[kind]) for kind, names in everything(account).items())
    for name in ("crawler", "notifier", "classifier", "feedback", "trainer"):
        other = json.dumps(environment_of(account, f"osusume-dev-{name}"))
        assert "osusume" not in other.replace("osusume-dev", "")
        role = account.client("lambda").get_function_configuration(FunctionName=f"osusume-dev-{name}")["Role"]
        which = {"RoleName": role.rpartition("/")[2], "PolicyName": name}
        policy = json.dumps(account.client("iam").get_role_policy(**which)["PolicyDocument"])
        assert "osusume" in policy
        assert "osusume" not in policy.replace("osusume-dev", "")
    account.client("cloudformation").delete_stack(StackName="osusume-dev")
    left = everything(account)
    kept = {kind: sorted(set(left[kind]) - set(alone[kind])) for kind in left}
    assert {kind: names for kind, names in kept.items() if names} == {
        "tables": ["osusume-dev-items", "osusume-dev-labels"],
        "buckets": [f"osusume-dev-123456789012-{REGION}"],
    }
    assert all(set(alone[kind]) <= set(left[kind]) for kind in left)


CHANGES = {
    "Contact": "other@example.com",
    "Source": "dlsite",
    "Floor": "maniax",
    "Feeds": "https://example.com/feed",
    "ItemLimit": "20",
    "Schedule": "cron(30 8 ? * MON-FRI *)",
    "SecondSource": "feed",
    "SecondSchedule": "cron(30 20 * * ? *)",
    "TimeZone": "Europe/Berlin",
    "TrainingSchedule": "cron(0 8 * * ? *)",
    "SlackChannelId": "C0OTHER",
    "AllowedSlackUsers": "U0OWNER,U0PARTNER",
    "Threshold": "0.7",
    "ExploredItemsADay": "5",
    "UnwantedCost": "1.5",
    "MaxPosts": "10",
    "MadeUpTaste": "use",
    "SlackBotTokenParameter": "/elsewhere/token",
    "SlackSigningSecretParameter": "/elsewhere/secret",
    "AlarmEmail": "alarms@example.com",
    "Architecture": "arm64",
    "LogRetentionDays": "90",
    "ShowDashboard": "no",
}


def test_an_update_changes_every_parameter_and_clears_each_optional_one(account: Account, ops: Ops) -> None:
    assert CHANGES.keys() == definitions().keys()
    ops("prepare", *REQUIRED)
    deploy(account)
    tables = account.client("dynamodb").describe_table(TableName="osusume-labels")["Table"]["CreationDateTime"]
    before = effects(account)

    ops("prepare", *(part for name, value in CHANGES.items() for part in ("--set", f"{name}={value}")))
    assert deploy(account) == "UPDATE_COMPLETE"
    changed = effects(account)
    assert changed == CHANGES
    assert {name for name in CHANGES if before[name] == changed[name]} == {"Source"}, "else Feeds could not be cleared"

    optional = {name for name in CHANGES if default_of(name) == ""}
    assert len(optional) == 7
    ops("prepare", *(part for name in optional for part in ("--set", f"{name}=")))
    assert deploy(account) == "UPDATE_COMPLETE"
    cleared = effects(account)
    assert cleared == CHANGES | {name: before[name] for name in optional}
    assert cleared["SlackBotTokenParameter"] == "/osusume/slack-bot-token"
    assert account.client("dynamodb").describe_table(TableName="osusume-labels")["Table"]["CreationDateTime"] == tables


def effects(account: Account) -> dict[str, str]:
    """Return what each parameter does in the account, in the words of its value."""
    crawler, notifier, feedback, classifier, trainer = (
        environment_of(account, f"osusume-{name}")
        for name in ("crawler", "notifier", "feedback", "classifier", "trainer")
    )
    morning, second, night = (
        account.client("scheduler").get_schedule(Name=f"osusume-{name}") for name in ("crawl", "crawl-second", "train")
    )
    assert morning["ScheduleExpressionTimezone"] == night["ScheduleExpressionTimezone"]
    assert {morning["ScheduleExpressionTimezone"]} == {env["TIME_ZONE"] for env in (notifier, feedback, trainer)}
    architectures = {str(f["Architectures"]) for f in account.client("lambda").list_functions()["Functions"]}
    days = {group["retentionInDays"] for group in account.client("logs").describe_log_groups()["logGroups"]}
    told = account.client("sns").list_subscriptions()["Subscriptions"]
    endpoints = [each["Endpoint"] for each in told if each["Protocol"] == "email"]
    assert len(architectures) == len(days) == 1
    return {
        "Contact": crawler["CONTACT"],
        "Source": crawler["SOURCE"],
        "Floor": crawler["FLOOR"],
        "Feeds": crawler["FEEDS"],
        "ItemLimit": crawler["ITEM_LIMIT"],
        "Schedule": morning["ScheduleExpression"],
        "SecondSource": json.loads(second["Target"]["Input"])["source"] if second["State"] == "ENABLED" else "",
        "SecondSchedule": second["ScheduleExpression"],
        "TimeZone": morning["ScheduleExpressionTimezone"],
        "TrainingSchedule": night["ScheduleExpression"],
        "SlackChannelId": notifier["SLACK_CHANNEL_ID"],
        "AllowedSlackUsers": feedback["ALLOWED_SLACK_USERS"],
        "Threshold": notifier["THRESHOLD"],
        "ExploredItemsADay": notifier["EXPLORED_ITEMS_A_DAY"],
        "UnwantedCost": trainer["UNWANTED_COST"],
        "MaxPosts": notifier["MAX_POSTS"],
        "MadeUpTaste": classifier["MADE_UP_TASTE"],
        "SlackBotTokenParameter": notifier["SLACK_BOT_TOKEN_PARAMETER"],
        "SlackSigningSecretParameter": feedback["SLACK_SIGNING_SECRET_PARAMETER"],
        "AlarmEmail": "".join(endpoints),
        "Architecture": architectures.pop().strip("[']"),
        "LogRetentionDays": str(days.pop()),
        "ShowDashboard": "yes" if account.client("cloudwatch").list_dashboards()["DashboardEntries"] else "no",
    }


def test_the_owner_is_asked_once_and_the_answers_can_be_asked_again_and_cleared(ops: Ops) -> None:
    typed = "owner@example.com\n" + "\n" * 9 + "#works\nC0LOCAL\n" + "\n" * 8 + "owner@example.com\n\n\n\n"
    told = ops("prepare", "--ask", typed=typed)
    assert "an id such as C0123456789" in told, "a wrong answer is asked again"
    kept = Path(".deploy/osusume.toml").read_text("utf-8")
    assert 'AlarmEmail = "owner@example.com"' in kept
    assert "Contact:" not in ops("prepare"), "nothing is asked a second time"
    assert Path(".deploy/osusume.toml").read_text("utf-8") == kept
    ops("prepare", "--ask", typed="\n" * 19 + "-\n\n\n\n")
    assert Path(".deploy/osusume.toml").read_text("utf-8") == kept.replace('"owner@example.com"\nArch', '""\nArch')
    assert "there is no answer for Contact" in ops("prepare", "--ask", fail=True)


def test_answers_without_a_file_are_those_of_the_deployed_stack_and_of_its_region(account: Account, ops: Ops) -> None:
    ops("prepare", *REQUIRED, "--set", "MaxPosts=7")
    deploy(account)
    Path(".deploy/osusume.toml").unlink()
    ops("prepare")
    answers = read_answers("osusume")
    assert answers
    assert (answers.region, answers.parameters["MaxPosts"], answers.parameters["Threshold"]) == (REGION, "7", "")
    assert "is in ap-northeast-1, not in us-east-1" in ops("prepare", "--region", "us-east-1", fail=True)


def test_sam_reads_the_answers_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"Schedule": "cron(0 7 ? * MON,TUE *)", "Threshold": "", "Contact": "https://example.com/?a=b&c='d'"}
    path = Answers("osusume-dev", REGION, given).save()
    read = (
        "import json, sys; from pathlib import Path; from samcli.lib.config.samconfig import SamConfig;"
        "from samcli.cli.types import CfnParameterOverridesType; path = Path(sys.argv[1]).resolve();"
        "values = SamConfig(str(path.parent), path.name).get_all(['deploy'], 'parameters');"
        "given = values['parameter_overrides'];"
        "values['parameter_overrides'] = CfnParameterOverridesType().convert(given, None, None);"
        "print(json.dumps(values))"
    )
    ran = subprocess.run([SAM, "-c", read, path], capture_output=True, text=True, check=True)  # noqa: S603  # our own
    values = json.loads(ran.stdout)
    assert values["parameter_overrides"] == given
    assert (values["stack_name"], values["region"], values["confirm_changeset"]) == ("osusume-dev", REGION, False)
