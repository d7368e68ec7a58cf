"""The classifier's answers about a snapshot, kept in the ledger's table until the snapshot's run is through.

The choice depends on the scores of all items, so no item is recorded before all are scored. Scoring a snapshot of
thousands can outlast one run: the next run then resumes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from osusume.ledger import read_records
from osusume.records import SCORES_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource

KEPT_SECONDS = 14 * 86400
"""As long as an event can wait in the dead-letter queue."""

MOST_BYTES = 300_000  # a record of DynamoDB holds 400 KB


class KeptScores:
    """The answers to the requests about one snapshot, numbered by request.

    `clock` returns seconds since the epoch. The table forgets an answer after `KEPT_SECONDS`.
    """

    def __init__(
        self, dynamodb: DynamoDBServiceResource, table: str, snapshot: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._dynamodb = dynamodb
        self._table = dynamodb.Table(table)
        self._prefix = f"{SCORES_PREFIX}{snapshot}:"
        self._clock = clock

    def load(self, count: int) -> dict[int, str]:
        """Return by number those of the first `count` answers that are kept."""
        keys = (f"{self._prefix}{number}" for number in range(count))
        records = read_records(self._dynamodb, self._table.name, keys)
        return {int(record["item_id"].removeprefix(self._prefix)): str(record["answer"]) for record in records}

    def keep(self, number: int, answer: str) -> None:
        """Keep an answer, replacing an earlier one; one that is too large for a record is not kept."""
        if len(answer.encode()) <= MOST_BYTES:
            expires_at = int(self._clock()) + KEPT_SECONDS
            self._table.put_item(
                Item={"item_id": f"{self._prefix}{number}", "answer": answer, "expires_at": expires_at}
            )
