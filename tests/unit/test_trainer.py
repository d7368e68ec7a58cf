"""The trainer on real stores: killed anywhere, twice at once, and with what an owner may have done to the labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from conftest import ROOT, Stores

from model.serving.head import Embeddings
from model.serving.package import ENCODER, ModelPackage
from osusume.errors import UserError
from osusume.heads import Heads
from osusume.items import Item
from osusume.labels import Label, Labels
from osusume.ledger import Ledger
from osusume.records import Record
from osusume.snapshots import Snapshot, snapshot_key, write_snapshot
from samples.works import demo_works
from trainer.night import DAY, Outcome
from trainer.stores import StackWorkshop, train_stack

PACKAGE = ModelPackage.load(ROOT / "model" / "starter")
WORKS = demo_works()[:40]
NOW = datetime.now(UTC).timestamp()
"""The snapshots of the fake S3 are stored now."""


class Killed(BaseException):
    """The process died."""


class Stack:
    """One stack's stores, whose calls can be counted and cut off."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.labels = Labels(stores.dynamodb, stores.labels_table)
        self.ledger = Ledger(stores.dynamodb, stores.items_table)
        self.heads = Heads(stores.s3, stores.bucket, PACKAGE.card.files[ENCODER])
        self.calls = 0
        self.cut: tuple[str, int] | None = None
        for client in (stores.s3, stores.dynamodb.meta.client):
            client.meta.events.register("before-call", self._before)
            client.meta.events.register("after-call", self._after)

    def _before(self, **_: Any) -> None:
        self.calls += 1
        if self.cut == ("before", self.calls):
            raise Killed

    def _after(self, **_: Any) -> None:
        if self.cut == ("after", self.calls):
            raise Killed

    def label(self, works: list[Item], verdict: Callable[[int], bool | None], at: float = NOW - DAY) -> None:
        for number, item in enumerate(works):
            self.ledger.record(Record(item, "recommended", "s", at - DAY, 0.5, "starter"))
            self.labels.store(Label(item.item_id, verdict(number), "U1", f"{at + number:.6f}", "2026-11-26 08:00:00"))

    def train(
        self, now: float = NOW, *, workshop: StackWorkshop | None = None, cut: tuple[str, int] | None = None
    ) -> Outcome:
        self.calls, self.cut = 0, cut
        try:
            workshop = workshop or StackWorkshop(PACKAGE, self.heads, 0.5, now)
            return train_stack(self.labels, self.ledger, self.stores.s3, self.stores.bucket, workshop, now)
        finally:
            self.cut = None


@pytest.fixture(name="stack")
def _stack(stores: Stores) -> Stack:
    key = snapshot_key("demo", datetime.fromtimestamp(NOW - DAY, UTC))
    write_snapshot(stores.s3, stores.bucket, key, Snapshot("demo", datetime.now(UTC), WORKS))
    return Stack(stores)


def every_third(number: int) -> bool:
    return number % 3 == 0


def test_a_night_promotes_a_head_of_the_owners_labels_and_says_so_in_the_ledger(stack: Stack) -> None:
    stack.label(WORKS, every_third)
    outcome = stack.train()
    decision = stack.ledger.last_decision()
    assert decision is not None
    assert (decision.action, decision.version) == ("promote", outcome.state.version)
    assert (decision.labels, decision.liked) == (40, 14)
    stored = stack.heads.promoted()
    assert stored is not None
    package = PACKAGE.with_head(stored.card, stored.head)
    assert (package.version, package.card.taste) == (outcome.state.version, "first-guess")
    assert stack.ledger.decisions() == [decision]


def test_the_next_night_without_news_reads_and_writes_little_and_decides_nothing(stack: Stack) -> None:
    stack.label(WORKS, every_third)
    stack.train()
    assert stack.train(NOW + DAY).action is None
    assert len(stack.ledger.decisions()) == 1


