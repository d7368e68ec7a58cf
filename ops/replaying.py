"""Replaying a past morning from ledger and bucket: what was posted then, and what another head would have shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from classifier.predict import answer
from model.serving.package import ENCODER, ModelPackage
from notifier.notify import decide, ruled_before
from notifier.scoring import Scores, scores_of
from ops.stack import DeployedStack
from osusume.errors import UserError
from osusume.heads import NO_ENCODER, Heads
from osusume.items import Item
from osusume.ledger import Record
from osusume.snapshots import InvalidSnapshot, SnapshotMissing, read_snapshot

_COMPARED = ("choice", "why", "score", "threshold", "probability", "first_guess", "message")


@dataclass(frozen=True, slots=True)
class Replayed:
    """A work as it was recorded, and as the replay finds it."""

    then: Record
    now: Record

    @property
    def differences(self) -> list[str]:
        """The names of what differs, in the replay of the head that served."""
        return [name for name in _COMPARED if getattr(self.then, name) != getattr(self.now, name)]


def replay(stack: DeployedStack, key: str, package_at: Path, head: str | None = None) -> list[Replayed]:
    """Return the new works of a past run, each as it was recorded and as it is found again.

    They are scored by the head that served, or by `head`, with the encoder of the package in the folder `package_at`.
    Raises `UserError` if the run, its snapshot or the head is missing, or if the run is of a version before replays.
    """
    run = stack.ledger.runs([key]).get(key)
    if run is None:
        raise UserError(f"{key} was never processed: 'python -m ops repost --snapshot {key} --yes' does it")
    try:
        snapshot = read_snapshot(stack.client("s3"), stack.resource("Bucket"), key)
    except (SnapshotMissing, InvalidSnapshot) as error:
        raise UserError(f"the morning cannot be replayed: {error}") from error
    records = {
        id_: each for id_, each in stack.ledger.get(i.item_id for i in snapshot.items).items() if each.snapshot == key
    }
    if run.limits is None or not all(record.message for record in records.values()):
        raise UserError(f"{key} was posted by an earlier version, which did not record what a replay needs")
    items = [item for item in {item.item_id: item for item in snapshot.items}.values() if item.item_id in records]
    if not items:
        return []
    (version, *others) = sorted({record.model_version for record in records.values()})
    if others:
        raise UserError(f"{key} was scored by several heads, {version}, {', '.join(others)}: it cannot be replayed")
    has_taste = any(record.score is not None for record in records.values())
    scores = _scorer(stack, package_at, head or version)(items, has_taste or head is not None)
    guesses = {item_id: 1.0 for item_id, record in records.items() if record.why == "wished"}
    again = decide(items, scores, run.limits, key, ruled_before(records.values()), guesses)
    return [Replayed(records[item.item_id], again[item.item_id]) for item in items]


def _scorer(stack: DeployedStack, package_at: Path, version: str) -> Callable[[list[Item], bool], Scores]:
    package = ModelPackage.load(package_at)
    if package.version != version:
        encoder = package.card.files.get(ENCODER, NO_ENCODER)
        heads = Heads(stack.client("s3"), stack.resource("Bucket"), encoder)
        try:
            stored = heads.read(version)
        except UserError as error:
            raise UserError(
                f"head {version} is neither stored for the encoder of {package_at} nor the package's own:"
                " name the deployed package with --package"
            ) from error
        package = package.with_head(stored.card, stored.head)

    def score(items: list[Item], use_made_up_taste: bool) -> Scores:  # a parameter of the stack
        body = json.dumps(answer(package, items, use_made_up_taste=use_made_up_taste))
        return scores_of(body, [item.item_id for item in items])

    return score
