from dataclasses import replace
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import Stores

from feedback.press import Press, PressRefused, show_label, store_press
from osusume.labels import Label, Labels
from osusume.ledger import Claim, Ledger, Record, Run
from osusume.messages import item_message
from samples.works import demo_works

WORK = demo_works()[0]
RECORD = Record(WORK, "recommended", "snapshots/a.json", 1764000000.0, 0.75, "v1")
TOKYO = ZoneInfo("Asia/Tokyo")
PRESS = Press(WORK.item_id, is_interested=True, user_id="U0OWNER", action_ts="1764000001.000001")


@pytest.fixture
def ledger(stores: Stores) -> Ledger:
    ledger = Ledger(stores.dynamodb, stores.items_table)
    ledger.record(RECORD)
    return ledger


@pytest.fixture
def labels(stores: Stores) -> Labels:
    return Labels(stores.dynamodb, stores.labels_table)


def test_a_press_becomes_a_label_in_the_owners_time(labels: Labels, ledger: Ledger) -> None:
    assert store_press(PRESS, labels, ledger, frozenset(), TOKYO) == RECORD
    created_at = "2025-11-25 01:00:01"
    assert labels.get(WORK.item_id) == Label(WORK.item_id, True, "U0OWNER", "1764000001.000001", created_at)


def test_a_label_keeps_how_long_its_press_waited(labels: Labels, ledger: Ledger) -> None:
    store_press(PRESS, labels, ledger, frozenset(), TOKYO, lambda: 0.25)
    label = labels.get(WORK.item_id)
    assert label
    assert label.waited == 0.25


def test_an_allowed_user_may_press(labels: Labels, ledger: Ledger) -> None:
    store_press(PRESS, labels, ledger, frozenset({"U0OWNER"}), TOKYO)
    assert labels.get(WORK.item_id)


def test_the_press_of_a_user_who_is_not_allowed_stores_nothing(labels: Labels, ledger: Ledger) -> None:
    with pytest.raises(PressRefused, match="許可された人だけ"):
        store_press(PRESS, labels, ledger, frozenset({"U0OTHER"}), TOKYO)
    assert labels.get(WORK.item_id) is None


@pytest.mark.parametrize("item_id", ["RJ01999999", "run:snapshots/a.json"])
def test_a_press_for_what_is_no_item_of_the_ledger_stores_nothing(labels: Labels, ledger: Ledger, item_id: str) -> None:
    ledger.record(Run("snapshots/a.json", 1764000000.0, 1, 0, 1, 1, 0, 0))
    with pytest.raises(PressRefused, match=item_id):
        store_press(Press(item_id, True, "U0OWNER", PRESS.action_ts), labels, ledger, frozenset(), TOKYO)
    assert labels.get(item_id) is None


def test_a_press_in_another_channel_than_the_items_own_stores_nothing(stores: Stores, labels: Labels) -> None:
    ledger = Ledger(stores.dynamodb, stores.items_table)
    ledger.record(RECORD)
    claim = ledger.claim(WORK.item_id, 60)
    assert isinstance(claim, Claim)
    ledger.posted(claim, "C0HERE", "1764000000.000001")
    with pytest.raises(PressRefused, match="チャンネル"):
        store_press(replace(PRESS, channel="C0ELSEWHERE"), labels, ledger, frozenset(), TOKYO)
    assert labels.get(WORK.item_id) is None
    store_press(replace(PRESS, channel="C0HERE"), labels, ledger, frozenset(), TOKYO)
    assert labels.get(WORK.item_id)


def test_a_message_is_rewritten_once_where_nobody_else_presses(labels: Labels, ledger: Ledger) -> None:
    store_press(PRESS, labels, ledger, frozenset(), TOKYO)
    shown: list[Any] = []
    show_label(RECORD, labels, lambda text, blocks: shown.append((text, blocks)))
    assert shown == [item_message(RECORD, labels.get(WORK.item_id))]


def test_a_message_shows_the_label_that_stands_after_a_press_that_comes_between(labels: Labels, ledger: Ledger) -> None:
    store_press(PRESS, labels, ledger, frozenset(), TOKYO)
    later = Press(WORK.item_id, False, "U0OWNER", "1764000002.000001")
    shown: list[Any] = []

    def rewrite(text: str, blocks: list[dict[str, Any]]) -> None:
        if not shown:
            store_press(later, labels, ledger, frozenset(), TOKYO)
        shown.append((text, blocks))

    show_label(RECORD, labels, rewrite)
    assert shown[-1] == item_message(RECORD, labels.get(WORK.item_id))
    assert len(shown) == 2


def test_presses_without_end_do_not_hold_a_message_for_ever(labels: Labels, ledger: Ledger) -> None:
    times = iter(range(1764000002, 1764000099))
    shown: list[Any] = []

    def rewrite(text: str, blocks: list[dict[str, Any]]) -> None:
        shown.append(text)
        store_press(Press(WORK.item_id, True, "U0OWNER", f"{next(times)}.1"), labels, ledger, frozenset(), TOKYO)

    show_label(RECORD, labels, rewrite)
    assert len(shown) == 3


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_the_last_message_written_shows_the_latest_press(
    labels: Labels, ledger: Ledger, order: tuple[int, ...]
) -> None:
    presses = [Press(WORK.item_id, index != 1, "U0OWNER", f"176400000{index}.5") for index in range(3)]
    shown: list[Any] = []
    for index in order:
        record = store_press(presses[index], labels, ledger, frozenset(), TOKYO)
        show_label(record, labels, lambda text, blocks: shown.append((text, blocks)))
    label = labels.get(WORK.item_id)
    assert label
    assert label.action_ts == presses[2].action_ts
    assert shown[-1] == item_message(RECORD, label)
