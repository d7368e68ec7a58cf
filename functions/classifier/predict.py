"""Reads and checks the items of a predict request, and makes the answer."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict

from model.serving.package import ModelPackage
from osusume.items import InvalidItem, Item

MOST_ITEMS = 100
MOST_BYTES = 1_000_000
"""The largest body read, decoded; Lambda itself takes 6 MB."""


class InvalidRequest(Exception):
    """Raised when a request cannot be answered, with the HTTP status, and the invalid field if there is one."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


def requested_items(body: str | None, *, is_base64: bool) -> list[Item]:
    """Return all items of a request's body.

    Raises `InvalidRequest`: 413 for a body over `MOST_BYTES`, 400 for one that is not JSON, 422 for JSON that is not
    `{"items": [1 to 100 items of different ids]}`.
    """
    content = _content(body or "", is_base64=is_base64)
    try:
        request = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(400, f"the body must be JSON in UTF-8 ({error})") from error
    if not isinstance(request, dict):
        raise InvalidRequest(422, "the body must be a JSON object with a list of items", "items")
    listed = request.get("items")
    if not isinstance(listed, list):
        raise InvalidRequest(422, "items must be a list", "items")
    if not 1 <= len(listed) <= MOST_ITEMS:
        raise InvalidRequest(422, f"items must hold 1 to {MOST_ITEMS} items, not {len(listed)}", "items")
    items = [_item(value, f"items[{index}]") for index, value in enumerate(listed)]
    _check_ids_differ(items)
    return items


def answer(package: ModelPackage, items: Sequence[Item], *, use_made_up_taste: bool) -> dict[str, object]:
    """Return the body that answers a request: the package's predictions for the items, in their order.

    A package without a taste, or with a made-up one unless told to use it, knows nothing of the owner: every score,
    label and threshold is null.
    """
    if not package.card.knows_owner(use_made_up_taste=use_made_up_taste):
        nothing: dict[str, object] = {"score": None, "label": None, "reasons": []}
        unscored = [{"item_id": item.item_id, **nothing} for item in items]
        return {"model_version": package.version, "threshold": None, "predictions": unscored}
    predictions = [asdict(prediction) for prediction in package.score(items)]
    for prediction in predictions:
        if not prediction["witnesses"]:
            del prediction["witnesses"]
    body: dict[str, object] = {"model_version": package.version, "threshold": package.threshold}
    if package.card.taste == "first-guess":
        body["first_guess"] = True
    return body | {"predictions": predictions}


def _content(body: str, *, is_base64: bool) -> bytes:
    try:
        content = base64.b64decode(body, validate=True) if is_base64 else body.encode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(400, f"the body cannot be decoded ({error})") from error
    if len(content) > MOST_BYTES:
        raise InvalidRequest(413, f"the body must be at most {MOST_BYTES} bytes, not {len(content)}: send fewer items")
    return content


def _item(value: object, place: str) -> Item:
    if not isinstance(value, dict):
        raise InvalidRequest(422, f"{place} must be an object", place)
    try:
        return Item.from_json(value)
    except InvalidItem as error:
        raise InvalidRequest(422, f"{place}.{error}", f"{place}.{error.field}") from error


def _check_ids_differ(items: Sequence[Item]) -> None:
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        earlier = first.setdefault(item.item_id, index)
        if earlier != index:
            place = f"items[{index}].item_id"
            raise InvalidRequest(422, f"{place} repeats {item.item_id!r:.80} of items[{earlier}]", place)
