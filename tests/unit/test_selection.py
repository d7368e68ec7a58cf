from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.selection import select
from osusume.ledger import Choice

SCORES: dict[str, float | None] = {f"RJ{number:02}": number / 20 for number in range(20)}
UNTRAINED: dict[str, float | None] = dict.fromkeys(SCORES)

scores_of_a_run = st.dictionaries(st.text(min_size=1, max_size=8), st.floats(0, 1), max_size=60)


def choose(
    scores: dict[str, float | None],
    *,
    threshold: float | None = 0.5,
    max_posts: int = 30,
    explored: int = 3,
    seed: str = "snapshots/a.json",
) -> dict[str, Choice]:
    return select(scores, threshold, max_posts, explored, seed)


def of(choices: dict[str, Choice], choice: Choice) -> list[str]:
    return sorted(item_id for item_id, found in choices.items() if found == choice)


def test_an_item_at_the_threshold_is_recommended() -> None:
    assert choose({"RJ1": 0.5, "RJ2": 0.499999}, explored=0) == {"RJ1": "recommended", "RJ2": "passed"}


def test_the_best_are_recommended_where_there_are_more_than_the_cap() -> None:
    choices = choose(SCORES, max_posts=3, explored=0)
    assert of(choices, "recommended") == ["RJ17", "RJ18", "RJ19"]


def test_the_one_explored_item_is_the_one_nearest_to_the_threshold() -> None:
    assert of(choose(SCORES, explored=1), "explored") == ["RJ09"]


def test_of_three_explored_items_two_are_the_nearest_and_one_is_from_the_rest() -> None:
    explored = of(choose(SCORES, explored=3), "explored")
    assert len(explored) == 3
    assert {"RJ08", "RJ09"} < set(explored)
    assert not set(explored) & set(of(choose(SCORES, explored=3), "recommended"))


def test_every_item_under_the_threshold_can_be_the_random_one() -> None:
    found = {
        item_id for number in range(200) for item_id in of(choose(SCORES, explored=3, seed=str(number)), "explored")
    }
    assert found == {f"RJ{number:02}" for number in range(10)}


def test_nothing_is_recommended_before_there_is_a_taste() -> None:
    choices = choose(UNTRAINED, threshold=None, explored=3)
    assert of(choices, "recommended") == []
    assert len(of(choices, "explored")) == 3


def test_every_item_can_be_explored_before_there_is_a_taste() -> None:
    found = {
        item_id
        for number in range(200)
        for item_id in of(choose(UNTRAINED, threshold=None, seed=str(number)), "explored")
    }
    assert found == set(UNTRAINED)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_no_items_give_no_choices(threshold: float | None) -> None:
    assert choose({}, threshold=threshold) == {}


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_the_same_seed_gives_the_same_choices_in_whatever_order_the_items_come(threshold: float | None) -> None:
    scores = dict(list((UNTRAINED if threshold is None else SCORES).items())[7:12])
    expected = choose(scores, threshold=threshold)
    for order in permutations(scores):
        assert choose({item_id: scores[item_id] for item_id in order}, threshold=threshold) == expected


def test_equal_scores_are_settled_in_the_same_way_in_any_order() -> None:
    same: dict[str, float | None] = dict.fromkeys(["RJ3", "RJ1", "RJ2"], 0.9)
    backwards = dict(reversed(same.items()))
    assert choose(same, max_posts=1) == choose(backwards, max_posts=1)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_different_seeds_explore_different_items(threshold: float | None) -> None:
    scores = UNTRAINED if threshold is None else SCORES
    explored = {tuple(of(choose(scores, threshold=threshold, seed=f"snapshots/{n}"), "explored")) for n in range(20)}
    assert len(explored) > 3


@given(scores_of_a_run, st.floats(0, 1), st.integers(1, 40), st.integers(0, 10), st.text(max_size=8))
def test_every_item_gets_one_choice_within_the_bounds(
    known: dict[str, float], threshold: float, max_posts: int, explored: int, seed: str
) -> None:
    choices = select(known, threshold, max_posts, explored, seed)
    over = [item_id for item_id, score in known.items() if score >= threshold]
    recommended, tried = of(choices, "recommended"), of(choices, "explored")
    assert choices.keys() == known.keys()
    assert len(recommended) == min(max_posts, len(over))
    assert set(recommended) <= set(over)
    assert len(tried) == min(explored, len(known) - len(over))
    assert not set(tried) & set(over)
