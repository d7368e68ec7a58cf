"""`POST /predict`: an HTTP API event in, the package's predictions out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext

from classifier.predict import Answer, InvalidRequest, answer, requested_items
from model.package import ModelPackage
from osusume.items import Item
from osusume.observability import logger
from osusume.settings import ClassifierSettings

settings = ClassifierSettings.from_environment(os.environ)
package = ModelPackage.load(settings.model_package)  # here, so that Lambda loads it before the first request
if package.card.taste == "made-up" and not settings.use_made_up_taste:
    logger.warning("no taste learnt yet: every score will be null", model_version=package.version)


@logger.inject_lambda_context
def handler(event: dict[str, object], context: LambdaContext) -> dict[str, object]:  # noqa: ARG001  # Lambda passes it
    """Answer one request; whatever is wrong with it comes back as a JSON error that names the field."""
    started = time.perf_counter()
    try:
        items = _items(APIGatewayProxyEventV2(event))
    except InvalidRequest as error:
        logger.info("refused", status=error.status, reason=str(error))
        return _response(error.status, {"error": {"message": str(error), "field": error.field}})
    body = answer(package, items, use_made_up_taste=settings.use_made_up_taste)
    seconds = round(time.perf_counter() - started, 3)
    logger.info("scored", model_version=package.version, items=len(items), seconds=seconds)
    return _response(200, body)


def _items(request: APIGatewayProxyEventV2) -> list[Item]:
    if request.path != "/predict":
        raise InvalidRequest(404, f"there is nothing at {request.path}: use POST /predict")
    if request.http_method != "POST":
        raise InvalidRequest(405, f"{request.http_method} is not allowed: use POST /predict")
    return requested_items(request.body, is_base64=bool(request.is_base64_encoded))


def _response(status: int, body: Answer | Mapping[str, object]) -> dict[str, object]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }
