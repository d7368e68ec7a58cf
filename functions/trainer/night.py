"""One night of learning: what the new presses say about the heads in use, a refit, and the gate's decision.

It knows no store: the trainer and `python -m model simulate` call it with what they have.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from model.learning.examples import Example
from model.learning.train import Fitness, Recent, Strengths, Trained
from osusume.errors import UserError
from osusume.items import Item
from osusume.records import Action, Record
from trainer.gate import PROMOTE_AT, ROLL_BACK_AT, Evidence, veto

RECIPE = 1
"""Changes whenever features or the rule of the threshold change: then the new heads must first prove better."""

DAY = 86_400.0
RECENT_DAYS = 30
"""The gate compares how many works of so many days heads recommend, and only their posts can be silent."""

SEARCH_SECONDS = 7 * DAY
"""Strengths are searched on the labels from before the week of the last press, and again only if those change."""

REFERENCE_SECONDS = 7 * DAY
LONGEST_COMPARISON = 28 * DAY
_SURPRISE = 4.0

LEAST_LABELS = 20
LEAST_LABELS_WITH_ENCODER = 10


@dataclass(frozen=True, slots=True)
class Press:
    """The label of one item: 1 or 0, or None if the owner has it or cannot say; `at` is in seconds since the epoch."""

    is_interested: bool | None
    at: float


@dataclass(frozen=True, slots=True)
class Day:
    """What is known before a night: presses and their items by id, and the records of the last weeks' items."""

    presses: Mapping[str, Press]
    items: Mapping[str, Item]
    recent: Sequence[Record] = ()
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """What the trainer remembers from night to night.

    `version` is the head in use, `learned` the labels that it learned from. `reference` is the head that it is compared
    with, since `reference_since`. `searched` is a hash of the labels on which the strengths were searched. Labels from
    before `taste_since` count less. While `comparing`, the head in use
    stays, and `challenger` is the newest refit.
    """

    recipe: int = RECIPE
    digest: str = ""
    judged_until: float = 0.0
    version: str | None = None
    fitness: Fitness | None = None
    learned: Mapping[str, int] = field(default_factory=dict)
    reference: str | None = None
    reference_since: float = 0.0
    worse: Evidence = field(default_factory=Evidence)
    comparing: bool = False
    comparing_since: float = 0.0
    challenger: str | None = None
    challenger_since: float = 0.0
    better: Evidence = field(default_factory=Evidence)
    strengths: Strengths = field(default_factory=Strengths)
    searched: str = ""
    taste_since: float | None = None
    decision: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> State:
        """Return the state that `value` describes. Raises `UserError` for one that this code did not write."""
        try:
            fields = {name: part for name, part in value.items() if name != "searched_at"}  # of earlier versions
            fitness = fields.pop("fitness")
            return cls(
                fitness=fitness and Fitness(**fitness),
                worse=Evidence(**fields.pop("worse")),
                better=Evidence(**fields.pop("better")),
                strengths=Strengths(**fields.pop("strengths")),
                **fields,
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise UserError(f"the trainer's state cannot be read ({error}): delete it to start anew") from error


class Workshop(Protocol):
    """How heads are made and tried."""

    @property
    def has_encoder(self) -> bool:
        """Whether heads look at an embedding too: then fewer labels are enough for the first one."""

    def fit(
        self,
        examples: Sequence[Example],
        recent: Sequence[Recent],
        fresh: Collection[str],
        strengths: Strengths,
    ) -> Trained:
        """Return a head trained as by `model.learning.train`. Raises `UserError`."""

    def search(self, examples: Sequence[Example]) -> Strengths:
        """Return the best strengths for these examples, as `model.learning.train.search_strengths` does."""

    def scores(self, version: str, items: Sequence[Item]) -> Sequence[float]:
        """Return the scores of items by a stored head."""

    def keep(self, trained: Trained, *, is_first_guess: bool) -> str:
        """Store a head and return its version."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a night decided: the new state, whose `version` is to be used, and the decision as one sentence.

    `action` is None if there was nothing new.
    """

    action: Action | None
    sentence: str
    state: State
    labels: int = 0
    liked: int = 0


def learn(day: Day, state: State, workshop: Workshop, *, accept: bool = False) -> Outcome:
    """Return what one night decides; call it again with the same arguments and it decides the same.

    `accept` passes over a veto and over a comparison, because the owner asked for it.
    """
    digest = _digest(day)
    if digest == state.digest and not accept:
        return Outcome(None, "Nothing was pressed since the last refit.", state)
    examples = [
        Example(day.items[item_id], press.is_interested)
        for item_id, press in sorted(day.presses.items())
        if press.is_interested is not None and item_id in day.items
    ]
    action, sentence, state = _decided(day, replace(state, digest=digest), workshop, examples, accept=accept)
    return Outcome(action, sentence, state, len(examples), sum(example.is_interested for example in examples))


def silent_items(day: Day) -> list[Item]:
    """Return the posted items that the owner surely saw and did not press.

    They pressed another item of the same snapshot, so they looked at it, and an item that was posted later, so they got
    past it. Which items they passed over on a day without any press is not known.
    """
    pressed = [record for record in day.recent if record.ts and record.item.item_id in day.presses]
    visited = {record.snapshot for record in pressed}
    last = max((record.ts or "" for record in pressed), default="")
    return [
        record.item
        for record in day.recent
        if record.ts
        and record.why not in {"wanted", "wished"}  # the owner asked for it, whatever it is
        and record.item.item_id not in day.presses
        and record.snapshot in visited
        and record.ts < last
    ]


def changed_at(day: Day) -> float | None:
    """Return since when the presses contradict the scores more than the scores claim, None if they do not.

    A score p claims an expected Brier score of p (1 - p). A change of taste is where the excess of the presses since
    then is the most standard errors, and at least `_SURPRISE`.
    """
    scores = {record.item.item_id: record.score for record in day.recent}
    excess = variance = greatest = 0.0
    found = None
    for item_id, press in sorted(day.presses.items(), key=lambda pair: -pair[1].at):
        score = scores.get(item_id)
        if press.is_interested is None or score is None:
            continue
        claimed = score * (1 - score)
        excess += (score - press.is_interested) ** 2 - claimed
        variance += claimed * (1 - 2 * score) ** 2
        surprise = excess / math.sqrt(max(variance, 1.0))
        if surprise > greatest:
            greatest, found = surprise, press.at
    return found if greatest >= _SURPRISE else None


def _compared(day: Day, state: State, workshop: Workshop) -> tuple[State, bool]:
    """Return the state with the evidence of the new presses, and whether the head in use proved worse."""
    new = [
        record
        for record in sorted(day.recent, key=lambda record: (record.recorded_at, record.item.item_id))
        if record.score is not None
        and (press := day.presses.get(record.item.item_id)) is not None
        and press.is_interested is not None
        and press.at > state.judged_until
    ]
    latest = max((press.at for press in day.presses.values()), default=0.0)
    state = replace(state, judged_until=max(state.judged_until, min(latest, day.now)))  # a time in the future is now
    if state.comparing and state.challenger:
        gains = _gains(day, new, state.challenger, state.challenger_since, workshop)
        return replace(state, better=state.better.after(gains)), False
    if state.reference and state.reference != state.version:
        gains = _gains(day, new, state.reference, state.reference_since, workshop)
        state = replace(state, worse=state.worse.after(gains))
        if state.worse.e >= ROLL_BACK_AT:
            return replace(state, version=state.reference), True
    return state, False


def _gains(day: Day, records: Sequence[Record], version: str, fixed_at: float, workshop: Workshop) -> list[float]:
    """Return for each item the Brier score of the head that scored it, less that of another head fixed before it."""
    judged = [record for record in records if record.recorded_at >= fixed_at]
    others = workshop.scores(version, [record.item for record in judged]) if judged else []
    gains = []
    for record, other in zip(judged, others, strict=True):
        label = float(bool(day.presses[record.item.item_id].is_interested))
        gains.append(((record.score or 0.0) - label) ** 2 - (other - label) ** 2)
    return gains


def _decided(
    day: Day, state: State, workshop: Workshop, examples: Sequence[Example], *, accept: bool
) -> tuple[Action, str, State]:
    state, is_worse = _compared(day, state, workshop)
    if is_worse:
        sentence = (
            f"Rolled back to {state.version}: on the posted and pressed works the newer heads were worse"
            f" (e = {state.worse.e:.1f}, {state.worse.count} presses)."
        )
        return "roll back", sentence, comparing(state, day.now)
    liked = sum(example.is_interested for example in examples)
    least = LEAST_LABELS_WITH_ENCODER if workshop.has_encoder else LEAST_LABELS
    labels = f"{len(examples)} labels, {liked} of them liked"
    if state.version is None and (len(examples) < least or liked in {0, len(examples)}):
        return "wait", f"{labels}: the first head needs {least} labels of both kinds.", state
    begin = max((press.at for press in day.presses.values()), default=0.0) // SEARCH_SECONDS * SEARCH_SECONDS
    settled = [each for each in examples if day.presses[each.item.item_id].at < begin]
    searched = _hash([(each.item.item_id, each.is_interested) for each in settled])
    if searched != state.searched:
        state = replace(state, strengths=workshop.search(settled), searched=searched)
    if state.learned.keys() - day.presses.keys():  # labels were forgotten, and with them what they taught
        state = replace(state, taste_since=None, fitness=None)
    silent = {item.item_id for item in silent_items(day)}
    recent = [Recent(each.item, bool(each.ts), each.item.item_id in silent) for each in day.recent]
    try:
        since = state.taste_since or changed_at(day)
        fresh = {item_id for item_id, press in day.presses.items() if since and press.at >= since}
        trained = workshop.fit(examples, recent, fresh, state.strengths)
    except UserError as error:
        return "veto", f"The head in use stays: {error}.", state
    state = replace(state, taste_since=since if trained.former < 1 else None)
    # after a change of taste the present head is not as good as it was
    known = state.fitness if state.version and trained.former == 1.0 else None
    fault = veto(trained.fitness, known, _flips(day, state))
    if fault and not accept:
        return "veto", f"The head in use stays, the new one is not used: {fault}.", state
    if state.version and state.recipe != RECIPE and not state.comparing:
        state = replace(comparing(state, day.now), recipe=RECIPE)
    version = workshop.keep(trained, is_first_guess=state.reference is None and not state.comparing)
    if state.comparing and not accept and not _proved(state, day.now):
        sentence = (
            f"The head in use stays: the refits must first prove better on the posted and pressed works"
            f" (e = {state.better.e:.1f} of {PROMOTE_AT:.0f}, {state.better.count} presses)."
        )
        return "compare", sentence, replace(state, challenger=version, challenger_since=day.now)
    sentence = f"Promoted {version}: {labels}, Brier score {trained.fitness.brier:.3f} on held-out labels."
    return "promote", sentence, _promoted(day, state, version, trained.fitness)


def comparing(state: State, now: float) -> State:
    """Return the state in which new heads must first prove better than the one in use."""
    return replace(
        state,
        reference=None,
        worse=Evidence(),
        comparing=True,
        comparing_since=now,
        challenger=None,
        better=Evidence(),
    )


def _promoted(day: Day, state: State, version: str, fitness: Fitness) -> State:
    is_old = state.reference is None or day.now - state.reference_since >= REFERENCE_SECONDS
    if state.version and (state.comparing or is_old):
        state = replace(state, reference=state.version, reference_since=day.now, worse=Evidence())
    return replace(
        state,
        recipe=RECIPE,
        version=version,
        fitness=fitness,
        learned={item_id: int(p.is_interested) for item_id, p in day.presses.items() if p.is_interested is not None},
        comparing=False,
        challenger=None,
        better=Evidence(),
    )


def _proved(state: State, now: float) -> bool:
    """Return whether the challenger is better, or, after a long time, at least no worse."""
    if state.better.e >= PROMOTE_AT:
        return True
    return now - state.comparing_since >= LONGEST_COMPARISON and state.better.is_no_worse


def _flips(day: Day, state: State) -> int:
    return sum(
        press.is_interested is not None and state.learned.get(item_id, int(press.is_interested)) != press.is_interested
        for item_id, press in day.presses.items()
    )


def _digest(day: Day) -> str:
    """Return a hash of all that a refit would learn from."""
    presses = sorted((item_id, press.is_interested) for item_id, press in day.presses.items())
    silent = sorted(item.item_id for item in silent_items(day))
    return _hash([presses, silent])


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).hexdigest()
