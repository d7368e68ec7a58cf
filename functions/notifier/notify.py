"""What happens to a snapshot: its new items are scored, recorded and, where chosen, posted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from notifier.channel import Channel
from notifier.delivery import Clock, Post, Undelivered, deliver
from notifier.scores import Scores
from notifier.selection import select
from osusume.items import Item
from osusume.ledger import Ledger, Record, Run
from osusume.messages import item_message, item_metadata, run_message, run_metadata
from osusume.snapshots import Snapshot


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the notifier works with. `threshold` is None where the model's own counts."""

    ledger: Ledger
    channel: Channel
    score: Callable[[Sequence[Item]], Scores]
    threshold: float | None
    max_posts: int
    explored_items_a_day: int
    claim_seconds: float
    clock: Clock


def notify(snapshot: Snapshot, key: str, around: Surroundings) -> Run:
    """Score, record and post the items of `snapshot` that were never seen before, and what earlier runs left unposted.

    Called again for the same snapshot, at the same time or after any crash, it goes on where the other call is, and
    posts nothing twice. Returns what came of the snapshot. Raises `ScoringFailed`, `Undelivered` or `ChannelRefused`
    where it must be called again.
    """
    _record_new_items(snapshot, key, around)
    records = around.ledger.get(item.item_id for item in snapshot.items)
    run = _run(snapshot, key, records.values(), around.clock.now())
    around.ledger.record(run)

    # the index may not have heard yet of what was recorded just now
    entries = list((records | around.ledger.get([run.record_id, *around.ledger.unfinished()])).values())
    chosen = [entry for entry in entries if isinstance(entry, Record) and entry.choice != "passed"]
    to_post = sorted((record for record in chosen if record.status in {"scored", "posting"}), key=_order)
    undelivered = _deliver_items(to_post, around)
    _deliver_runs([entry for entry in entries if isinstance(entry, Run)], around)
    if undelivered:
        raise undelivered
    return run


def _deliver_items(records: Sequence[Record], around: Surroundings) -> Undelivered | None:
    """Post the items; return what kept some from being posted where the summaries need not wait for them."""
    posts = [_item_post(record) for record in records]
    try:
        deliver(posts, around.ledger, around.channel, around.claim_seconds, around.clock)
    except Undelivered as error:
        if error.refused:  # they are given up after a few tries, which the summary is to say
            raise
        return error
    return None


def _deliver_runs(runs: Sequence[Run], around: Surroundings) -> None:
    """Post the summaries, which name what was given up since the last one."""
    unfinished = around.ledger.get(around.ledger.unfinished()).values()
    refused = [entry for entry in unfinished if entry.status == "refused"]
    posts = [_run_post(run, [_name(entry) for entry in refused]) for run in runs]
    if deliver(posts, around.ledger, around.channel, around.claim_seconds, around.clock):
        for entry in refused:
            around.ledger.told(entry.record_id)


def _record_new_items(snapshot: Snapshot, key: str, around: Surroundings) -> None:
    items = {item.item_id: item for item in snapshot.items}
    known = around.ledger.get(items)
    new = [item for item_id, item in items.items() if item_id not in known]
    if not new:
        return
    # what an earlier try recorded is scored along with the rest: the same requests then have the answers that are kept
    ours = {id_: entry.score for id_, entry in known.items() if isinstance(entry, Record) and entry.snapshot == key}
    scores = around.score([item for item_id, item in items.items() if item_id in ours or item_id not in known])
    # and counts as it was recorded, so that this one chooses as that one did
    ours = {item_id: prediction.score for item_id, prediction in scores.predictions.items()} | ours
    threshold = scores.threshold if scores.threshold is None or around.threshold is None else around.threshold
    choices = select(ours, threshold, around.max_posts, around.explored_items_a_day, seed=key)
    for item in new:
        prediction = scores.predictions[item.item_id]
        around.ledger.record(
            Record(
                item=item,
                choice=choices[item.item_id],
                snapshot=key,
                recorded_at=around.clock.now(),
                score=prediction.score,
                model_version=scores.model_version,
                reasons=prediction.reasons,
            )
        )


def _run(snapshot: Snapshot, key: str, records: Iterable[Record | Run], now: float) -> Run:
    new = [record for record in records if isinstance(record, Record) and record.snapshot == key]
    choices = Counter(record.choice for record in new)
    return Run(
        snapshot=key,
        recorded_at=now,
        listed=len(snapshot.items) + len(snapshot.failures),
        failed=len(snapshot.failures),
        new=len(new),
        recommended=choices["recommended"],
        explored=choices["explored"],
        passed=choices["passed"],
        model_version=max((record.model_version for record in new), default=""),
        has_taste=not new or any(record.score is not None for record in new),
    )


def _order(record: Record) -> tuple[str, bool, float]:
    return record.snapshot, record.choice != "recommended", -(record.score or 0.0)


def _item_post(record: Record) -> Post:
    text, blocks = item_message(record)
    spare = item_message(record, with_image=False)[1]
    return Post(record.item.item_id, record.recorded_at, text, blocks, item_metadata(record), spare)


def _name(entry: Record | Run) -> str:
    return entry.item.item_id if isinstance(entry, Record) else entry.snapshot


def _run_post(run: Run, refused: Sequence[str]) -> Post:
    text, blocks = run_message(run, refused)
    return Post(run.record_id, run.recorded_at, text, blocks, run_metadata(run))
