"""The gate's two parts: the veto of a refit, and the evidence of nightly presses."""

from __future__ import annotations

import numpy as np
import pytest

from model.learning.train import Fitness
from trainer.gate import PROMOTE_AT, ROLL_BACK_AT, Evidence, veto

HEALTHY = Fitness(liked=60, disliked=140, brier=0.12, error=0.01, share=0.2)
DRAWS, NIGHTS, PRESSES = 200, 48, 8


def likely(rng: np.random.Generator) -> np.ndarray:
    """Return the true probabilities of a like of one night's posts: most are clear, as a good head posts them."""
    return rng.beta(0.6, 1.0, PRESSES)


def noisy(probabilities: np.ndarray, rng: np.random.Generator, spread: float = 0.1) -> np.ndarray:
    return np.clip(probabilities + rng.normal(0, spread, len(probabilities)), 0.01, 0.99)


def test_equal_heads_are_called_better_or_worse_in_at_most_one_of_twenty_draws() -> None:
    called = 0
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        worse, better, is_called = Evidence(), Evidence(), False
        for _ in range(NIGHTS):
            chances = likely(rng)
            labels = rng.random(PRESSES) < chances
            gains = (noisy(chances, rng) - labels) ** 2 - (noisy(chances, rng) - labels) ** 2
            worse, better = worse.after(gains), better.after(-gains)
            is_called |= worse.e >= ROLL_BACK_AT or better.e >= PROMOTE_AT
        called += is_called
    assert called <= 0.05 * DRAWS


def test_a_head_taught_with_flipped_labels_is_rolled_back_within_two_weeks() -> None:
    nights = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        worse = Evidence()
        for night in range(1, NIGHTS + 1):  # noqa: B007  # the last one counts
            chances = likely(rng)
            labels = rng.random(PRESSES) < chances
            # less sure and less right, by about what real heads lost with 30 % of their labels flipped (learning.md)
            flipped = noisy(0.3 + 0.4 * chances, rng, 0.25)
            worse = worse.after((flipped - labels) ** 2 - (noisy(chances, rng) - labels) ** 2)
            if worse.e >= ROLL_BACK_AT:
                break
        nights.append(night)
    assert np.mean(np.array(nights) < NIGHTS) >= 0.9
    assert np.median(nights) <= 14


def test_evidence_does_not_depend_on_how_the_items_are_divided_into_nights() -> None:
    gains = list(np.random.default_rng(1).normal(0.05, 0.2, 40))
    one_by_one = Evidence()
    for gain in gains:
        one_by_one = one_by_one.after([gain])
    assert one_by_one == Evidence().after(gains)


def test_one_item_cannot_decide() -> None:
    assert Evidence().after([0.1] * 10 + [1.0]).e < ROLL_BACK_AT


def test_a_refit_without_faults_passes() -> None:
    assert veto(HEALTHY, None) is None
    assert veto(HEALTHY, HEALTHY, flips=3) is None


@pytest.mark.parametrize(
    ("new", "flips", "why"),
    [
        (Fitness(0, 200, 0.12, 0.01, 0.0), 0, "all labels are of one kind"),
        (Fitness(200, 0, 0.12, 0.01, 1.0), 0, "all labels are of one kind"),
        (HEALTHY, 60, "60 of 200 labels say the opposite of before"),
        (Fitness(60, 140, 0.12, 0.01, 0.7), 0, "it would recommend 70% of the works, the present head 20%"),
        (Fitness(60, 140, 0.22, 0.012, 0.2), 0, "its Brier score on held-out labels is 0.220"),
    ],
)
def test_a_faulty_refit_is_vetoed_with_the_reason(new: Fitness, flips: int, why: str) -> None:
    assert why in (veto(new, HEALTHY, flips) or "")


def test_a_first_head_that_recommends_little_may_recommend_more_as_it_learns() -> None:
    few = Fitness(liked=15, disliked=45, brier=0.15, error=0.03, share=0.02)
    assert veto(Fitness(75, 225, 0.11, 0.012, 0.25), few) is None
