"""Scores items by signed requests to the classifier's API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from osusume.items import Item
from osusume.kept_scores import KeptScores
from osusume.ledger import SCORE_DIGITS, Reason, Witness
from osusume.observability import SNAPSHOT_HEADER, logger
from osusume.snapshots import is_snapshot_key

# The API answers within 30 s and takes 10 MB, Lambda 6 MB. Twenty items are scored within a few seconds, including a
# cold start, and the parser bounds the text of an item. The classifier refuses a body over 1 MB; this bound counts
# only the items, without the JSON between them.
ITEMS_A_REQUEST = 20
BYTES_A_REQUEST = 900_000

# API Gateway and Lambda answer with these while a function starts, is throttled, or takes too long; scoring changes
# nothing, so a retry is safe
RETRY = Retry(
    total=4,
    backoff_factor=1,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=("POST",),
    raise_on_status=False,  # the last answer says more than "too many retries"
)
CONNECT_SECONDS, READ_SECONDS = 5, 35


class ScoringFailed(RuntimeError):
    """Raised when the classifier cannot be reached or its answer is invalid; nothing was scored."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """An item's score, None if no taste is learnt yet, the reasons for it, and the labels that speak most."""

    score: float | None
    reasons: list[Reason]
    witnesses: list[Witness] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scores:
    """Predictions by item id; `threshold` is None if no taste is learnt yet, `first_guess` if it was not tried yet.

    `head_unusable` is true if the classifier could not read the promoted head for one of its answers.
    """

    model_version: str
    threshold: float | None
    predictions: dict[str, Prediction]
    first_guess: bool = False
    head_unusable: bool = False


def score_items(
    items: Sequence[Item],
    url: str,
    credentials: Credentials,
    region: str,
    kept: KeptScores | None = None,
    snapshot: str = "",
) -> Scores:
    """Return the scores of `items` from the classifier at `url`, all by one version of the model.

    The classifier logs the key of the `snapshot` that they come from.

    Each answer is put into `kept` as it comes, and another call for the same items uses it. Raises `ScoringFailed` if
    the classifier cannot be reached, refuses, leaves an item out, or changes its model repeatedly.
    """
    session = requests.Session()
    session.mount(url, HTTPAdapter(max_retries=RETRY))
    headers = {"Content-Type": "application/json", **({SNAPSHOT_HEADER: snapshot} if is_snapshot_key(snapshot) else {})}
    batches = list(_batches(items))
    answers = _kept_answers(batches, kept)
    newest = next(iter(answers.values()), Scores("", None, {}))
    for _ in range(2):
        for number, batch in enumerate(batches):
            if number not in answers:
                text = _ask(AWSRequest("POST", url, headers, _body(batch)), session, credentials, region)
                newest = answers[number] = scores_of(text, _ids(batch))
                if kept:
                    kept.keep(number, text)
        # a new model may be deployed meanwhile: then the old one's answers are requested again
        answers = {number: answer for number, answer in answers.items() if _is_of_one_model(answer, newest)}
        if len(answers) == len(batches):
            predictions = {id_: found for answer in answers.values() for id_, found in answer.predictions.items()}
            unusable = any(answer.head_unusable for answer in answers.values())
            return Scores(newest.model_version, newest.threshold, predictions, newest.first_guess, unusable)
    raise ScoringFailed("the classifier changed its model twice during the requests: try again later")


def _kept_answers(batches: Sequence[list[dict[str, Any]]], kept: KeptScores | None) -> dict[int, Scores]:
    """Return the kept answers to these batches by number, none if they are of several models."""
    answers: dict[int, Scores] = {}
    for number, text in (kept.load(len(batches)) if kept else {}).items():
        try:
            answers[number] = scores_of(text, _ids(batches[number]))
        except ScoringFailed as error:
            logger.warning("a kept answer does not fit its request", number=number, error=str(error))
    models = {(answer.model_version, answer.threshold) for answer in answers.values()}
    return answers if len(models) <= 1 else {}


def _is_of_one_model(one: Scores, other: Scores) -> bool:
    return (one.model_version, one.threshold) == (other.model_version, other.threshold)


def _batches(items: Sequence[Item]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for item in items:
        value = item.to_json()
        item_size = len(json.dumps(value))
        if batch and (len(batch) == ITEMS_A_REQUEST or size + item_size > BYTES_A_REQUEST):
            yield batch
            batch, size = [], 0
        batch.append(value)
        size += item_size
    if batch:
        yield batch


def _body(batch: list[dict[str, Any]]) -> bytes:
    return json.dumps({"items": batch}).encode()


def _ask(request: AWSRequest, session: requests.Session, credentials: Credentials, region: str) -> str:
    """Sign a request and return the body of the classifier's answer. Raises `ScoringFailed`."""
    SigV4Auth(credentials, "execute-api", region).add_auth(request)
    url, headers = str(request.url), dict(request.headers)
    try:
        response = session.post(url, data=request.data, headers=headers, timeout=(CONNECT_SECONDS, READ_SECONDS))
        response.raise_for_status()
        return response.content.decode()
    except requests.HTTPError as error:
        raise ScoringFailed(
            f"the classifier answered {error.response.status_code}: {error.response.text:.300}"
        ) from error
    except requests.RequestException as error:
        raise ScoringFailed(f"the classifier could not be asked: {error}") from error
    except ValueError as error:
        raise ScoringFailed(f"the classifier's answer is not UTF-8: {error}") from error


def scores_of(text: str, item_ids: Sequence[str]) -> Scores:
    """Return the scores of these items from the classifier's answer. Raises `ScoringFailed`."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScoringFailed(f"the classifier's answer is not JSON: {error}") from error
    try:
        scores = Scores(
            model_version=str(answer["model_version"]),
            threshold=_share(answer["threshold"]),
            predictions={
                prediction["item_id"]: Prediction(
                    score=_share(prediction["score"]),
                    reasons=[
                        Reason(str(r["field"]), str(r["value"]), round(_finite(r["effect"]), SCORE_DIGITS))
                        for r in prediction["reasons"]
                    ],
                    witnesses=[
                        Witness(str(w["item_id"]), str(w["title"]), w["is_interested"] is True)
                        for w in prediction.get("witnesses", [])
                    ],
                )
                for prediction in answer["predictions"]
                if prediction["item_id"] in item_ids
            },
            first_guess=answer.get("first_guess") is True,
            head_unusable=answer.get("head_unusable") is True,
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ScoringFailed(f"the classifier's answer is malformed: {type(error).__name__} {error}") from error
    for item_id in item_ids:
        prediction = scores.predictions.get(item_id)
        if prediction is None or (prediction.score is None) != (scores.threshold is None):
            raise ScoringFailed(f"the classifier's answer has no score for {item_id}")
    return scores


def _ids(batch: list[dict[str, Any]]) -> list[str]:
    return [item["item_id"] for item in batch]


def _share(value: Any) -> float | None:
    if value is None:
        return None
    share = _finite(value)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{share} is not from 0 to 1")
    return round(share, SCORE_DIGITS)


def _finite(value: Any) -> float:
    # Python's JSON accepts NaN and Infinity, which the ledger cannot hold
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"{number} is not finite")
    return number
