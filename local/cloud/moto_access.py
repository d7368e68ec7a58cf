"""Corrections of moto's IAM enforcement: the action and resource that a request needs, and how a denial reads.

Importing this module changes moto for the whole process; moto enforces IAM once `enforce` was called. moto's own check
knows only the resources of S3, SQS, STS and IAM, turns a policy's text into a regular expression without escaping it
(so that `$default` in an ARN matches nothing), and answers JSON clients in XML.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import unquote

from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import JsonRESTError
from moto.core.request import determine_request_protocol
from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model
from moto.iam.access_control import IAMRequest, IAMRequestBase, S3IAMRequest
from moto.s3.exceptions import MissingKey, MissingVersion
from moto.s3.responses import S3Response
from moto.sqs.responses import SQSResponse

from local.cloud.access import is_allowed, is_trusted, policies_of

_POLICY_PREFIXES = {"monitoring": "cloudwatch"}
"""Services whose actions have another prefix than the service name in the signature."""

Needs = list[tuple[str, str]]
"""Required actions, each with the ARN on which it must be allowed."""


def enforce(*, enabled: bool) -> None:
    """Turn moto's check of permissions on or off."""
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if enabled else float("inf")
    ActionAuthenticatorMixin.request_count = 0


class JsonAccessDenied(JsonRESTError):
    """A denial in the form of AWS's JSON services."""


def needs_of_request(service: str, action: str, body: Mapping[str, Any], region: str, account: str) -> Needs:
    """Return the permissions that a request to a JSON service needs; unknown requests need the resource `*`."""
    here = f"{region}:{account}"
    if service == "dynamodb":
        return _needs_of_dynamodb(action, body, f"arn:aws:dynamodb:{here}:table/")
    if service == "ssm":
        names = body.get("Names") or [body.get("Name") or body.get("Path")]
        known = [name for name in names if name]
        return [(f"ssm:{action}", _arn(name, f"arn:aws:ssm:{here}:parameter/")) for name in known] or [
            (f"ssm:{action}", "*")
        ]
    if service == "logs" and (group := body.get("logGroupName")):
        stream = body.get("logStreamName", "")
        return [(f"logs:{action}", f"arn:aws:logs:{here}:log-group:{group}:log-stream:{stream}")]
    if service == "sns" and (topic := body.get("TopicArn") or body.get("TargetArn")):
        return [(f"sns:{action}", str(topic))]
    return [(f"{service}:{action}", "*")]


def _needs_of_dynamodb(action: str, body: Mapping[str, Any], tables: str) -> Needs:
    if action in ("BatchGetItem", "BatchWriteItem"):
        return [(f"dynamodb:{action}", _arn(table, tables)) for table in body["RequestItems"]]
    if action in ("TransactGetItems", "TransactWriteItems"):
        # a transaction needs the permissions of its parts: Get, Put, Update, Delete, ConditionCheck
        parts = [part for item in body["TransactItems"] for part in item.items()]
        return [(f"dynamodb:{kind}Item", _arn(part["TableName"], tables)) for kind, part in parts]
    if "TableName" not in body:
        return [(f"dynamodb:{action}", "*")]
    table = _arn(body["TableName"], tables)
    return [(f"dynamodb:{action}", f"{table}/index/{body['IndexName']}" if "IndexName" in body else table)]


def _arn(name: str, prefix: str) -> str:
    return name if name.startswith("arn:") else prefix + name.lstrip("/")


def _needs(response: BaseResponse, service: str, resource: str) -> Needs:
    action = response._get_action()
    if service == "lambda" and action in ("Invoke", "InvokeAsync"):
        name = unquote(response.path.split("/functions/")[1].split("/")[0])
        prefix = f"arn:aws:lambda:{response.region}:{response.current_account}:function:"
        return [("lambda:InvokeFunction", _arn(name, prefix))]
    if resource == "*":
        return needs_of_request(service, action, _json_body(response), response.region, response.current_account)
    if service == "sqs":
        action = action.removesuffix("Batch")  # policies have no actions for batches
    return [(f"{service}:{action}", resource)]


def _json_body(response: BaseResponse) -> Mapping[str, Any]:
    try:
        body = json.loads(response.raw_body or "{}")
    except ValueError:  # a request in the query protocol
        return {name: values[0] for name, values in response.querystring.items() if values}
    return body if isinstance(body, Mapping) else {}


