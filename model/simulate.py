"""Simulates owners who press for weeks: how well the loop learns, beside loops without one of its parts.

The loop is that of the functions: `notifier.selection` selects, `trainer.night` refits and decides. Only the owner, the
shop and the stores are simulated. All loops of a seed see the same works on the same days, and the owner would press
the same way on the same work.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from random import Random
from typing import Any

import numpy as np
from scipy.special import stdtrit
from sklearn.feature_extraction.text import TfidfVectorizer

from model.learning.embeddings import KnownEmbeddings
from model.learning.examples import Example
from model.learning.train import Recent, Strengths, Trained, search_strengths, train
from model.serving import features
from model.serving.features import View
from model.serving.head import Head
from model.serving.text import KEYWORDS, ORDER, compose
from notifier.selection import select
from osusume.errors import UserError
from osusume.items import Item
from osusume.records import Record
from trainer.night import DAY, RECENT_DAYS, Day, Press, State, learn

LOOPS = ("ours", "frozen", "no exploration", "random", "all labels")
"""Ours; ours until 100 labels and then no more; ours without explored works; works drawn by lot; and a head that knows
the label of every earlier work, posted or not."""

FROZEN_AT = 100
LAST_DAYS = 20
EXPLORED = 3
MAX_POSTS = 30
STEP_DAYS = 5
"""The days of one point of a curve. As often the head that knows all labels is trained anew."""


@dataclass(frozen=True, slots=True)
class Owner:
    """How the simulated owner presses: with which probability liked and disliked posts, and how often wrongly."""

    liked: float = 1.0
    disliked: float = 1.0
    flip: float = 0.0

    @classmethod
    def parse(cls, text: str, flip: float = 0.0) -> Owner:
        """Return the owner that `full` or `LIKED/DISLIKED`, such as `.8/.15`, describes. Raises `UserError`."""
        try:
            liked, disliked = (1.0, 1.0) if text == "full" else map(float, text.split("/"))
        except ValueError:
            raise UserError(f"--presses must be full or two probabilities such as .8/.15, not {text!r:.40}") from None
        if not all(0 <= share <= 1 for share in (liked, disliked, flip)):
            raise UserError("probabilities must lie between 0 and 1")
        return cls(liked, disliked, flip)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate; from the day `change_at` on the owner likes other works, an unwanted post costs `cost`."""

    days: int = 60
    per_day: int = 25
    rate: float = 0.25
    owner: Owner = field(default_factory=Owner)
    change_at: int | None = None
    cost: float = 0.5

    def checked(self) -> Plan:
        """Return the plan. Raises `UserError` if a value is out of range."""
        if not 0 < self.rate < 1:
            raise UserError(f"--rate must lie between 0 and 1, not {self.rate:g}")
        if not self.cost > 0:
            raise UserError(f"--cost must be above 0, not {self.cost:g}")
        if self.change_at is not None and self.change_at >= self.days:
            raise UserError(f"--change-at must lie before day {self.days}, not {self.change_at}")
        return self


@dataclass(frozen=True, slots=True)
class Figures:
    """How one loop did on some days; all but F1, precision and recall are means a day.

    They hold for all works of a day, since all are labelled here. `utility` counts a recommended work as 1 if it is
    liked and as minus the cost if not; explored works are counted in `explored` alone.
    """

    utility: float
    precision: float
    recall: float
    f1: float
    recommended: float
    explored: float
    presses: float


@dataclass(slots=True)
class _Days:
    recommended: list[int] = field(default_factory=list)
    hits: list[int] = field(default_factory=list)
    liked: list[int] = field(default_factory=list)
    explored: list[int] = field(default_factory=list)
    presses: list[int] = field(default_factory=list)

    def figures(self, cost: float, first: int, last: int) -> Figures:
        """Return the figures of the days from `first` to before `last`."""
        parts = (self.recommended, self.hits, self.liked, self.explored, self.presses)
        chosen, hits, liked, explored, presses = (sum(part[first:last]) for part in parts)
        days = max(len(self.liked[first:last]), 1)
        return Figures(
            utility=(hits - cost * (chosen - hits)) / days,
            precision=hits / chosen if chosen else 0.0,
            recall=hits / liked if liked else 0.0,
            f1=2 * hits / (chosen + liked) if chosen + liked else 0.0,
            recommended=chosen / days,
            explored=explored / days,
            presses=presses / days,
        )


