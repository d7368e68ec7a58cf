"""Which of the new items to post."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from osusume.ledger import Choice


def select(
    scores: Mapping[str, float | None], threshold: float | None, max_posts: int, explored: int, seed: str
) -> dict[str, Choice]:
    """Return a choice for each item id of `scores`.

    Recommended are the best `max_posts` items with a score of at least `threshold`. Explored are `explored` of those
    under it, since shown items alone teach little: the ones nearest to the threshold, of which the model is least sure,
    and one at random, of which it may be wrongly sure. Where there is no taste yet (`threshold` is None) nothing is
    recommended and the explored ones are all random.

    The same arguments give the same choices, so that a run that is repeated chooses the same items again; `seed` makes
    the random ones differ from run to run.

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
        # the best of those under the threshold are the nearest to it
        under = [item_id for item_id in ranked if known[item_id] < threshold]
        uncertain = under[: explored if explored == 1 else max(explored - 1, 0)]
        rest = sorted(set(under) - set(uncertain))
        chosen = uncertain + random.sample(rest, min(explored - len(uncertain), len(rest)))
    choices: dict[str, Choice] = dict.fromkeys(scores, "passed")
    choices |= dict.fromkeys(recommended, "recommended")
    choices |= dict.fromkeys(chosen, "explored")
    return choices
