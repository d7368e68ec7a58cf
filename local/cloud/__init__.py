"""The template's cloud on one machine: `with Cloud(Path("template.yaml"), …) as cloud`."""

from local.cloud.account import Account, empty_account
from local.cloud.cloud import Cloud
from local.cloud.dispatch import Invocation
from local.cloud.errors import (
    AccessDenied,
    CloudError,
    FunctionError,
    PayloadTooLarge,
    StillBusy,
    TemplateError,
)

__all__ = [
    "AccessDenied",
    "Account",
    "Cloud",
    "CloudError",
    "FunctionError",
    "Invocation",
    "PayloadTooLarge",
    "StillBusy",
    "TemplateError",
    "empty_account",
]
