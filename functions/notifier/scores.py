"""What the classifier said of a snapshot's items, kept until the run is through.

Which items are chosen depends on the scores of all, so none is recorded before all are scored. A snapshot of thousands
can outlast one run: the next run then resumes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from osusume.ledger import KEYS_A_BATCH, SCORES_PREFIX, Reason
from osusume.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

KEPT_SECONDS = 14 * 86400
"""As long as an event can wait in the dead-letter queue and be sent again."""

MOST_BYTES = 300_000  # a record of DynamoDB holds 400 KB


@dataclass(frozen=True, slots=True)
class Prediction:
    """An item's score, None where no taste was learnt yet, and what moved it."""

    score: float | None
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class Scores:
    """Predictions by item id; `threshold` is None where no taste was learnt yet."""

    model_version: str
    threshold: float | None
    predictions: dict[str, Prediction]


class KeptScores:
    """The answers that the runs of one snapshot got, numbered by request, in the ledger's table.

    `clock` returns seconds since the epoch. The table forgets them after `KEPT_SECONDS`.
    """

    def __init__(
        self,
        dynamodb: DynamoDBServiceResource,
        table: str,
        snapshot: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = dynamodb.Table(table)
        self._prefix = f"{SCORES_PREFIX}{snapshot}:"
        self._clock = clock

    def load(self, count: int) -> dict[int, Scores]:
        """Return what is kept of the first `count` answers, by number; what other code kept in another form is not."""
        found: dict[int, Scores] = {}
        for first in range(0, count, KEYS_A_BATCH):
            numbers = range(first, min(first + KEYS_A_BATCH, count))
            request: Any = {
                "Keys": [{"item_id": f"{self._prefix}{number}"} for number in numbers],
                "ConsistentRead": True,
            }
            # what DynamoDB leaves out of an answer that grows too large is asked of the classifier again
            answer: Any = self._dynamodb.batch_get_item(RequestItems={self._table.name: request})
            for attributes in answer["Responses"].get(self._table.name, []):
                try:
                    found[int(attributes["item_id"].removeprefix(self._prefix))] = _from_json(attributes["answer"])
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    logger.warning("kept scores cannot be read", record_id=attributes["item_id"], error=str(error))
        return found

    def keep(self, number: int, scores: Scores) -> None:
        """Keep an answer, in the place of an earlier one; one that is too large for a record is not kept."""
        answer = json.dumps(asdict(scores), ensure_ascii=False)
        if len(answer.encode()) <= MOST_BYTES:
            expires_at = int(self._clock()) + KEPT_SECONDS
            self._table.put_item(
                Item={"item_id": f"{self._prefix}{number}", "answer": answer, "expires_at": expires_at}
            )


def _from_json(text: str) -> Scores:
    value = json.loads(text)
    predictions = {
        item_id: Prediction(prediction["score"], [Reason(**reason) for reason in prediction["reasons"]])
        for item_id, prediction in value["predictions"].items()
    }
    return Scores(value["model_version"], value["threshold"], predictions)
