"""The gate: decides whether a new head may be used, and whether the head in use must go.

A refit on more labels is promoted unless `veto` names a fault. Every night, `Evidence` compares two heads on the works
that were pressed since both heads were fixed. It is an anytime-valid test by betting: under the hypothesis that the
first head is no better than the second, its value exceeds `1 / a` with a probability of at most `a`, however often one
looks (Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 2024; Ville 1939).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from model.learning.train import Fitness

ROLL_BACK_AT = 5.0
"""The evidence that the head in use is worse than the previous one at which it is rolled back."""

PROMOTE_AT = 20.0
"""The evidence that a head of another recipe is better at which it is promoted."""

CLIP = 0.5
"""Differences of Brier scores beyond this count as this, so that one item cannot decide."""

MARGIN = 0.02
"""A head must be better by more than this mean difference of Brier scores.

Two heads are never quite equal, and the present head chose the works: without a margin such small things decide.
"""

_MOST_STAKED = 0.5
_DOUBT = 40
"""The first stakes are as low as if so many items without a mean difference had been seen before."""

MOST_FLIPS = 0.1
_FEW_FLIPS = 5
LARGEST_GROWTH = 3.0
_SMALL_SHARE = 0.1
_CLEARLY = 3.0
"""Standard errors between two Brier scores that are clearly different."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence, so far, that one head is clearly better than another; an e-value is at least 0 and begins at 1."""

    log_e: float = 0.0
    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def e(self) -> float:
        """The e-value."""
        return math.exp(min(self.log_e, 700.0))

    @property
    def is_no_worse(self) -> bool:
        """Whether the mean difference of Brier scores does not speak against it."""
        return self.total + self.count * MARGIN / CLIP >= 0.0

    def after(self, gains: Iterable[float]) -> Evidence:
        """Return the evidence after more items; a gain is the loss of the other head less that of the better one.

        Losses are Brier scores, from 0 to 1. The stake of an item depends only on the items before it.

        >>> round(Evidence().after([0.3] * 20).e, 1)
        33.4
        """
        log_e, count, total, squares = self.log_e, self.count, self.total, self.squares
        for gain in gains:
            x = max(-CLIP, min(CLIP, gain - MARGIN)) / CLIP
            mean, square = total / (count + _DOUBT), (squares + _DOUBT / 4) / (count + _DOUBT)
            stake = max(0.0, min(_MOST_STAKED, mean / square))
            log_e += math.log1p(stake * x)
            count, total, squares = count + 1, total + x, squares + x * x
        return Evidence(log_e, count, total, squares)


def veto(new: Fitness, present: Fitness | None, flips: int = 0) -> str | None:
    """Return why a new head must not be used, None if it may.

    `flips` is the number of labels that say the opposite of what the present head learned from. Without a present head
    only the new head's own labels count.
    """
    if not new.liked or not new.disliked:
        return "all labels are of one kind"
    if present is None:
        return None
    labels = present.liked + present.disliked
    if flips > max(_FEW_FLIPS, MOST_FLIPS * labels):
        return f"{flips} of {labels} labels say the opposite of before"
    if new.share > LARGEST_GROWTH * max(present.share, _SMALL_SHARE):
        return f"it would recommend {new.share:.0%} of the works, the present head {present.share:.0%}"
    if new.brier - present.brier > _CLEARLY * math.hypot(new.error, present.error):
        return f"its Brier score on held-out labels is {new.brier:.3f}, the present head's {present.brier:.3f}"
    return None
