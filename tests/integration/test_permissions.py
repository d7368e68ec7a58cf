"""Each permission of the template is needed: without it a run of everything fails; with all of them it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from scenario import Edit, dead_letters_of_a_schedule_that_may_not_invoke, problems_of_a_run

from local.cloud.access import REGION
from local.cloud.template import load_template
from local.machine import PARAMETERS, ROOT

SCHEDULE_ROLE = "CrawlerFunctionEveryMorningRole"


@dataclass(frozen=True)
class Permission:
    """One action on one resource that a statement of a role's policy allows."""

    role: str
    policy: int
    statement: int
    action: int
    resource: int
    name: str


def permissions() -> Iterator[Permission]:
    document = load_template(ROOT / "template.yaml", PARAMETERS, REGION).document
    for role, resource in document["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for p, policy in enumerate(resource["Properties"]["Policies"]):
            for s, statement in enumerate(policy["PolicyDocument"]["Statement"]):
                for a, action in enumerate(_listed(statement["Action"])):
                    resources = _listed(statement["Resource"])
                    for r in range(len(resources)):
                        which = f"[{r}]" if len(resources) > 1 else ""
                        yield Permission(role, p, s, a, r, f"{role}-{action}{which}")


def without(permission: Permission) -> Edit:
    """Return an edit of the template that takes the permission away and leaves all others."""

    def edit(document: dict[str, Any]) -> None:
        policy = document["Resources"][permission.role]["Properties"]["Policies"][permission.policy]
        statements = policy["PolicyDocument"]["Statement"]
        old = statements.pop(permission.statement)
        for a, action in enumerate(_listed(old["Action"])):
            for r, resource in enumerate(_listed(old["Resource"])):
                if (a, r) != (permission.action, permission.resource):
                    statements.append({"Effect": "Allow", "Action": action, "Resource": resource})

    return edit


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


ALL = list(permissions())


def test_nothing_fails_with_all_permissions() -> None:
    assert problems_of_a_run() == []


@pytest.mark.parametrize("permission", [p for p in ALL if p.role != SCHEDULE_ROLE], ids=lambda p: p.name)
def test_a_run_fails_without(permission: Permission) -> None:
    assert problems_of_a_run(without(permission)) != []


def test_the_schedule_needs_its_two_permissions() -> None:
    invoke, send = sorted((p for p in ALL if p.role == SCHEDULE_ROLE), key=lambda p: "sqs" in p.name)

    def neither(document: dict[str, Any]) -> None:
        del document["Resources"][SCHEDULE_ROLE]["Properties"]["Policies"][:]

    assert [invoke.name, send.name] == [f"{SCHEDULE_ROLE}-lambda:InvokeFunction", f"{SCHEDULE_ROLE}-sqs:SendMessage"]
    assert dead_letters_of_a_schedule_that_may_not_invoke(without(invoke)) == 1
    assert dead_letters_of_a_schedule_that_may_not_invoke(neither) == -1


WILDCARDS = {
    "/snapshots/*": "a snapshot's key is made of the time of its crawl",
    "/crawls/*": "pages are kept by the ids of works, which nobody knows before they are listed",
    "/models/*": "heads are kept by their encoder and their version, which training makes up",
}
"""The wildcards that policies hold, by what follows the bucket's name, and why no resource can be named instead."""


def test_a_policy_names_its_actions_and_resources_but_for_the_folders_listed_here() -> None:
    document = load_template(ROOT / "template.yaml", PARAMETERS, REGION).document
    found = set()
    for name, resource in document["Resources"].items():
        properties = resource.get("Properties", {})
        assert not properties.get("ManagedPolicyArns"), f"{name} has a policy that AWS wrote"
        policies = [*properties.get("Policies", []), *([properties] if "PolicyDocument" in properties else [])]
        for policy in policies:
            for statement in policy["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow"
                assert not {"NotAction", "NotResource"} & statement.keys()
                assert not any("*" in action for action in _listed(statement["Action"]))
                texts = [json.dumps(target) for target in _listed(statement["Resource"])]
                found |= {_after_bucket(text) for text in texts if "*" in text}
    assert found == set(WILDCARDS)


def test_only_the_services_that_the_template_names_may_call_a_function() -> None:
    document = load_template(ROOT / "template.yaml", PARAMETERS, REGION).document
    permissions = [r["Properties"] for r in document["Resources"].values() if r["Type"] == "AWS::Lambda::Permission"]
    assert {permission["Principal"] for permission in permissions} == {"s3.amazonaws.com", "apigateway.amazonaws.com"}
    # a bucket's name can be taken over by another account, an ARN of an API holds the account
    assert all("SourceAccount" in permission or "SourceArn" in permission for permission in permissions)


def _after_bucket(text: str) -> str:
    found = re.search(r"s3:::\$\{AWS::StackName\}-\$\{AWS::AccountId\}-\$\{AWS::Region\}(/[^\"]*)", text)
    return found[1] if found else text
