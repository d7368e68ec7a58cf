"""The errors of the local cloud."""

from __future__ import annotations

from typing import Any


class CloudError(Exception):
    """Base of the errors that the local cloud raises."""


class TemplateError(CloudError):
    """Raised when the template or its parameters cannot be deployed; the message names the parameter or resource."""


class AccessDenied(CloudError):
    """Raised when a role or a function's resource policy does not allow an AWS service's call."""


class StillBusy(CloudError):
    """Raised when events are still queued, running or waiting for a retry; the message lists them."""


class PayloadTooLarge(CloudError):
    """Raised when an event or a response exceeds Lambda's limit."""


class FunctionError(CloudError):
    """Raised when a synchronously invoked function failed.

    `document` is Lambda's error document: `errorType`, `errorMessage`, for exceptions also `stackTrace`.
    """

    def __init__(self, function: str, document: dict[str, Any]) -> None:
        super().__init__(f"{function} failed: {document.get('errorType')}: {document.get('errorMessage')}")
        self.function = function
        self.document = document
