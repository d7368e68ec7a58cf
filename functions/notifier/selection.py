"""Chooses which of the new items to post."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from osusume.items import Item
from osusume.records import Choice, Why
from osusume.rules import Effect

MOST_OF_A_CIRCLE = 3
"""The most recommended items of one circle in a run; the others are passed."""

FIRST_ITEMS = 5
"""How many varied items are posted a day while there is no taste, if any are to be explored."""

_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Selected:
    """What happens to an item, why it is shown, and with which probability it was to be chosen."""

    choice: Choice
    why: Why
    probability: float


def select(
    items: Sequence[Item],
    scores: Mapping[str, float | None],
    threshold: float | None,
    max_posts: int,
    explored: int,
    seed: str,
    explored_before: int = 0,
    ruled: Mapping[str, Effect] = MappingProxyType({}),
    guesses: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Selected]:
    """Return for each item id what happens to the item.

    The best `max_posts` items with a score of at least `threshold` are recommended, at most `MOST_OF_A_CIRCLE` of one
    circle. Of the rest, `explored` are shown to learn from, less the `explored_before` of the same day: one drawn at
    random, in which every level of scores has the same chance, and the others nearest below the threshold, one a
    circle. Without a taste (`threshold` is None) the best of the `guesses` are recommended, within the same limits, and
    `FIRST_ITEMS` varied ones of the others are shown.

    The owner's rules come first: of the `ruled` items the wanted ones are recommended, within `max_posts`, and the
    muted ones are passed.

    The same arguments give the same selection, so that a run that is repeated chooses the same items again; `seed`
    makes the random ones differ from run to run.
    """
    random = Random(seed)  # noqa: S311  # chooses works to show, no secrets
    chosen = {item.item_id: Selected("passed", "", 0.0) for item in items}
    by_id = {item.item_id: item for item in items if item.item_id not in ruled}
    wanted = sorted((id_ for id_ in chosen if ruled.get(id_) == "wanted"), key=lambda id_: (-(scores[id_] or 0), id_))
    for item_id in chosen:
        if ruled.get(item_id) == "muted":
            chosen[item_id] = Selected("passed", "muted", 0.0)
    for item_id in wanted[:max_posts]:
        chosen[item_id] = Selected("recommended", "wanted", 1.0)
    max_posts = max(0, max_posts - len(wanted))
    if threshold is None:
        guessed = sorted(by_id.keys() & guesses.keys(), key=lambda item_id: (-guesses[item_id], item_id))
        for item in _of_few_circles([by_id[item_id] for item_id in guessed], max_posts, MOST_OF_A_CIRCLE):
            chosen[item.item_id] = Selected("recommended", "wished", 1.0)
            del by_id[item.item_id]
        count = max(0, max(explored, FIRST_ITEMS) - explored_before) if explored else 0
        for cluster in varied([by_id[item_id] for item_id in sorted(by_id)], count, random):
            chosen[random.choice(cluster).item_id] = Selected("explored", "varied", 1 / len(cluster))
        return chosen
    known = {item_id: score for item_id, score in scores.items() if score is not None and item_id in by_id}
    ranked = [by_id[item_id] for item_id in sorted(known, key=lambda item_id: (-known[item_id], item_id))]
    above = [item for item in ranked if known[item.item_id] >= threshold]
    for item in _of_few_circles(above, max_posts, MOST_OF_A_CIRCLE):
        chosen[item.item_id] = Selected("recommended", "recommended", 1.0)
    left = max(0, explored - explored_before)
    below = [item for item in ranked if known[item.item_id] < threshold]
    for item in _of_few_circles(below, left - 1 if explored > 1 else 0, 1):
        chosen[item.item_id] = Selected("explored", "uncertain", 1.0)
    rest = [item for item in ranked if chosen[item.item_id].choice == "passed"]
    if left and rest:
        levels: dict[int, list[str]] = {}
        for item in rest:
            level = sum(known[item.item_id] >= threshold * part / 3 for part in (1, 2, 3))
            levels.setdefault(level, []).append(item.item_id)
        level = random.choice(sorted(levels))
        drawn = random.choice(levels[level])
        chosen[drawn] = Selected("explored", "random", 1 / (len(levels) * len(levels[level])))
    return chosen


def varied(items: Sequence[Item], count: int, random: Random) -> list[list[Item]]:
    """Return the items in up to `count` clusters of similar fields and titles.

    The clusters are those of k-medoids: each medoid has the least sum of distances to its cluster (Kaufman and
    Rousseeuw, Clustering by means of medoids, 1987), beginning with items that are far from each other.
    """
    if count <= 0 or not items:
        return []
    features = [set(_features(item)) for item in items]
    everything = range(len(items))

    def distance(one: int, other: int) -> float:
        return 1 - len(features[one] & features[other]) / (len(features[one] | features[other]) or 1)

    medoids = [random.randrange(len(items))]
    nearest = [distance(medoids[0], index) for index in everything]
    while len(medoids) < min(count, len(items)):
        medoids.append(max((index for index in everything if index not in medoids), key=lambda index: nearest[index]))
        nearest = [min(nearest[index], distance(medoids[-1], index)) for index in everything]
    clusters: dict[int, list[int]] = {}
    for _ in range(_ROUNDS):
        clusters = {medoid: [medoid] for medoid in medoids}
        for index in everything:
            if index not in clusters:
                clusters[min(medoids, key=lambda medoid: distance(medoid, index))].append(index)
        moved = [min(rows, key=lambda one: sum(distance(one, row) for row in rows)) for rows in clusters.values()]
        if moved == medoids:
            break
        medoids = moved
    return [[items[row] for row in rows] for rows in clusters.values()]


def _of_few_circles(items: Sequence[Item], most: int, of_a_circle: int) -> Iterator[Item]:
    """Yield the first `most` items, at most so many of one circle; an item without a circle counts for none."""
    taken: Counter[str] = Counter()
    count = 0
    for item in items:
        circle = next(iter(item.values("circle")), "")
        if count < most and (not circle or taken[circle] < of_a_circle):
            taken[circle] += 1
            count += 1
            yield item


def _features(item: Item) -> Iterator[str]:
    for name in item.attributes:
        yield from (f"{name}\t{value}" for value in item.values(name))
    title = item.title.casefold()
    yield from (title[start : start + 2] for start in range(len(title) - 1))
