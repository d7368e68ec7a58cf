from __future__ import annotations

from collections import Counter
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.selection import FIRST_ITEMS, MOST_OF_A_CIRCLE, Selected, select, varied
from osusume.items import Item
from osusume.ledger import Choice

SCORES: dict[str, float | None] = {f"RJ{number:02}": number / 20 for number in range(20)}
UNTRAINED: dict[str, float | None] = dict.fromkeys(SCORES)

scores_of_a_run = st.dictionaries(st.text(min_size=1, max_size=8), st.floats(0, 1), max_size=60)


def work(item_id: str, title: str = "", **attributes: list[str]) -> Item:
    return Item(item_id, "demo", "https://example.com/", title or item_id, attributes=attributes)


def selected(
    scores: dict[str, float | None],
    *,
    threshold: float | None = 0.5,
    max_posts: int = 30,
    explored: int = 3,
    seed: str = "snapshots/a.json",
    before: int = 0,
) -> dict[str, Selected]:
    return select([work(item_id) for item_id in scores], scores, threshold, max_posts, explored, seed, before)


def choose(scores: dict[str, float | None], **options: object) -> dict[str, Choice]:
    found = selected(scores, **options)  # type: ignore[arg-type]  # as `selected` takes them
    return {item_id: each.choice for item_id, each in found.items()}


def of(choices: dict[str, Choice], choice: Choice) -> list[str]:
    return sorted(item_id for item_id, found in choices.items() if found == choice)


def shown(scores: dict[str, float | None], why: str, **options: object) -> list[str]:
    found = selected(scores, **options)  # type: ignore[arg-type]
    return sorted(item_id for item_id, each in found.items() if each.why == why)


def test_an_item_at_the_threshold_is_recommended() -> None:
    assert choose({"RJ1": 0.5, "RJ2": 0.499999}, explored=0) == {"RJ1": "recommended", "RJ2": "passed"}


def test_the_best_are_recommended_if_there_are_more_than_the_cap() -> None:
    choices = choose(SCORES, max_posts=3, explored=0)
    assert of(choices, "recommended") == ["RJ17", "RJ18", "RJ19"]


def test_a_circle_does_not_fill_the_morning() -> None:
    works = [work(f"RJ{number}", circle=["雨音工房"]) for number in range(8)] + [work("RJ8", circle=["月影"])]
    found = select(works, dict.fromkeys((each.item_id for each in works), 0.9), 0.5, 30, 0, "")
    circles = Counter(each.values("circle")[0] for each in works if found[each.item_id].choice == "recommended")
    assert circles == {"雨音工房": MOST_OF_A_CIRCLE, "月影": 1}


def test_of_three_explored_items_two_are_the_nearest_and_one_is_random() -> None:
    assert shown(SCORES, "uncertain") == ["RJ08", "RJ09"]
    assert len(shown(SCORES, "random")) == 1


def test_the_one_explored_item_is_the_random_one() -> None:
    assert (len(shown(SCORES, "random", explored=1)), shown(SCORES, "uncertain", explored=1)) == (1, [])


def test_the_uncertain_items_are_of_different_circles() -> None:
    works = [work("RJ1", circle=["雨音工房"]), work("RJ2", circle=["雨音工房"]), work("RJ3", circle=["月影"])]
    found = select(works, {"RJ1": 0.45, "RJ2": 0.44, "RJ3": 0.2}, 0.5, 30, 3, "")
    assert {item_id for item_id, each in found.items() if each.why == "uncertain"} == {"RJ1", "RJ3"}


def test_what_was_explored_earlier_that_day_counts() -> None:
    assert [len(of(choose(SCORES, before=before), "explored")) for before in (0, 2, 3, 5)] == [3, 1, 0, 0]


@pytest.mark.parametrize("threshold", [0.5, None])
def test_the_recorded_probability_is_how_often_an_item_is_drawn(threshold: float | None) -> None:
    scores = SCORES if threshold else UNTRAINED
    draws: Counter[str] = Counter()
    expected: Counter[str] = Counter()
    for number in range(3_000):
        for item_id, each in selected(scores, threshold=threshold, seed=str(number)).items():
            if each.why in {"random", "varied"}:
                draws[item_id] += 1
                expected[item_id] += 1 / each.probability  # type: ignore[assignment]
    if threshold:
        # the inverse probabilities of the drawn items add up to the number of items, on average
        assert sum(expected.values()) / 3_000 == pytest.approx(8, rel=0.05)
        assert draws.keys() == {f"RJ{number:02}" for number in range(8)}
    else:
        assert sum(expected.values()) / 3_000 == pytest.approx(len(scores), rel=0.05)
        assert draws.keys() == set(scores)


def test_low_scores_are_drawn_as_often_as_middling_ones_though_they_are_more() -> None:
    scores: dict[str, float | None] = {"MID": 0.3, **{f"LOW{number:02}": 0.01 for number in range(50)}}
    drawn = Counter(shown(scores, "random", explored=1, seed=str(number))[0] == "MID" for number in range(400))
    assert 0.4 < drawn[True] / 400 < 0.6


def test_without_a_taste_varied_items_are_shown() -> None:
    assert len(shown(UNTRAINED, "varied", threshold=None)) == FIRST_ITEMS
    assert shown(UNTRAINED, "varied", threshold=None, explored=0) == []


def test_varied_items_come_from_different_clusters() -> None:
    works = [
        work(f"{genre}{number}", f"{genre}の作品{number}", genres=[genre, f"{genre}系"])
        for genre in ("癒し", "怪談", "音楽", "朗読", "環境音")
        for number in range(6)
    ]
    for seed in range(20):
        clusters = varied(works, 5, Random(seed))  # noqa: S311
        assert sorted(len(cluster) for cluster in clusters) == [6] * 5
        assert all(len({each.values("genres")[0] for each in cluster}) == 1 for cluster in clusters)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_no_items_give_no_choices(threshold: float | None) -> None:
    assert choose({}, threshold=threshold) == {}


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_the_same_seed_gives_the_same_selection_in_whatever_order_the_items_come(threshold: float | None) -> None:
    scores = dict(list((UNTRAINED if threshold is None else SCORES).items())[7:12])
    expected = selected(scores, threshold=threshold)
    for order in permutations(scores):
        assert selected({item_id: scores[item_id] for item_id in order}, threshold=threshold) == expected


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
    known: dict[str, float | None], threshold: float, max_posts: int, explored: int, seed: str
) -> None:
    found = selected(known, threshold=threshold, max_posts=max_posts, explored=explored, seed=seed)
    over = [item_id for item_id, score in known.items() if (score or 0.0) >= threshold]
    choices = {item_id: each.choice for item_id, each in found.items()}
    recommended, tried = of(choices, "recommended"), of(choices, "explored")
    assert choices.keys() == known.keys()
    assert len(recommended) == min(max_posts, len(over))
    assert set(recommended) <= set(over)
    below = len(known) - len(over)
    assert min(explored, below) <= len(tried) <= min(explored, len(known) - len(recommended))
    assert all((each.probability > 0) == (each.choice != "passed") for each in found.values())
