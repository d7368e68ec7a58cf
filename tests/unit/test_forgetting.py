"""A forgotten label leaves no trace: not in the table, not in the next head."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
from conftest import ROOT, Stores, make_stores

from model.learning import train as training
from model.serving.package import ENCODER, ModelPackage
from osusume.heads import Heads
from osusume.items import Item
from osusume.labels import Label, Labels
from osusume.ledger import Ledger
from osusume.records import Record
from samples.works import demo_works
from trainer.night import DAY, SEARCH_SECONDS
from trainer.stores import StackWorkshop, train_stack

WORKS = [replace(work, sections=[]) for work in demo_works()[:44]]
WEEK = 2_900 * SEARCH_SECONDS
FORGOTTEN = 7


def label(number: int, item: Item, at: float) -> Label:
    return Label(item.item_id, number % 3 == 0, "U1", f"{at + number:.6f}", "2026-11-26 08:00:00")


def test_the_same_press_again_brings_nothing_back_and_a_later_one_counts(stores: Stores) -> None:
    labels = Labels(stores.dynamodb, stores.labels_table)
    pressed = label(1, WORKS[0], 100.0)
    labels.store(pressed)
    assert labels.forget(pressed)
    assert labels.store(pressed) is None
    assert labels.store(label(0, WORKS[0], 50.0)) is None
    assert labels.get(WORKS[0].item_id) is None
    assert list(labels.all()) == []
    later = label(2, WORKS[0], 200.0)
    assert labels.store(later) == later == labels.get(WORKS[0].item_id)


def test_a_label_that_was_replaced_meanwhile_is_not_forgotten(stores: Stores) -> None:
    labels = Labels(stores.dynamodb, stores.labels_table)
    labels.store(label(1, WORKS[0], 100.0))
    labels.store(label(2, WORKS[0], 200.0))
    assert not labels.forget(label(1, WORKS[0], 100.0))
    assert labels.get(WORKS[0].item_id) == label(2, WORKS[0], 200.0)


def head_of_the_third_night(stores: Stores, pressed: Collection[int], *, forgets: bool = False) -> bytes:
    """Return the head after three nights; before the third a label of the first is forgotten, if `forgets`."""
    package = ModelPackage.load(ROOT / "model" / "starter")
    labels, ledger = Labels(stores.dynamodb, stores.labels_table), Ledger(stores.dynamodb, stores.items_table)
    heads = Heads(stores.s3, stores.bucket, package.card.files[ENCODER])
    for item in WORKS:
        ledger.record(Record(item, "recommended", "s", WEEK - DAY, 0.5, "v0"))
    version = None
    for night, rows in enumerate((range(24), range(24, 34), range(34, 44))):
        at = WEEK + night * 5 * DAY
        for row in set(rows) & set(pressed):
            labels.store(label(row, WORKS[row], at))
        if night == 2 and forgets:
            assert labels.forget(label(FORGOTTEN, WORKS[FORGOTTEN], WEEK))
        workshop = StackWorkshop(package, heads, 0.5, at + DAY)
        version = train_stack(labels, ledger, stores.s3, stores.bucket, workshop, at + DAY).state.version
    assert version is not None
    return heads.read(version).head


def test_the_next_head_is_bit_for_bit_that_of_a_stack_that_never_had_the_label(
    moto_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LEAST_SEARCHED", 20)  # so that a search has seen the label too
    every = range(len(WORKS))
    never, forgotten, kept = (
        head_of_the_third_night(make_stores(endpoint_url=moto_address), rows, forgets=forgets)
        for rows, forgets in ((set(every) - {FORGOTTEN}, False), (every, True), (every, False))
    )
    assert forgotten == never
    assert kept != never
