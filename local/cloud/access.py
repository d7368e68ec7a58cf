"""Who may do what: IAM policies evaluated, roles assumed by AWS services, functions' resource policies.

Simulated: identity policies (actions, resources, wildcards, explicit denials), trust policies of roles for services,
resource policies of functions. Not simulated: conditions of identity and trust policies (an Allow applies as if they
were met, a Deny as if they were not), permission boundaries, bucket, queue and key policies.
"""

from __future__ import annotations

import functools
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from moto.awslambda.utils import get_backend as lambda_backend
from moto.iam.access_control import AssumedRoleAccessKey, IAMUserAccessKey
from moto.iam.models import Policy, iam_backends
from moto.sts.models import sts_backends

from local.cloud.errors import AccessDenied

ACCOUNT = "123456789012"
REGION = "ap-northeast-1"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys to sign with; `token` is None for a user's own keys."""

    access_key: str
    secret_key: str
    token: str | None = None


def assume_role(role_arn: str, service: str, session: str) -> Credentials:
    """Return credentials of the role for an AWS service such as lambda.amazonaws.com.

    Raises AccessDenied if the role's trust policy does not name the service.
    """
    if not is_trusted(role_arn, "Service", [service]):
        raise AccessDenied(f"{role_arn} does not let {service} assume it: see its AssumeRolePolicyDocument")
    assumed = sts_backends[ACCOUNT]["aws"].assume_role(REGION, session, role_arn, "", 3600, "")
    assumed.secret_access_key = _new_secret()
    return Credentials(assumed.access_key_id, assumed.secret_access_key, assumed.session_token)


def is_trusted(role_arn: str, kind: Literal["Service", "AWS"], names: Sequence[str]) -> bool:
    """Return whether the role's trust policy lets a principal, by any of its names, assume the role."""
    trust = iam_backends[ACCOUNT]["aws"].get_role_by_arn(role_arn).assume_role_policy_document
    return any(
        statement["Effect"] == "Allow"
        and _matches_any(statement["Action"], "sts:AssumeRole", ignore_case=True)
        and {"*", *names} & set(_list(statement["Principal"].get(kind)))
        for statement in _statements(json.loads(trust))
    )


def create_administrator(name: str) -> Credentials:
    """Return keys of a new user with administrator permissions."""
    backend = iam_backends[ACCOUNT]["aws"]
    backend.create_user(REGION, name)
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    backend.put_user_policy(name, "everything", json.dumps(everything))
    key = backend.create_access_key(name)
    key.secret_access_key = _new_secret()
    return Credentials(key.access_key_id, key.secret_access_key)


def _new_secret() -> str:
    return secrets.token_urlsafe(30)  # moto's own random numbers are predictable


def policies_of(key: IAMUserAccessKey | AssumedRoleAccessKey) -> list[Mapping[str, Any]]:
    """Return the policy documents, inline and attached, of a user or an assumed role."""
    return [_document(policy) for policy in key.collect_policies()]


def policies_of_role(role_arn: str) -> list[Mapping[str, Any]]:
    """Return the policy documents, inline and attached, of a role."""
    backend = iam_backends[ACCOUNT]["aws"]
    role = backend.get_role_by_arn(role_arn)
    inline = [json.loads(backend.get_role_policy(role.name, name)[1]) for name in backend.list_role_policies(role.name)]
    attached, _ = backend.list_attached_role_policies(role.name)
    return inline + [_document(policy) for policy in attached]


def _document(policy: Policy | str | Mapping[str, str]) -> Mapping[str, Any]:
    """Return the document of a policy in any of the forms that moto keeps."""
    if isinstance(policy, Policy):
        text = next(version.document for version in policy.versions if version.is_default)
    else:
        text = policy if isinstance(policy, str) else policy["policy_document"]
    document: Mapping[str, Any] = json.loads(text)
    return document


def is_allowed(policies: Iterable[Mapping[str, Any]], action: str, resource: str) -> bool:
    """Return whether the policies allow `action` (as in s3:GetObject) on the ARN `resource`.

    >>> statement = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::songs/*"}
    >>> is_allowed([{"Statement": statement}], "s3:GetObject", "arn:aws:s3:::songs/rain.ogg")
    True
    >>> is_allowed([{"Statement": statement}], "s3:PutObject", "arn:aws:s3:::songs/rain.ogg")
    False
    """
    allowed = False
    for policy in policies:
        for statement in _statements(policy):
            if not _applies(statement, action, resource):
                continue
            if statement["Effect"] == "Allow":
                allowed = True
            elif "Condition" not in statement:
                return False
    return allowed


def _applies(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    if "NotAction" in statement:
        concerns_action = not _matches_any(statement["NotAction"], action, ignore_case=True)
    else:
        concerns_action = _matches_any(statement["Action"], action, ignore_case=True)
    if "NotResource" in statement:
        return concerns_action and not _matches_any(statement["NotResource"], resource)
    return concerns_action and _matches_any(statement["Resource"], resource)


def check_service_may_invoke(function_name: str, service: str, source_arn: str) -> None:
    """Raise AccessDenied unless the function's resource policy lets the service invoke it for `source_arn`."""
    function = lambda_backend(ACCOUNT, REGION).get_function(function_name)
    for statement in function.policy.statements:
        conditions = statement.get("Condition", {})
        sources = conditions.get("ArnLike", {}).get("AWS:SourceArn", "*")
        accounts = conditions.get("StringEquals", {}).get("AWS:SourceAccount", ACCOUNT)
        if (
            service in _list(statement["Principal"].get("Service"))
            and _matches_any(statement["Action"], "lambda:InvokeFunction", ignore_case=True)
            and _matches_any(sources, source_arn)
            and ACCOUNT in _list(accounts)
        ):
            return
    raise AccessDenied(
        f"{function_name} does not let {service} invoke it for {source_arn}: see AWS::Lambda::Permission"
    )


def _statements(policy: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    statements = policy["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _matches_any(patterns: object, text: str, *, ignore_case: bool = False) -> bool:
    return any(_pattern(pattern, ignore_case).fullmatch(text) for pattern in _list(patterns))


@functools.lru_cache(maxsize=1024)
def _pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    # fnmatch would interpret brackets, which names may contain
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