@dataclass(frozen=True, slots=True)
class Simulated:
    """One loop under one seed: its figures over the last days, by five days, and around the change of taste.

    `decisions` counts what the gate decided.
    """

    loop: str
    seed: int
    last: Figures
    curve: list[Figures]
    before_change: Figures | None
    after_change: Figures | None
    decisions: dict[str, int]


def simulate(
    examples: Sequence[Example],
    plan: Plan,
    seeds: Sequence[int],
    *,
    loops: Sequence[str] = LOOPS,
    encoder: KnownEmbeddings | None = None,
    processes: int = 1,
    advance: Callable[[float], None] = lambda _share: None,
) -> list[Simulated]:
    """Return each loop under each seed. Raises `UserError` if the examples are too few for one day."""
    for seed in seeds:
        _stream(examples, plan, seed)  # tells what is wrong before any work
    tasks = [(loop, seed) for seed in seeds for loop in loops]
    found: dict[tuple[str, int], Simulated] = {}
    run = partial(_simulated, examples, plan, encoder)
    if processes == 1:
        for number, task in enumerate(tasks, 1):
            found[task] = run(*task)
            advance(number / len(tasks))
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            # the longest first
            futures = {pool.submit(run, *task): task for task in sorted(tasks, key=lambda task: LOOPS.index(task[0]))}
            for number, future in enumerate(as_completed(futures), 1):
                found[futures[future]] = future.result()
                advance(number / len(tasks))
    return [found[task] for task in tasks]


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean over seeds and its 95 % interval by Student's t, as wide as can be for a single seed."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("-inf"), float("inf")
    half = float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def _stream(examples: Sequence[Example], plan: Plan, seed: int) -> list[list[Example]]:
    """Return the works of each day in random order, of which about the share `rate` is liked."""
    random = Random(seed)  # noqa: S311  # a simulation
    kinds = {kind: [each for each in examples if each.is_interested is kind] for kind in (True, False)}
    for kind in kinds.values():
        random.shuffle(kind)
    wanted = plan.days * plan.per_day
    liked = min(wanted * plan.rate, len(kinds[True]), len(kinds[False]) * plan.rate / max(1 - plan.rate, 1e-9))
    others = min(wanted - liked, len(kinds[False]), liked * (1 - plan.rate) / max(plan.rate, 1e-9))
    stream = [*kinds[True][: round(liked)], *kinds[False][: round(others)]]
    random.shuffle(stream)
    per_day = min(plan.per_day, len(stream) // plan.days)
    if per_day < 1:
        raise UserError(
            f"{len(examples)} items are too few for {plan.days} days at a rate of {plan.rate:g}: give more, or --days"
        )
    return [stream[day * per_day : (day + 1) * per_day] for day in range(plan.days)]


def _tastes(stream: Sequence[Sequence[Example]], plan: Plan, seed: int) -> dict[str, bool]:
    """Return which works the owner likes on the day they appear.

    After a change of taste these are the works most like one drawn from those not liked so far, as many as before.
    """
    likes = {each.item.item_id: each.is_interested for day in stream for each in day}
    if plan.change_at is None:
        return likes
    everything = [each for day in stream for each in day]
    random = Random(seed)  # noqa: S311  # a simulation
    centre = random.choice([row for row, each in enumerate(everything) if not each.is_interested])
    texts = [compose(each.item, (), ()) for each in everything]
    rows = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), min_df=2, sublinear_tf=True).fit_transform(texts)
    nearness = (rows @ rows[centre].T).toarray().ravel()
    number = sum(likes.values())
    nearest = {everything[row].item.item_id for row in np.argsort(-nearness, kind="stable")[:number]}
    for day in stream[plan.change_at :]:
        for each in day:
            likes[each.item.item_id] = each.item.item_id in nearest
    return likes


