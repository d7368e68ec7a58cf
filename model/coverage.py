"""How often the weekly report's intervals hold, over simulated owners."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from notifier.selection import select
from osusume.items import Item
from osusume.labels import Label
from osusume.records import Record
from trainer.report import liked_share, missed

_DAYS = 7
_THRESHOLD, _MOST_POSTS, _EXPLORED = 0.35, 30, 3


def held(owner: int, weeks: int, per_day: int) -> tuple[bool, bool]:
    """Return whether one owner's intervals held in every week: of what was missed, and of the liked recommendations.

    An owner likes between 5 and 40 % of the works, and the scores are wrong by a shift of their own that drifts from
    week to week. Selection and estimates are those of the functions; every post is pressed.
    """
    random = Random(owner)  # noqa: S311  # simulates, no secrets
    rate, shift = random.uniform(0.05, 0.4), random.uniform(-0.2, 0.2)
    records: list[Record] = []
    labels: dict[str, Label] = {}
    not_shown = expected = 0.0
    kept = [True, True]
    for day in range(weeks * _DAYS):
        if day % _DAYS == 0:
            shift += random.uniform(-0.05, 0.05)
        items = [Item(f"{day}-{number}", "simulated", "", "-") for number in range(per_day)]
        chances = {item.item_id: random.betavariate(4 * rate, 4 * (1 - rate)) for item in items}
        scores = {item_id: min(max(chance + shift, 0.0), 1.0) for item_id, chance in chances.items()}
        likes = {item_id: random.random() < chance for item_id, chance in chances.items()}
        selected = select(items, dict(scores), _THRESHOLD, _MOST_POSTS, _EXPLORED, f"{owner}-{day}")
        for item in items:
            chosen, item_id = selected[item.item_id], item.item_id
            if chosen.choice == "passed" or chosen.why == "random":
                not_shown += likes[item_id]
            if chosen.choice == "passed":
                continue
            expected += chances[item_id] if chosen.why == "recommended" else 0.0
            why, score = chosen.why, scores[item_id]
            records.append(Record(item, chosen.choice, "s", float(day), score, why=why, probability=chosen.probability))
            labels[item_id] = Label(item_id, likes[item_id], "U1", f"{day}.5", "")
        if day % _DAYS == _DAYS - 1:
            found, liked = missed(records, labels), liked_share(records, labels)
            kept[0] &= found.low <= not_shown <= found.high
            kept[1] &= liked.low <= expected <= liked.high
    return kept[0], kept[1]


def coverage(
    owners: int, weeks: int, per_day: int, advance: Callable[[float], None] = lambda _share: None
) -> tuple[float, float]:
    """Return the share of owners whose intervals held in every week at once: missed works, liked recommendations."""
    results = []
    for owner in range(owners):
        results.append(held(owner, weeks, per_day))
        advance((owner + 1) / owners)
    return sum(each[0] for each in results) / owners, sum(each[1] for each in results) / owners
