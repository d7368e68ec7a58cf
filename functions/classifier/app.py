"""Lambda handler of the classifier, called with `POST /predict`."""

from __future__ import annotations

import json
import os
import time

import boto3
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from classifier.predict import InvalidRequest, answer, requested_items
from classifier.serving import Serving
from model.serving.package import ENCODER, ModelPackage
from osusume.heads import NO_ENCODER, Heads
from osusume.items import Item
from osusume.observability import SNAPSHOT_HEADER, follow, logger
from osusume.settings import ClassifierSettings
from osusume.snapshots import is_snapshot_key

settings = ClassifierSettings.from_environment(os.environ)
own_package = ModelPackage.load(settings.model_package)  # here, so that Lambda loads it before the first request
heads = None
if settings.bucket:
    quickly = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
    s3 = boto3.client("s3", config=quickly)
    heads = Heads(s3, settings.bucket, own_package.card.files.get(ENCODER, NO_ENCODER))
serving = Serving(own_package, heads, time.monotonic)
if not serving.package().card.knows_owner(use_made_up_taste=settings.use_made_up_taste):
    logger.warning("no taste is learnt yet: every score will be null", model_version=serving.package().version)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, object], context: LambdaContext) -> dict[str, object]:  # noqa: ARG001  # Lambda passes it
    """Answer one request; an invalid one gets a JSON error that names the field."""
    started = time.perf_counter()
    request = APIGatewayProxyEventV2(event)
    named = str((request.headers or {}).get(SNAPSHOT_HEADER, ""))
    if is_snapshot_key(named):
        follow(named)
    try:
        items = _items(request)
    except InvalidRequest as error:
        logger.info("refused", status=error.status, reason=str(error))
        return _response(error.status, {"error": {"message": str(error), "field": error.field}})
    package = serving.package()
    body = answer(package, items, use_made_up_taste=settings.use_made_up_taste)
    if serving.head_unusable:
        body["head_unusable"] = True
    seconds = round(time.perf_counter() - started, 3)
    logger.info("scored", model_version=package.version, items=len(items), seconds=seconds)
    return _response(200, body)


def _items(request: APIGatewayProxyEventV2) -> list[Item]:
    if request.path != "/predict":
        raise InvalidRequest(404, f"there is nothing at {request.path}: use POST /predict")
    if request.http_method != "POST":
        raise InvalidRequest(405, f"{request.http_method} is not allowed: use POST /predict")
    return requested_items(request.body, is_base64=bool(request.is_base64_encoded))


def _response(status: int, body: dict[str, object]) -> dict[str, object]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }
