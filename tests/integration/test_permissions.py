"""Each permission of the template is needed: without it something that its function does fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from scenario import MORNING, STEPS, dead_letters, machine_after_a_morning, problems_of

from local.cloud.access import REGION
from local.cloud.errors import AccessDenied
from local.cloud.template import load_template
from local.machine import NIGHT_SCHEDULE, PARAMETERS, ROOT, SCHEDULE, SECOND_SCHEDULE, Machine

SCHEDULES = {SCHEDULE, SECOND_SCHEDULE, NIGHT_SCHEDULE}
SCHEDULE_ROLES = {f"{schedule}Role" for schedule in SCHEDULES}


@dataclass(frozen=True)
class Permission:
    """One action on one resource that a statement of a role's policy allows."""

    role: str
    policy: str
    statement: int
    action: int
    resource: int
    name: str


def permissions() -> Iterator[Permission]:
    document = load_template(ROOT / "template.yaml", PARAMETERS, REGION).document
    for role, resource in document["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"]["Policies"]:
            for s, statement in enumerate(policy["PolicyDocument"]["Statement"]):
                for a, action in enumerate(_listed(statement["Action"])):
                    resources = _listed(statement["Resource"])
                    for r in range(len(resources)):
                        which = f"[{r}]" if len(resources) > 1 else ""
                        yield Permission(role, policy["PolicyName"], s, a, r, f"{role}-{action}{which}")


@contextmanager
def without(machine: Machine, permission: Permission) -> Iterator[None]:
    """Take the permission away, and leave all others, while the context lasts."""
    iam: Any = machine.cloud.client("iam")
    name = {"RoleName": machine.cloud.resources[permission.role], "PolicyName": permission.policy}
    document = {"Version": "2012-10-17", **iam.get_role_policy(**name)["PolicyDocument"]}
    statements = list(document["Statement"])
    old = statements.pop(permission.statement)
    for a, action in enumerate(_listed(old["Action"])):
        for r, resource in enumerate(_listed(old["Resource"])):
            if (a, r) != (permission.action, permission.resource):
                statements.append({"Effect": "Allow", "Action": action, "Resource": resource})
    if statements:
        iam.put_role_policy(**name, PolicyDocument=json.dumps({**document, "Statement": statements}))
    else:
        iam.delete_role_policy(**name)
    try:
        yield
    finally:
        iam.put_role_policy(**name, PolicyDocument=json.dumps(document))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


ALL = list(permissions())


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with machine_after_a_morning() as started:
        yield started


@pytest.mark.parametrize("function", STEPS)
def test_nothing_fails_with_all_permissions(machine: Machine, function: str) -> None:
    assert problems_of(machine, function) == []


@pytest.mark.parametrize("permission", [p for p in ALL if p.role not in SCHEDULE_ROLES], ids=lambda p: p.name)
def test_a_function_fails_without(machine: Machine, permission: Permission) -> None:
    with without(machine, permission):
        assert problems_of(machine, permission.role.replace("Role", "Function")) != []


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_a_schedule_needs_its_two_permissions(machine: Machine, schedule: str) -> None:
    role = f"{schedule}Role"
    invoke, send = sorted((p for p in ALL if p.role == role), key=lambda p: "sqs" in p.name)
    assert [invoke.name, send.name] == [f"{role}-lambda:InvokeFunction", f"{role}-sqs:SendMessage"]
    before = dead_letters(machine)
    with without(machine, invoke):
        with pytest.raises(AccessDenied, match=r"lambda:InvokeFunction$"):
            machine.cloud.fire_schedule(schedule, MORNING)
        assert dead_letters(machine) == before + 1
        # its statement is the only one left
        with without(machine, replace(send, statement=0)), pytest.raises(AccessDenied, match="dead-letter queue"):
            machine.cloud.fire_schedule(schedule, MORNING)
    assert dead_letters(machine) == before + 1


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
    assert {permission["Principal"] for permission in permissions} == {
        "s3.amazonaws.com",
        "apigateway.amazonaws.com",
        "sns.amazonaws.com",
    }
    # a bucket's name can be taken over by another account, an ARN of an API holds the account
    assert all("SourceAccount" in permission or "SourceArn" in permission for permission in permissions)


def _after_bucket(text: str) -> str:
    found = re.search(r"s3:::\$\{AWS::StackName\}-\$\{AWS::AccountId\}-\$\{AWS::Region\}(/[^\"]*)", text)
    return found[1] if found else text
