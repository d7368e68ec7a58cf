"""The sketch of a template for many owners has the shape that docs/scale.md describes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import ROOT

from local.__main__ import TEMPLATES
from local.cloud.access import REGION
from local.cloud.template import load_template
from local.cost.facts import facts_of
from local.scale.aws_model import REDELIVERY_SECONDS
from local.scale.cost import ALARMS, CRAWL_MEMORY
from local.scale.service import DELIVERY_MEMORY, PRESS_MEMORY, REFIT_MEMORY

NAME = "template-many-owners.yaml"


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    document = load_template(ROOT / NAME, TEMPLATES[NAME], REGION).document
    found: dict[str, Any] = document["Resources"]
    return {name: {**resource, **resource.get("Properties", {})} for name, resource in found.items()}


def definition(resource: dict[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads("\n".join(resource["DefinitionString"]["Fn::Join"][1]))
    owners: dict[str, Any] = parsed["States"]["Owners"]
    return owners


def test_an_owners_session_reaches_only_keys_that_begin_with_the_owner(resources: dict[str, Any]) -> None:
    (policy,) = resources["OwnerRole"]["Policies"]
    tables, secret, models = policy["PolicyDocument"]["Statement"]

    assert tables["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:PrincipalTag/owner}"]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    assert "dynamodb:Scan" not in tables["Action"]
    for statement in (secret, models):
        assert "/owners/${!aws:PrincipalTag/owner}/" in statement["Resource"]["Fn::Sub"]


def test_the_owner_is_the_leading_key_of_every_table_and_index(resources: dict[str, Any]) -> None:
    tables = [resource for resource in resources.values() if resource["Type"] == "AWS::DynamoDB::Table"]
    assert len(tables) == 2
    assert all(table["KeySchema"][0] == {"AttributeName": "owner", "KeyType": "HASH"} for table in tables)


def test_no_other_role_reaches_the_tables_or_tokens(resources: dict[str, Any]) -> None:
    roles = {name: resource for name, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"}

    reaching = {name for name, role in roles.items() if {"dynamodb:", "ssm:"} & set(prefixes(role))}

    assert reaching == {"OwnerRole"}


def prefixes(role: dict[str, Any]) -> list[str]:
    statements = [each for policy in role.get("Policies", []) for each in policy["PolicyDocument"]["Statement"]]
    actions = [each["Action"] if isinstance(each["Action"], list) else [each["Action"]] for each in statements]
    return [f"{action.partition(':')[0]}:" for listed in actions for action in listed]


def test_each_message_names_its_owner_as_group_in_a_standard_queue(resources: dict[str, Any]) -> None:
    send = definition(resources["FanOut"])["ItemProcessor"]["States"]["Send"]

    assert send["Resource"] == "arn:aws:states:::sqs:sendMessage"
    assert send["Parameters"]["MessageGroupId.$"] == "$.owner"
    assert "FifoQueue" not in resources["Deliveries"]
    assert resources["Deliveries"]["VisibilityTimeout"] == REDELIVERY_SECONDS


def test_one_message_is_delivered_at_a_time_by_a_function_with_reserved_concurrency(resources: dict[str, Any]) -> None:
    source = resources["DeliverFunctionDelivery"]

    assert source["BatchSize"] == 1
    assert source["ScalingConfig"]["MaximumConcurrency"] == {"Ref": "DeliveriesAtOnce"}
    assert resources["DeliverFunction"]["ReservedConcurrentExecutions"] == {"Ref": "DeliveriesAtOnce"}


def test_refits_are_a_distributed_map_over_the_owners_that_one_failure_does_not_stop(resources: dict[str, Any]) -> None:
    refits = definition(resources["Refits"])

    assert refits["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert isinstance(refits["MaxConcurrency"], int)
    assert refits["ToleratedFailurePercentage"] == 100


def test_a_function_whose_code_is_missing_fails_and_says_so(resources: dict[str, Any]) -> None:
    functions = [resource for resource in resources.values() if resource["Type"] == "AWS::Lambda::Function"]

    assert len(functions) == 2
    for function in functions:
        assert function["Description"].startswith("MISSING CODE")
        namespace: dict[str, Any] = {}
        exec(function["Code"]["ZipFile"], namespace)  # noqa: S102
        with pytest.raises(NotImplementedError, match=r"docs/scale\.md"):
            namespace["handler"]({}, None)


def test_the_model_reckons_with_the_memory_and_the_alarms_of_the_templates(resources: dict[str, Any]) -> None:
    one_owner = facts_of(load_template(ROOT / "template.yaml", TEMPLATES["template.yaml"], REGION))
    sizes = {name: function.memory for name, function in one_owner.functions.items()}

    assert (sizes["CrawlerFunction"], sizes["FeedbackFunction"]) == (CRAWL_MEMORY, PRESS_MEMORY)
    assert one_owner.alarm_metrics == ALARMS
    assert resources["DeliverFunction"]["MemorySize"] == DELIVERY_MEMORY
    assert resources["RefitFunction"]["MemorySize"] == REFIT_MEMORY
