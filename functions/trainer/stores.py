"""What a night of learning reads from a stack, and what it writes there."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from model.learning.examples import Example
from model.learning.train import Recent, Strengths, Trained, search_strengths, train
from model.serving.head import Head
from model.serving.package import ModelPackage, card_contents, sealed
from osusume.errors import UserError
from osusume.heads import EMBEDDINGS, Heads, StoredHead
from osusume.items import Item
from osusume.labels import Label, Labels
from osusume.ledger import Ledger
from osusume.observability import logger
from osusume.records import Decision, Report
from osusume.snapshots import InvalidSnapshot, SnapshotMissing, list_snapshots, read_snapshot
from trainer.night import DAY, RECENT_DAYS, Day, Outcome, Press, State, comparing, learn
from trainer.report import week_before, weekly_report

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def train_stack(
    labels: Labels,
    ledger: Ledger,
    s3: S3Client,
    bucket: str,
    workshop: StackWorkshop,
    now: float,
    *,
    accept: bool = False,
) -> Outcome:
    """Refit the head on the stack's labels, let the gate decide, and record the decision; return it.

    One conditional write makes the new head active and stores the state; until then nothing changes for the classifier,
    and a trainer that finds it changed by another gives way. Raises `UserError` for that, and for a pointer that cannot
    be read.
    """
    pointer = workshop.heads.pointer()
    state = State.from_json(pointer.trainer) if pointer.trainer else State()
    if not pointer.trainer and workshop.package.card.taste == "owner":
        state = comparing(state, now)  # the image's head may know more labels than the table
    _record(ledger, state)  # again, in case an earlier trainer was killed before it did
    if state.version != pointer.version:
        logger.info("the owner chose the head in use", model_version=pointer.version)
        state = replace(comparing(state, now), version=pointer.version, fitness=None, learned={})
    day = _day(labels.all(), ledger, s3, bucket, now)
    _tell_of_new_labels(day, state, ledger)
    outcome = learn(day, state, workshop, accept=accept)
    if outcome.action is None:
        return outcome
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    decision = Decision(at, outcome.action, outcome.sentence, outcome.state.version, outcome.labels, outcome.liked)
    state = replace(outcome.state, decision=asdict(decision))
    workshop.heads.update(pointer, state.version, state.to_json())
    _record(ledger, state)
    return replace(outcome, state=state)


def record_report(labels: Labels, ledger: Ledger, workshop: StackWorkshop, now: float, time_zone: tzinfo) -> None:
    """Record the report of the last whole week, unless it is recorded or that week had no run.

    The notifier posts it with the next morning's works.
    """
    if ledger.reports([f"{week_before(now, time_zone):%G-W%V}"]):
        return
    if report := report_of(labels, ledger, workshop, now, time_zone):
        ledger.record(report)


def report_of(labels: Labels, ledger: Ledger, workshop: StackWorkshop, now: float, time_zone: tzinfo) -> Report | None:
    """Return the report of the last whole week, None if that week had no run."""
    version = workshop.heads.pointer().version
    head = Head.from_bytes(workshop.heads.read(version).head) if version else None
    given = {label.item_id: label for label in labels.all()}
    weights = head.fields if head else {}
    return weekly_report(ledger.all(), given, ledger.decisions(), weights, now, time_zone)


@dataclass(slots=True)
class StackWorkshop:
    """The stored heads of the image's own encoder; a `Workshop` of `trainer.night`. `cost` is of an unwanted post."""

    package: ModelPackage
    heads: Heads
    cost: float
    now: float

    @property
    def has_encoder(self) -> bool:
        """Whether the image has an encoder."""
        return self.package.encoder is not None

    def fit(
        self,
        examples: Sequence[Example],
        recent: Sequence[Recent],
        fresh: Collection[str],
        strengths: Strengths,
    ) -> Trained:
        """Return a head trained as `model.learning.train` does; embeddings come from S3, new ones are added there."""
        with self._embeddings() as store:
            return train(
                examples,
                encoder=self.package.encoder,
                store=store,
                order=self.package.card.order,
                keywords=self.package.card.keywords,
                recent=recent,
                fresh=fresh,
                strengths=strengths,
                cost=self.cost,
                least=2,
            )

    def search(self, examples: Sequence[Example]) -> Strengths:
        """Return the best strengths for these examples; embeddings are kept as by `fit`."""
        with self._embeddings() as store:
            return search_strengths(
                examples,
                encoder=self.package.encoder,
                store=store,
                order=self.package.card.order,
                keywords=self.package.card.keywords,
            )

    @contextmanager
    def _embeddings(self) -> Iterator[Path]:
        """Give a file of the stored embeddings, and store it again if it has changed."""
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / EMBEDDINGS
            stored = self.heads.embeddings() if self.has_encoder else b""
            if stored:
                store.write_bytes(stored)
            yield store
            if store.exists() and store.read_bytes() != stored:
                self.heads.store_embeddings(store.read_bytes())

    def scores(self, version: str, items: Sequence[Item]) -> list[float]:
        """Return the scores of items by a stored head. Raises `UserError` if it cannot be read."""
        stored = self.heads.read(version)
        return self.package.with_head(stored.card, stored.head).probabilities(items)

    def keep(self, trained: Trained, *, is_first_guess: bool) -> str:
        """Store a head and return its version, which is made of its contents."""
        card = replace(
            self.package.card,
            version="night",
            taste="first-guess" if is_first_guess else "owner",
            created_on=datetime.fromtimestamp(self.now, UTC).date().isoformat(),
            labels=trained.labels,
            metrics=trained.metrics,
        )
        card = sealed(card, trained.head)
        try:
            self.heads.read(card.version)  # an earlier try may have stored it on another day, with another card
        except UserError:
            self.heads.store(card.version, StoredHead(card_contents(card), trained.head.to_bytes()))
        return card.version