class _MemoryWorkshop:
    """The heads of one simulation, in memory; a `Workshop` of `trainer.night`."""

    def __init__(self, cost: float, encoder: KnownEmbeddings | None) -> None:
        self._cost = cost
        self._encoder = encoder
        self.has_encoder = encoder is not None
        self.heads: dict[str, Head] = {}

    def fit(
        self,
        examples: Sequence[Example],
        recent: Sequence[Recent],
        fresh: Collection[str],
        strengths: Strengths,
    ) -> Trained:
        return train(
            examples,
            encoder=self._encoder,
            recent=recent,
            fresh=fresh,
            strengths=strengths,
            cost=self._cost,
            least=2,
        )

    def search(self, examples: Sequence[Example]) -> Strengths:
        return search_strengths(examples, encoder=self._encoder)

    def scores(self, version: str, items: Sequence[Item]) -> list[float]:
        return self.scored_by(self.heads[version], items)

    def scored_by(self, head: Head, items: Sequence[Item]) -> list[float]:
        texts = [compose(item, ORDER, KEYWORDS) for item in items]
        rows = np.zeros((len(items), 0), dtype=np.float32) if self._encoder is None else self._encoder.embed(texts)
        return [float(score) for score in head.scores(rows, items)]

    def knowing_all(self, past: Sequence[Sequence[Example]], tastes: dict[str, bool]) -> Head | None:
        examples = [Example(each.item, tastes[each.item.item_id]) for day in past for each in day]
        if len({each.is_interested for each in examples}) < 2:
            return None
        usual = Strengths.usual(len(examples), self._encoder.dimensions if self._encoder else 0)
        return train(examples, encoder=self._encoder, strengths=usual, cost=self._cost, least=2).head

    def keep(self, trained: Trained, *, is_first_guess: bool) -> str:  # noqa: ARG002  # the simulated owner does not read it
        version = f"v{len(self.heads) + 1}"
        self.heads[version] = trained.head
        return version


def _simulated(
    examples: Sequence[Example], plan: Plan, encoder: KnownEmbeddings | None, loop: str, seed: int
) -> Simulated:
    stream = _stream(examples, plan, seed)
    tastes = _tastes(stream, plan, seed)
    with _remembered_ngrams():
        days, decisions = _run(loop, stream, tastes, plan, encoder, seed)
    last = len(stream)
    change = plan.change_at
    return Simulated(
        loop,
        seed,
        days.figures(plan.cost, max(0, last - LAST_DAYS), last),
        [days.figures(plan.cost, first, first + STEP_DAYS) for first in range(0, last, STEP_DAYS)],
        None if change is None else days.figures(plan.cost, max(0, change - 10), change),
        None if change is None else days.figures(plan.cost, change + 10, change + 20),
        decisions,
    )


def _run(
    loop: str,
    stream: Sequence[Sequence[Example]],
    tastes: dict[str, bool],
    plan: Plan,
    encoder: KnownEmbeddings | None,
    seed: int,
) -> tuple[_Days, dict[str, int]]:
    random = Random(f"{loop} {seed}")  # noqa: S311  # a simulation
    workshop, state, days = _MemoryWorkshop(plan.cost, encoder), State(), _Days()
    presses: dict[str, Press] = {}
    items: dict[str, Item] = {}
    recent: list[Record] = []
    decisions: dict[str, int] = {}
    everything: Head | None = None
    for number, today in enumerate(stream):
        now = number * DAY
        works = [each.item for each in today]
        if loop == "random":
            drawn = set(random.sample(range(len(works)), min(len(works), max(1, round(plan.rate * len(works))))))
            records = [_record(item, row in drawn, now) for row, item in enumerate(works)]
        elif loop == "all labels":
            if number % STEP_DAYS == 0:
                everything = workshop.knowing_all(stream[:number], tastes) or everything
            records = _posted(works, workshop, everything, "all labels", 0, now, seed)
        else:
            head = workshop.heads.get(state.version or "")
            explored = 0 if loop == "no exploration" and head else EXPLORED
            records = _posted(works, workshop, head, state.version or "", explored, now, seed)
        pressed = _presses(records, tastes, plan.owner, seed, now) if loop not in {"random", "all labels"} else {}
        _count(days, records, tastes, len(pressed))
        presses |= pressed
        items |= {item.item_id: item for item in works}
        recent = [record for record in [*recent, *records] if record.recorded_at > now - RECENT_DAYS * DAY]
        if loop in {"random", "all labels"} or (loop == "frozen" and state.version and len(presses) > FROZEN_AT):
            continue
        outcome = learn(Day(presses, items, recent, now + DAY / 2), state, workshop)
        state = outcome.state
        if outcome.action:
            decisions[outcome.action] = decisions.get(outcome.action, 0) + 1
    return days, decisions