def test_embeddings_are_stored_and_the_encoder_runs_only_on_new_texts(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.label(WORKS[:30], every_third)
    first, fresh = (ModelPackage.load(ROOT / "model" / "starter") for _ in range(2))  # a process remembers nothing
    stack.train(workshop=StackWorkshop(first, stack.heads, 0.5, NOW))
    assert fresh.encoder is not None
    texts: list[str] = []
    embed = fresh.encoder.embed

    def noted(batch: Sequence[str]) -> Embeddings:
        texts.extend(batch)
        return embed(batch)

    monkeypatch.setattr(fresh.encoder, "embed", noted)
    stack.label(WORKS[30:], every_third)
    stack.train(NOW + DAY, workshop=StackWorkshop(fresh, stack.heads, 0.5, NOW + DAY))
    assert len(texts) == 10


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_call_it_leaves_a_usable_head_and_the_next_try_ends_the_night(stack: Stack, moment: str) -> None:
    stack.label(WORKS[:14], every_third)
    old = stack.train(NOW - DAY / 2).state.version
    stack.label(WORKS[14:20], every_third)
    number = 0
    while True:
        number += 1
        try:
            outcome = stack.train(cut=(moment, number))
        except Killed:
            stored = stack.heads.promoted()
            assert stored is not None
            PACKAGE.with_head(stored.card, stored.head)
        else:
            break
    assert number > 5
    assert stack.heads.pointer().version == outcome.state.version != old
    assert [decision.action for decision in stack.ledger.decisions()] == ["promote", "promote"]


def test_of_two_trainers_at_once_one_promotes_a_head_and_the_other_gives_way(stack: Stack) -> None:
    stack.label(WORKS, every_third)

    class Slow(StackWorkshop):
        def keep(self, *arguments: Any, **options: Any) -> str:
            version = super().keep(*arguments, **options)
            stack.train()
            return version

    with pytest.raises(UserError, match="changed at the same time"):
        stack.train(workshop=Slow(PACKAGE, stack.heads, 0.5, NOW))
    assert len(stack.heads.promotions()) == 1
    assert stack.train().action is None


def test_a_head_that_the_owner_rolled_back_stays_away_until_it_proves_better(stack: Stack) -> None:
    stack.label(WORKS[:30], every_third)
    first = stack.train(NOW - 2 * DAY).state.version
    stack.label(WORKS[30:35], every_third)
    stack.train(NOW - DAY)
    stack.heads.roll_back()
    stack.label(WORKS[35:], every_third)
    outcome = stack.train()
    assert (outcome.action, stack.heads.pointer().version) == ("compare", first)


def test_a_head_of_the_owners_in_the_image_stays_until_a_refit_proves_better(stack: Stack) -> None:
    package = ModelPackage(replace(PACKAGE.card, taste="owner"), PACKAGE.encoder, PACKAGE.head)
    stack.label(WORKS, every_third)
    outcome = stack.train(workshop=StackWorkshop(package, stack.heads, 0.5, NOW))
    assert (outcome.action, stack.heads.pointer().version) == ("compare", None)
    assert outcome.state.challenger


@pytest.mark.parametrize("verdict", [lambda _: True, lambda _: False, lambda _: None], ids=["all", "none", "neither"])
def test_labels_of_one_kind_leave_the_stack_as_it_is(stack: Stack, verdict: Callable[[int], bool | None]) -> None:
    stack.label(WORKS, verdict)
    assert stack.train().action == "wait"
    assert stack.heads.promoted() is None


def test_labels_of_works_that_the_ledger_does_not_know_are_left_out(stack: Stack) -> None:
    stack.label(WORKS, every_third)
    stack.labels.store(Label("RJ99999999", True, "U1", f"{NOW:.6f}", "2026-11-26 08:00:00"))
    assert stack.train().labels == 40


def test_an_unreadable_snapshot_is_left_out(stack: Stack) -> None:
    stack.stores.s3.put_object(Bucket=stack.stores.bucket, Key="snapshots/demo/broken.json", Body=b"{")
    stack.label(WORKS, every_third)
    assert stack.train().action == "promote"


def test_an_unreadable_pointer_is_an_error_and_stays(stack: Stack) -> None:
    key = f"models/{PACKAGE.card.files[ENCODER]}/promoted.json"
    stack.stores.s3.put_object(Bucket=stack.stores.bucket, Key=key, Body=b"{")
    stack.label(WORKS, every_third)
    with pytest.raises(UserError, match="is not a list of promotions"):
        stack.train()
