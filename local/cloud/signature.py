"""Verification of AWS Signature Version 4, for AWS services and for routes with IAM authorization."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from email.message import Message

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from moto.iam.access_control import (
    AssumedRoleAccessKey,
    CreateAccessKeyFailure,
    IAMUserAccessKey,
    create_access_key,
)

from local.cloud.access import ACCOUNT

MAX_SKEW_SECONDS = 300

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/,]+)/(?P<service>[^/,]+)/aws4_request,\s*"
    r"SignedHeaders=(?P<headers>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


def signer(
    method: str, target: str, headers: Message, body: bytes, now: datetime
) -> IAMUserAccessKey | AssumedRoleAccessKey | None:
    """Return the key that signed the request; None if it is unsigned, stale, altered or signed with an unknown key.

    `target` is the request's path and query as sent. Signatures in the query string, and those that do not cover the
    body, are rejected.
    """
    given = _AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
    timestamp = headers.get("X-Amz-Date", "")
    if given is None or not _is_recent(timestamp, now) or given["date"] != timestamp[:8]:
        return None
    if "X-Amz-Content-SHA256" in headers and headers["X-Amz-Content-SHA256"] != hashlib.sha256(body).hexdigest():
        return None
    signed = given["headers"].split(";")
    if "host" not in signed or any(name not in headers for name in signed):
        return None
    try:
        key = create_access_key(ACCOUNT, "aws", given["key"], headers)  # type: ignore[arg-type]  # any mapping will do
    except CreateAccessKeyFailure:
        return None
    request = AWSRequest(
        method=method,
        url=f"http://{headers['Host']}{target}",
        data=body,
        headers={name: ",".join(headers.get_all(name, [])) for name in signed},
    )
    request.context["timestamp"] = timestamp
    kind = S3SigV4Auth if given["service"] == "s3" else SigV4Auth
    auth = kind(key.create_credentials(), given["service"], given["region"])
    expected: str = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return key if hmac.compare_digest(expected, given["signature"]) else None


def signed_for(headers: Message) -> tuple[str, str]:
    """Return the region and the service named in a request's signature, empty if there is none."""
    given = _AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
    return (given["region"], given["service"]) if given else ("", "")


def _is_recent(timestamp: str, now: datetime) -> bool:
    try:
        signed_at = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs((now - signed_at).total_seconds()) <= MAX_SKEW_SECONDS
