"""Confidence sequences: intervals that hold in every week at once, however often the owner looks.

For draws X with conditional means m, predictions x of them made before, and ranges c known before, the product of
exp(a (X - m) - psi(a) (X - x)^2), psi(a) = (-log(1 - c a) - c a) / c^2, is a supermartingale for 0 <= a < 1/c (Fan,
Grama and Liu, Exponential inequalities for martingales with applications, 2015; Howard, Ramdas, McAuliffe and Sekhon,
Time-uniform, nonparametric, nonasymptotic confidence sequences, 2021). So is a mixture over several a, and by Ville's
inequality it exceeds 2 / alpha with a probability of at most alpha / 2. The means may change from draw to draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

ALPHA = 0.05
"""The probability that an interval ever leaves out the truth is at most this."""

_STEPS = [0.9 / 2**step for step in range(14)]
_NEAR = 1e-6


@dataclass(frozen=True, slots=True)
class Draw:
    """One observed value from 0 to `most`, which was known before; `most` is at least 1."""

    value: float
    most: float


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of the draws' means: its estimate, the sum of the values, and its confidence interval."""

    value: float
    low: float
    high: float
    draws: int


def total(draws: Iterable[Draw]) -> Total:
    """Return the sum of the means of the draws, with an interval that holds after every draw at once.

    >>> found = total([Draw(1.0, 1.0), Draw(0.0, 1.0)] * 100)
    >>> found.value, round(found.low), round(found.high)
    (100.0, 70, 130)
    """
    seen = list(draws)
    predicted = _predictions(seen)
    largest = max((draw.most for draw in seen), default=1.0)
    # a step that is too large for one draw is given up, with its share of the mixture
    usable = [step for step in _STEPS if step * largest < 1]
    variances = [
        sum(
            (-math.log1p(-draw.most * step) - draw.most * step) * ((draw.value - guess) / draw.most) ** 2
            for draw, guess in zip(seen, predicted, strict=True)
        )
        for step in usable
    ]
    least = math.log(2 / ALPHA) + math.log(len(_STEPS))

    def exceeds(deviation: float) -> bool:
        terms = [step * deviation - variance for step, variance in zip(usable, variances, strict=True)]
        top = max(terms)
        return bool(top + math.log(sum(math.exp(term - top) for term in terms)) >= least)

    value, bound = sum(draw.value for draw in seen), sum(draw.most for draw in seen)
    reach = _least(exceeds, bound) if usable else bound
    return Total(value, max(0.0, value - reach), max(value, min(bound, value + reach)), len(seen))


def _predictions(draws: list[Draw]) -> list[float]:
    """Return for each draw the value expected from those before it, as a share of its own range."""
    predicted, value, most = [], 0.5, 1.0
    for draw in draws:
        predicted.append(draw.most * value / most)
        value, most = value + draw.value, most + draw.most
    return predicted


def _least(exceeds: Callable[[float], bool], most: float) -> float:
    """Return by bisection the least deviation up to `most` that exceeds the bound."""
    low, high = 0.0, most
    if not exceeds(high):
        return most
    while high - low > _NEAR * max(1.0, high):
        middle = (low + high) / 2
        low, high = (low, middle) if exceeds(middle) else (middle, high)
    return high
