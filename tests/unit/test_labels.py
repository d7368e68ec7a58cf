from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError
from conftest import Stores

from osusume.labels import Label, Labels, Origin, local_time

TOKYO = ZoneInfo("Asia/Tokyo")


def press(action_ts: str, *, is_interested: bool = True, item_id: str = "RJ01000001") -> Label:
    return Label(item_id, is_interested, "U0OWNER", action_ts, local_time(action_ts, TOKYO))


def labels_of(stores: Stores) -> Labels:
    return Labels(stores.dynamodb, stores.labels_table)


@pytest.mark.parametrize("origin", ["slack", "annotation"])
def test_a_label_comes_back_as_it_was_stored(stores: Stores, origin: Origin) -> None:
    is_press = origin == "slack"
    label = press("1764000000.123456", is_interested=is_press)
    label = replace(label, origin=origin, waited=0.125 if is_press else None)
    assert labels_of(stores).store(label) == label
    assert labels_of(stores).get("RJ01000001") == label


def test_an_item_without_a_press_has_no_label(stores: Stores) -> None:
    assert labels_of(stores).get("RJ01000001") is None


def test_an_older_press_brings_no_forgotten_label_back_whatever_clock_timed_it(stores: Stores) -> None:
    labels = labels_of(stores)
    annotated = replace(press("1764000100.0"), origin="annotation")
    labels.store(annotated)
    assert labels.forget(annotated)
    assert labels.store(press("1764000000.000001")) is None
    assert labels.get("RJ01000001") is None


def test_the_latest_press_stands_in_whatever_order_they_arrive(stores: Stores) -> None:
    times = ("1764000000.000001", "1764000000.000002", "1764000001.5", "1764000010.000009")
    presses = [press(time, is_interested=index % 2 == 0) for index, time in enumerate(times)]
    labels = labels_of(stores)
    for number, order in enumerate(permutations(presses)):
        item_id = f"RJ{number:08}"
        for label in order:
            labels.store(replace(label, item_id=item_id))
        assert labels.get(item_id) == replace(presses[-1], item_id=item_id)


def test_an_older_press_is_answered_with_the_label_that_stands(stores: Stores) -> None:
    later, older = press("1764000002.000001"), press("1764000001.000001", is_interested=False)
    labels = labels_of(stores)
    labels.store(later)
    assert labels.store(older) == later


def test_the_same_press_again_changes_nothing(stores: Stores) -> None:
    label = press("1764000000.123456")
    labels = labels_of(stores)
    assert [labels.store(label) for _ in range(3)] == [label] * 3
    assert labels.get("RJ01000001") == label


@pytest.mark.parametrize(
    ("older", "later"),
    [("999999999.9", "1000000000.000001"), ("1764000000.9", "1764000000.900001"), ("1764000000", "1764000000.1")],
)
def test_presses_are_compared_by_time_whatever_their_number_of_digits(stores: Stores, older: str, later: str) -> None:
    labels = labels_of(stores)
    for action_ts in (later, older):
        labels.store(press(action_ts))
    found = labels.get("RJ01000001")
    assert found
    assert Decimal(found.action_ts) == Decimal(later)


def test_a_press_on_one_item_leaves_the_others_alone(stores: Stores) -> None:
    labels = labels_of(stores)
    first, second = press("1764000001.1"), press("1764000000.1", is_interested=False, item_id="RJ01000002")
    labels.store(first)
    labels.store(second)
    assert [labels.get("RJ01000001"), labels.get("RJ01000002")] == [first, second]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Asia/Tokyo", "2025-11-25 01:00:00"),
        ("UTC", "2025-11-24 16:00:00"),
        ("America/New_York", "2025-11-24 11:00:00"),
    ],
)
def test_a_label_says_when_in_the_owners_time_zone(zone: str, expected: str) -> None:
    assert local_time("1764000000.999999", ZoneInfo(zone)) == expected


def test_a_store_that_is_not_there_is_an_error(stores: Stores) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        Labels(stores.dynamodb, "no-such-table").store(press("1764000000.123456"))


# presses and what other clocks timed


def imported(item_id: str, at: float) -> Label:
    return Label(item_id, False, "import", f"{at:.6f}", "2026-11-22 08:00:00", "annotation")


def pressed(item_id: str, at: float) -> Label:
    return Label(item_id, True, "U0OWNER", f"{at:.6f}", "2026-11-22 08:00:00")


def test_a_press_stands_against_an_imported_label_from_the_future(stores: Stores) -> None:
    labels = labels_of(stores)
    labels.store(imported("RJ1", 2_000_000_000.0))
    press = pressed("RJ1", 1_764_000_000.0)
    assert labels.store(press) == press
    assert labels.get("RJ1") == press


def test_a_label_given_after_a_press_takes_its_place_and_an_earlier_one_does_not(stores: Stores) -> None:
    labels = labels_of(stores)
    press = pressed("RJ1", 1_764_000_000.0)
    labels.store(press)
    assert labels.store(imported("RJ1", 1_763_999_999.0)) == press
    later = imported("RJ1", 1_764_000_001.0)
    assert labels.store(later) == later


def test_a_press_that_was_imported_from_elsewhere_is_no_press_here(stores: Stores) -> None:
    labels = labels_of(stores)
    labels.store(Label("RJ1", False, "import", "2000000000.000000", "2026-11-22 08:00:00", "slack"))
    press = pressed("RJ1", 1_764_000_000.0)
    assert labels.store(press) == press
    assert labels.store(Label("RJ1", False, "import", "1763999999.000000", "2026-11-22 08:00:00", "slack")) == press