def _authorize(response: BaseResponse, resource: str = "*") -> None:
    request = _authenticated(response, IAMRequest)
    if request is None:
        return
    service = _POLICY_PREFIXES.get(request._service, request._service)
    for action, arn in _needs(response, service, resource):
        if action == "sts:GetCallerIdentity":  # it cannot be denied
            continue
        request._action = action
        if not _is_allowed(request, arn):
            _deny(request, arn, response)


def _deny(request: IAMRequestBase, arn: str, response: BaseResponse) -> NoReturn:
    protocol = determine_request_protocol(
        get_service_model(response.boto3_service_name), response.headers.get("Content-Type", "")
    )
    if "json" not in protocol:
        request._raise_access_denied()
    user, action = request._access_key.arn, request._action
    message = f"User: {user} is not authorized to perform: {action} on resource: {arn}"
    denial = JsonAccessDenied("AccessDenied" if action.startswith("sqs:") else "AccessDeniedException", message)
    denial.code = 403 if protocol == "rest-json" else 400
    raise denial


def _authorize_s3(response: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
    request = _authenticated(response, S3IAMRequest)
    if request is None:
        return
    target = "/".join(part for part in (bucket_name, key_name) if part) or "*"
    if not _is_allowed(request, f"arn:aws:s3:::{target}"):
        request._raise_access_denied()
    copied = response.headers.get("x-amz-copy-source")
    if copied and request._action == "s3:PutObject":
        request._action = "s3:GetObject"
        if not _is_allowed(request, f"arn:aws:s3:::{unquote(copied).lstrip('/').split('?')[0]}"):
            request._raise_access_denied()


def _authenticated(response: BaseResponse, kind: type[IAMRequestBase]) -> IAMRequestBase | None:
    """Return the request, whose signature the server has verified; None while IAM is not enforced."""
    if settings.INITIAL_NO_AUTH_ACTION_COUNT > 0:
        return None
    query = response.parsed_url.query
    return kind(
        account_id=response.current_account,
        method=response.method,
        path=f"{response.raw_path}?{query}" if query else response.raw_path,
        data=response.data,
        body=response.raw_body,
        headers=response.headers,
        action=response._get_action(),
    )


def _is_allowed(request: IAMRequestBase, arn: str) -> bool:
    if request._action == "sts:AssumeRole":
        caller = request._access_key.arn
        account = f"arn:aws:iam::{request.account_id}:root"
        if not is_trusted(arn, "AWS", [caller, account, request.account_id]):
            return False
    return is_allowed(policies_of(request._access_key), request._action, arn)


def _get_key(response: S3Response, *arguments: Any, **options: Any) -> Any:  # moto's own types
    try:
        return _moto_get_key(response, *arguments, **options)
    except (MissingKey, MissingVersion):
        _check_may_know_of_missing_key(response)
        raise


def _head_object(response: S3Response, *arguments: Any, **options: Any) -> Any:  # moto's own types
    answer = _moto_head_object(response, *arguments, **options)
    if answer[0] == 404:
        _check_may_know_of_missing_key(response)
    return answer


def _check_may_know_of_missing_key(response: S3Response) -> None:
    """Require s3:ListBucket for the answer that a key is missing, as S3 does; moto tells everybody."""
    response.data["Action"] = "ListBucket"
    _authorize_s3(response, bucket_name=response.bucket_name)


def _queue_arn(response: SQSResponse) -> str:
    return "*" if response._get_action() in ("ListQueues", "CreateQueue") else _moto_queue_arn(response)


_moto_get_key = S3Response._get_key
_moto_head_object = S3Response.head_object
_moto_queue_arn = SQSResponse._determine_resource

for _owner, _name, _replacement in (
    (ActionAuthenticatorMixin, "_authenticate_and_authorize_normal_action", _authorize),
    (ActionAuthenticatorMixin, "_authenticate_and_authorize_s3_action", _authorize_s3),
    (S3Response, "_get_key", _get_key),
    (S3Response, "head_object", _head_object),
    (SQSResponse, "_determine_resource", _queue_arn),
):
    setattr(_owner, _name, _replacement)
