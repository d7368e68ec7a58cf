"""Which of the new items to post."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from osusume.ledger import Choice


def select(
    scores: Mapping[str, float | None], threshold: float | None, max_posts: int, explored: int, seed: str
) -> dict[str, Choice]:
    """Return a choice for each item id of `scores`.

    Recommended are the best `max_posts` items with a score of at least `threshold`. Explored are `explored` items below
    it, because recommended items alone teach little: those nearest to the threshold, about which the model is least
    sure, and a random one, about which it may be wrongly sure. If there is no taste yet (`threshold` is None), nothing
    is recommended and all explored items are random.

    The same arguments give the same choices, so that a repeated run chooses the same items; `seed` makes the random
    ones differ between runs.

    >>> select({"a": 0.9, "b": 0.2, "c": 0.4}, threshold=0.5, max_posts=30, explored=1, seed="")
    {'a': 'recommended', 'b': 'passed', 'c': 'explored'}
    """
    random = Random(seed)  # noqa: S311  # chooses works to show, no secrets
    if threshold is None:
        recommended: list[str] = []
        chosen = random.sample(sorted(scores), min(explored, len(scores)))
    else:
        known = {item_id: score for item_id, score in scores.items() if score is not None}
        ranked = sorted(known, key=lambda item_id: (-known[item_id], item_id))
        recommended = [item_id for item_id in ranked if known[item_id] >= threshold][:max_posts]
        # the best below the threshold are the nearest to it
        under = [item_id for item_id in ranked if known[item_id] < threshold]
        uncertain = under[: explored if explored == 1 else max(explored - 1, 0)]
        rest = sorted(set(under) - set(uncertain))
        chosen = uncertain + random.sample(rest, min(explored - len(uncertain), len(rest)))
    choices: dict[str, Choice] = dict.fromkeys(scores, "passed")
    choices |= dict.fromkeys(recommended, "recommended")
    choices |= dict.fromkeys(chosen, "explored")
    return choices
