"""Lets all of boto3's sessions in a process share the descriptions of services that they have read.

Importing this module changes botocore for the whole process.
"""

from __future__ import annotations

import functools

import boto3
import botocore.session

_create_loader = functools.cache(botocore.session.create_loader)
setattr(botocore.session, "create_loader", _create_loader)  # noqa: B010  # mypy forbids to assign a function


def read_descriptions() -> None:
    """Read the descriptions of the services that functions mostly use."""
    session = boto3.Session(region_name="us-east-1")
    session.client("s3")
    session.client("ssm")
    session.client("lambda")
    session.resource("dynamodb")
