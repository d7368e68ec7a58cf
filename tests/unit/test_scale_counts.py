"""What was lost, doubled or crossed between owners is found: each is injected once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local.scale.counts import Counts, Evidence, count

CALM = Evidence(
    owner="C1",
    threshold=0.5,
    due=frozenset({"RJ1", "RJ2", "RJ3"}),
    recorded={"RJ1": 0.5, "RJ2": 0.5, "RJ3": 0.5},
    chosen=frozenset({"RJ1", "RJ2"}),
    posted=[("C1", "RJ1"), ("C1", "RJ2")],
    pressed={("UC1", "RJ1"): True},
    labelled={("UC1", "RJ1"): True},
)


def test_nothing_is_counted_where_every_owner_has_what_was_due() -> None:
    assert count([CALM, CALM]) == Counts(0, 0, 0)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (replace(CALM, recorded={"RJ1": 0.5, "RJ2": 0.5}), Counts(lost=1)),
        (replace(CALM, posted=[("C1", "RJ1")]), Counts(lost=1)),
        (replace(CALM, labelled={}), Counts(lost=1)),
        (replace(CALM, labelled={("UC1", "RJ1"): False}), Counts(lost=1)),
        (replace(CALM, posted=[*CALM.posted, ("C1", "RJ1")]), Counts(doubled=1)),
        (replace(CALM, recorded={**CALM.recorded, "RJ9": 0.5}), Counts(crossed=1)),
        (replace(CALM, recorded={**CALM.recorded, "RJ3": 0.7}), Counts(crossed=1)),
        (replace(CALM, posted=[*CALM.posted, ("C2", "RJ1")]), Counts(crossed=1)),
        (replace(CALM, posted=[*CALM.posted, ("C1", "RJ3")]), Counts(crossed=1)),
        (replace(CALM, labelled={**CALM.labelled, ("UC2", "RJ1"): True}), Counts(crossed=1)),
        (replace(CALM, posted=[("C1", "RJ1"), ("C2", "RJ2")]), Counts(lost=1, crossed=1)),
    ],
    ids=[
        "an item without a record",
        "a choice without a message",
        "a press without a label",
        "a press with the other label",
        "a second message",
        "a record of an item that was not due",
        "a record made with another owner's threshold",
        "a message for another owner",
        "a message about an item that was not chosen",
        "a label of another user",
        "a message in the channel of another instead",
    ],
)
def test_what_goes_wrong_for_one_owner_is_counted(broken: Evidence, expected: Counts) -> None:
    assert count([CALM, broken, CALM]) == expected