def _posted(
    works: Sequence[Item],
    workshop: _MemoryWorkshop,
    head: Head | None,
    version: str,
    explored: int,
    now: float,
    seed: int,
) -> list[Record]:
    scores = dict.fromkeys((item.item_id for item in works), None) if head is None else {}
    if head is not None:
        scores = dict(zip((item.item_id for item in works), workshop.scored_by(head, works), strict=True))
    threshold = None if head is None else head.threshold
    selected = select(works, scores, threshold, MAX_POSTS, explored, f"{seed} {now}")
    records = [
        Record(
            item,
            selected[item.item_id].choice,
            snapshot=str(now),
            recorded_at=now,
            score=scores[item.item_id],
            model_version=version,
            status="posted",
            why=selected[item.item_id].why,
            probability=selected[item.item_id].probability,
        )
        for item in works
    ]
    # recommended ones first and the best of them first, as they stand in the channel
    records.sort(key=lambda record: (record.choice != "recommended", -(record.score or 0.0)))
    return [
        replace(record, ts=None if record.choice == "passed" else f"{now + place:020.6f}")
        for place, record in enumerate(records)
    ]


def _record(item: Item, is_chosen: bool, now: float) -> Record:  # what is drawn
    return Record(item, "recommended" if is_chosen else "passed", snapshot=str(now), recorded_at=now)


def _presses(
    records: Sequence[Record], tastes: dict[str, bool], owner: Owner, seed: int, now: float
) -> dict[str, Press]:
    found = {}
    for record in records:
        item_id = record.item.item_id
        random = Random(f"{seed} {item_id}")  # noqa: S311  # the same for every loop
        likes = tastes[item_id] is not (random.random() < owner.flip)
        if record.ts and random.random() < (owner.liked if likes else owner.disliked):
            found[item_id] = Press(likes, now + DAY / 4)
    return found


def _count(days: _Days, records: Sequence[Record], tastes: dict[str, bool], presses: int) -> None:
    recommended = [record for record in records if record.choice == "recommended"]
    days.recommended.append(len(recommended))
    days.hits.append(sum(tastes[record.item.item_id] for record in recommended))
    days.liked.append(sum(tastes[record.item.item_id] for record in records))
    days.explored.append(sum(record.choice == "explored" for record in records))
    days.presses.append(presses)


@contextmanager
def _remembered_ngrams() -> Iterator[None]:
    """Count the n-grams of each item only once: a simulation trains on the same items hundreds of times."""
    counted = View.ngrams
    memory: dict[tuple[View, str], Any] = {}

    def remembered(view: View, item: Item) -> Any:
        key = view, item.item_id
        if key not in memory:
            memory[key] = counted(view, item)
        return memory[key]

    features.View.ngrams = remembered  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        features.View.ngrams = counted  # type: ignore[method-assign]


def to_json(plan: Plan, results: Sequence[Simulated]) -> dict[str, Any]:
    """Return the results as plain JSON values, with the plan they belong to."""
    return {"plan": asdict(plan), "results": [asdict(result) for result in results]}
