"""Processes a snapshot: scores and records its new items, and posts the chosen ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from notifier.channel import Channel, ChannelRefused, MessageRefused, RateLimited, Unclear
from notifier.delivery import Clock, Delivery, Post, Undelivered
from notifier.guess import guess
from notifier.scoring import Scores, ScoringFailed
from notifier.selection import select
from osusume.items import Item
from osusume.ledger import Decision, Entry, Ledger, Limits, Record, Report, Run, Unfinished
from osusume.messages import (
    check_message,
    check_metadata,
    decision_line,
    item_digest,
    item_forms,
    item_metadata,
    report_message,
    report_metadata,
    run_message,
    run_metadata,
)
from osusume.observability import logger
from osusume.rules import Effect, Rule, effects
from osusume.snapshots import Snapshot
from osusume.wishes import Wishes

NIGHT_SECONDS = 20 * 3600
"""How long summaries report a decision of the trainer: for one morning."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The dependencies and settings of a run. If `threshold` is None, the model's own applies.

    `same_day` are the keys of the other snapshots of the owner's day, which share `explored_items_a_day`. `stack`
    distinguishes this stack's messages from another one's in the same channel. `rules` returns the owner's rules,
    `wishes` what they said before any press.
    """

    ledger: Ledger
    channel: Channel
    score: Callable[[Sequence[Item]], Scores]
    threshold: float | None
    max_posts: int
    explored_items_a_day: int
    claim_seconds: float
    clock: Clock
    same_day: Sequence[str] = ()
    stack: str = ""
    rules: Callable[[], Iterable[Rule]] = tuple
    wishes: Callable[[], Wishes] = Wishes


def notify(snapshot: Snapshot, key: str, deps: Dependencies) -> Run:
    """Score, record and post the new items of `snapshot`, post what earlier runs left, and return the run.

    Called again for the same snapshot, at the same time or after a crash, it resumes and posts nothing twice. Raises
    `ScoringFailed`, `Undelivered` or `ChannelRefused` if it must be called again; everything that can be posted is
    posted first.
    """
    delivery, limits = Delivery(deps.ledger, deps.channel, deps.claim_seconds, deps.clock), _limits(deps)
    try:
        head_unusable = _record_new_items(snapshot, key, limits, deps)
    except ScoringFailed:
        _post(deps.ledger.unfinished(), delivery, deps)
        with suppress(Undelivered):  # ScoringFailed already tells the caller to call again
            delivery.settle()
        raise
    records = deps.ledger.get(item.item_id for item in snapshot.items)
    run = replace(_run(snapshot, key, records.values(), limits, deps), head_unusable=head_unusable)
    deps.ledger.record(run)
    # the index may not show the newest records yet
    left = deps.ledger.unfinished()
    _post(Unfinished(records | left.records, deps.ledger.runs([key]) | left.runs, left.reports), delivery, deps)
    delivery.judge()
    _tell_of_refusals(run, records, deps)
    delivery.settle()
    return run


def check(channel: Channel, score: Callable[[Sequence[Item]], Scores], stack: str) -> str:
    """Score a work that does not exist, say so in the channel, and return the model's version. It records nothing.

    Raises `ScoringFailed`, and as `Channel.post` does.
    """
    scores = score([Item("check", "check", "https://example.com/", "動作確認")])
    text, blocks = check_message(scores.model_version)
    channel.post(text, blocks, check_metadata(stack))
    return scores.model_version


def _post(left: Unfinished, delivery: Delivery, deps: Dependencies) -> None:
    """Post the chosen items that are unposted, then the summaries, even if items are left."""
    chosen = [record for record in left.records.values() if record.choice != "passed"]
    to_post = sorted((record for record in chosen if record.status in {"scored", "posting"}), key=_order)
    delivery.post(_item_post(record, deps.stack) for record in to_post)
    refused = _refused(deps)
    names = [_name(entry) for entry in refused]
    posted_before = delivery.posted
    delivery.post(_run_post(entry, names, deps.stack) for entry in left.runs.values())
    if delivery.posted > posted_before:
        for entry in refused:
            deps.ledger.mark_reported(entry.record_id)
    rules = [rule for rule in deps.rules() if rule.holds(deps.clock.now())] if left.reports else []
    delivery.post(_report_post(report, rules, deps.stack) for report in left.reports.values())


def _refused(deps: Dependencies) -> list[Entry]:
    """Return the refused entries that no summary has named yet."""
    return [entry for entry in deps.ledger.unfinished().entries if entry.status == "refused"]


def _tell_of_refusals(run: Run, item_ids: Iterable[str], deps: Dependencies) -> None:
    """Rewrite the run's summary if a message was given up after it was posted."""
    refused = _refused(deps)
    said = deps.ledger.runs([run.snapshot]).get(run.snapshot)
    if not refused or said is None or not said.ts:
        return
    told = [entry for entry in deps.ledger.get(item_ids).values() if entry.status == "refused"]
    try:
        text, blocks = run_message(said, list(dict.fromkeys(_name(entry) for entry in (*told, *refused))))
        deps.channel.rewrite(said.ts, text, blocks, run_metadata(said, deps.stack))
    except (RateLimited, Unclear, MessageRefused, ChannelRefused) as error:
        logger.warning("the summary was not rewritten: the next one names what was given up", error=str(error))
        return
    for entry in refused:
        deps.ledger.mark_reported(entry.record_id)


