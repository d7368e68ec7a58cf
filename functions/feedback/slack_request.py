"""Reads a request from Slack: whether it is Slack's, and what it carries."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from typing import Any
from urllib.parse import parse_qs

Event = dict[str, Any]
Payload = dict[str, Any]

SECONDS_A_SIGNATURE_HOLDS = 300
"""Slack's advice: an older request may be a replay. https://api.slack.com/authentication/verifying-requests-from-slack"""

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class RequestRefused(Exception):
    """Raised for a request that is not Slack's, or is malformed; `status` is the HTTP status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def payload_of(event: Event, signing_secret: str) -> Payload:
    """Return what Slack sent in the event of an HTTP API. Raises `RequestRefused`."""
    try:
        body = event["body"]
        if event.get("isBase64Encoded"):
            body = base64.b64decode(body, validate=True).decode()
        signed = _is_signed(body, event["headers"], signing_secret)
    except (AttributeError, KeyError, TypeError, ValueError):
        # no body or headers, or a body that is no text, not base64 or not UTF-8
        signed = False
    if not signed:
        raise RequestRefused(401, "not signed by Slack with this app's signing secret within the last five minutes")
    try:
        payload = json.loads(parse_qs(body, strict_parsing=True)["payload"][0])
    except (KeyError, ValueError, RecursionError):
        raise RequestRefused(400, "no readable payload: this address is for Slack's interactivity alone") from None
    if not isinstance(payload, dict):
        raise RequestRefused(400, "the payload is not a JSON object")
    return payload


def _is_signed(body: str, headers: dict[str, str], signing_secret: str) -> bool:
    timestamp, signature = headers["x-slack-request-timestamp"], headers["x-slack-signature"]
    if not _TIMESTAMP.fullmatch(timestamp) or abs(time.time() - int(timestamp)) > SECONDS_A_SIGNATURE_HOLDS:
        return False
    digest = hmac.new(signing_secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={digest}".encode(), signature.encode())