def _day(labels: Iterable[Label], ledger: Ledger, s3: S3Client, bucket: str, now: float) -> Day:
    """Return what the stack knows before a night."""
    presses = {label.item_id: Press(label.is_interested, float(label.action_ts)) for label in labels}
    items = {item_id: record.item for item_id, record in ledger.get(presses).items()}
    since = datetime.fromtimestamp(now - RECENT_DAYS * DAY, UTC)
    listed: set[str] = set()
    for key, stored_at in list_snapshots(s3, bucket).items():
        if stored_at >= since:
            try:
                listed.update(item.item_id for item in read_snapshot(s3, bucket, key).items)
            except (SnapshotMissing, InvalidSnapshot) as error:
                logger.warning("a snapshot is left out", snapshot=key, reason=str(error))
    recent = [record for record in ledger.get(listed).values() if record.snapshot]
    recent.sort(key=lambda record: (record.recorded_at, record.item.item_id))
    return Day(presses, items, [record for record in recent if record.recorded_at >= since.timestamp()], now)


def _tell_of_new_labels(day: Day, state: State, ledger: Ledger) -> None:
    """Log the labels since the last night, a line for each snapshot that brought their items; imports have none."""
    new: defaultdict[str, list[str]] = defaultdict(list)
    pressed = [item_id for item_id, press in day.presses.items() if press.at > state.judged_until]
    for item_id, record in sorted(ledger.get(pressed).items()):
        if record.snapshot:
            new[record.snapshot].append(item_id)
    for snapshot, item_ids in sorted(new.items()):
        logger.info("new labels", snapshot=snapshot, item_ids=item_ids)


def _record(ledger: Ledger, state: State) -> None:
    """Record the state's last decision in the ledger, unless it is there."""
    if state.decision is None:
        return
    decision = Decision(**state.decision)
    if ledger.last_decision() != decision:
        ledger.decide(decision)