def _record_new_items(snapshot: Snapshot, key: str, limits: Limits, deps: Dependencies) -> bool:
    """Score and record the new items; return whether the classifier could not read the promoted head."""
    items = {item.item_id: item for item in snapshot.items}
    known = deps.ledger.get(items)
    new = [item for item_id, item in items.items() if item_id not in known]
    if not new:
        return False
    # items that an earlier try recorded are scored again, so that the same requests match the kept answers
    ours = {id_: entry.score for id_, entry in known.items() if entry.snapshot == key}
    scores = deps.score([item for item_id, item in items.items() if item_id in ours or item_id not in known])
    # what an earlier try recorded stands, so that this one chooses as that one did: scores, and rules made since
    standing = {item_id: known[item_id] for item_id in ours}
    ruled = effects(deps.rules(), new, deps.clock.now()) | ruled_before(standing.values())
    candidates = [item for item_id, item in items.items() if item_id in scores.predictions]
    guesses = guess(candidates, deps.wishes()) if scores.threshold is None else {}
    chosen = decide(candidates, scores, limits, key, ruled, guesses, ours)
    for item in new:
        deps.ledger.record(replace(chosen[item.item_id], recorded_at=deps.clock.now()))
    return scores.head_unusable


def decide(
    items: Sequence[Item],
    scores: Scores,
    limits: Limits,
    key: str,
    ruled: Mapping[str, Effect],
    guesses: Mapping[str, float],
    recorded: Mapping[str, float | None] = MappingProxyType({}),
) -> dict[str, Record]:
    """Return by item id the first records of a run's new items: what is shown, why, and with which message.

    It depends on nothing else, so that a past run can be replayed. `recorded` are scores that stand already.
    """
    found = {item_id: prediction.score for item_id, prediction in scores.predictions.items()} | dict(recorded)
    threshold = scores.threshold if scores.threshold is None or limits.threshold is None else limits.threshold
    posts, explored, before = limits.max_posts, limits.explored, limits.explored_before
    selected = select(items, found, threshold, posts, explored, key, before, ruled, guesses)
    records = {}
    for item in items:
        prediction, chosen = scores.predictions[item.item_id], selected[item.item_id]
        record = Record(
            item=item,
            choice=chosen.choice,
            snapshot=key,
            recorded_at=0.0,
            score=found[item.item_id],
            model_version=scores.model_version,
            reasons=prediction.reasons,
            witnesses=prediction.witnesses,
            threshold=threshold,
            candidates=len(items) - len(ruled),
            why=chosen.why,
            probability=chosen.probability,
            first_guess=scores.first_guess and threshold is not None,
        )
        records[item.item_id] = replace(record, message=item_digest(record))
    return records


def ruled_before(records: Iterable[Record]) -> dict[str, Effect]:
    """Return by item id what rules said of the recorded items."""
    whys: dict[str, Effect] = {"muted": "muted", "wanted": "wanted"}
    return {record.item.item_id: whys[record.why] for record in records if record.why in whys}


def _limits(deps: Dependencies) -> Limits:
    explored_before = sum(run.explored for run in deps.ledger.runs(deps.same_day).values())
    return Limits(deps.max_posts, deps.explored_items_a_day, explored_before, deps.threshold)


def _run(snapshot: Snapshot, key: str, records: Iterable[Record], limits: Limits, deps: Dependencies) -> Run:
    now, decision = deps.clock.now(), deps.ledger.last_decision()
    new = [record for record in records if record.snapshot == key]
    choices = Counter(record.choice for record in new)
    return Run(
        snapshot=key,
        recorded_at=now,
        listed=len(snapshot.items) + len(snapshot.failures) + len(snapshot.given_up),
        failed=len(snapshot.failures),
        new=len(new),
        recommended=choices["recommended"],
        explored=choices["explored"],
        passed=choices["passed"],
        limits=limits,
        muted=sum(record.why == "muted" for record in new),
        model_version=max((record.model_version for record in new), default=""),
        has_taste=not new or any(record.score is not None for record in new),
        gap=snapshot.gap,
        long_wait=snapshot.long_wait,
        crawled_at=snapshot.crawled_at.timestamp(),
        given_up=[failure.item_id for failure in snapshot.given_up],
        learned=decision_line(decision) if decision and _is_of_last_night(decision, now) else "",
    )


def _is_of_last_night(decision: Decision, now: float) -> bool:
    return 0 <= now - datetime.fromisoformat(decision.at).timestamp() < NIGHT_SECONDS


def _order(record: Record) -> tuple[str, bool, float]:
    return record.snapshot, record.choice != "recommended", -(record.score or 0.0)


def _item_post(record: Record, stack: str) -> Post:
    (text, blocks), *spare = item_forms(record)
    metadata = item_metadata(record, stack)
    return Post(record.item.item_id, record.recorded_at, text, blocks, metadata, spare[0][1] if spare else None)


def _name(entry: Entry) -> str:
    match entry:
        case Record():
            return entry.item.item_id
        case Run():
            return entry.snapshot
        case Report():
            return entry.week


def _report_post(report: Report, rules: Sequence[Rule], stack: str) -> Post:
    text, blocks = report_message(report, rules)
    return Post(report.record_id, report.recorded_at, text, blocks, report_metadata(report, stack))


def _run_post(run: Run, refused: Sequence[str], stack: str) -> Post:
    text, blocks = run_message(run, refused)
    return Post(run.record_id, run.recorded_at, text, blocks, run_metadata(run, stack))
