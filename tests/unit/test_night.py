"""One night of learning, with heads in memory and the texts of made-up works."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from model.learning.examples import Example
from model.learning.train import Recent, Strengths, Trained, search_strengths, train
from model.serving.head import Head
from osusume.errors import UserError
from osusume.items import Item
from osusume.records import Record
from trainer.night import DAY, LONGEST_COMPARISON, RECIPE, Day, Press, State, learn, silent_items

LIKED, DISLIKED = ("雨音", "耳かき", "朗読", "焚き火"), ("怪談", "戦闘", "絶叫", "行進曲")


def work(number: int, *, liked: bool) -> Item:
    words = LIKED if liked else DISLIKED
    title = f"{words[number % 4]}と{words[(number // 4) % 4]}の夜 {number}"
    return Item(f"RJ{'1' if liked else '0'}{number:05}", "demo", "https://example.com/", title)


def likes(item_id: str) -> bool:
    return item_id.startswith("RJ1")


@dataclass
class MemoryWorkshop:
    """Heads in memory; a `Workshop`."""

    has_encoder: bool = False
    heads: dict[str, Head] = field(default_factory=dict)
    guesses: list[bool] = field(default_factory=list)
    silent: int = 0
    searched: int = 0
    fitted: dict[object, Trained] = field(default_factory=dict)

    def fit(
        self,
        examples: Sequence[Example],
        recent: Sequence[Recent],
        fresh: Collection[str],
        strengths: Strengths,
    ) -> Trained:
        self.silent = sum(each.is_silent for each in recent)
        labels = tuple((example.item.item_id, example.is_interested) for example in examples)
        arguments = labels, tuple((each.item.item_id, each.is_silent) for each in recent), frozenset(fresh), strengths
        if arguments not in self.fitted:
            self.fitted[arguments] = train(
                examples, encoder=None, recent=recent, fresh=fresh, strengths=strengths, cost=0.5, least=2
            )
        return self.fitted[arguments]

    def search(self, examples: Sequence[Example]) -> Strengths:
        self.searched += 1
        return search_strengths(examples, encoder=None)

    def scores(self, version: str, items: Sequence[Item]) -> list[float]:
        return [float(s) for s in self.heads[version].scores(np.zeros((len(items), 0), dtype=np.float32), items)]

    def keep(self, trained: Trained, *, is_first_guess: bool) -> str:
        self.guesses.append(is_first_guess)
        self.heads[f"v{len(self.guesses)}"] = trained.head
        return f"v{len(self.guesses)}"


def a_day(count: int, *, now: float = 0.0, flipped: int = 0, recent: Sequence[Record] = ()) -> Day:
    """Return a day on which `count` works have labels, a third of them liked; the first `flipped` labels are wrong."""
    items = [work(number, liked=number % 3 == 0) for number in range(count)]
    presses = {
        item.item_id: Press(likes(item.item_id) is not (row < flipped), now - DAY / 2) for row, item in enumerate(items)
    }
    return Day(presses, {item.item_id: item for item in items}, recent, now)


def shown(number: int, score: float, now: float, *, liked: bool, version: str) -> Record:
    item = work(number, liked=liked)
    return Record(item, "recommended", f"s{now}", now, score, version, status="posted", ts=f"{now + number:020.6f}")


@pytest.fixture(name="workshop")
def _bench() -> MemoryWorkshop:
    return MemoryWorkshop()


@pytest.fixture(name="trained")
def _trained(workshop: MemoryWorkshop) -> State:
    """Return the state after a first head."""
    return learn(a_day(60), State(), workshop).state


def test_too_few_labels_wait(workshop: MemoryWorkshop) -> None:
    outcome = learn(a_day(19), State(), workshop)
    assert (outcome.action, outcome.state.version) == ("wait", None)
    assert "19 labels, 7 of them liked: the first head needs 20 labels" in outcome.sentence


def test_an_encoder_needs_fewer_labels() -> None:
    assert learn(a_day(12), State(), MemoryWorkshop(has_encoder=True)).action == "promote"


@pytest.mark.parametrize("kind", [True, False])
def test_labels_of_one_kind_wait(workshop: MemoryWorkshop, kind: bool) -> None:
    day = a_day(90)
    presses = {item_id: press for item_id, press in day.presses.items() if likes(item_id) is kind}
    assert learn(replace(day, presses=presses), State(), workshop).action == "wait"


def test_enough_labels_make_a_first_head_that_is_a_guess(workshop: MemoryWorkshop) -> None:
    outcome = learn(a_day(60), State(), workshop)
    assert (outcome.action, outcome.state.version, workshop.guesses) == ("promote", "v1", [True])
    assert outcome.sentence.startswith("Promoted v1: 60 labels, 20 of them liked, Brier score 0.")


def test_a_night_without_news_stops_at_once(workshop: MemoryWorkshop, trained: State) -> None:
    outcome = learn(a_day(60, now=DAY), trained, workshop)
    assert (outcome.action, outcome.state) == (None, trained)


def test_the_same_night_again_decides_the_same(workshop: MemoryWorkshop) -> None:
    first, second = learn(a_day(60), State(), workshop), learn(a_day(60), State(), MemoryWorkshop())
    assert (first.sentence, first.state) == (second.sentence, second.state)


@pytest.mark.parametrize("more", [80, 300])
def test_more_labels_go_live_at_once(workshop: MemoryWorkshop, trained: State, more: int) -> None:
    outcome = learn(a_day(more, now=DAY), trained, workshop)
    assert (outcome.action, outcome.state.version, outcome.state.reference) == ("promote", "v2", "v1")


def test_many_flipped_labels_are_vetoed_and_leave_the_head_in_use(workshop: MemoryWorkshop, trained: State) -> None:
    outcome = learn(a_day(60, now=DAY, flipped=18), trained, workshop)
    assert (outcome.action, outcome.state.version) == ("veto", "v1")
    assert "18 of 60 labels say the opposite of before" in outcome.sentence


def test_the_owner_can_pass_over_a_veto(workshop: MemoryWorkshop, trained: State) -> None:
    outcome = learn(a_day(60, now=DAY, flipped=18), trained, workshop, accept=True)
    assert (outcome.action, outcome.state.version) == ("promote", "v2")


def test_one_label_flipped_a_hundred_times_leaves_the_loop_going(workshop: MemoryWorkshop) -> None:
    state = learn(a_day(20), State(), workshop).state
    for night in range(1, 101):
        state = learn(a_day(20, now=night * DAY, flipped=night % 2), state, workshop).state
    assert state.version == "v101"
    assert learn(a_day(90, now=200 * DAY), state, workshop).action == "promote"


def test_random_labels_leave_the_loop_going(workshop: MemoryWorkshop) -> None:
    rng = np.random.default_rng(1)
    state = State()
    for night in range(1, 8):
        day = a_day(20 * night, now=night * DAY)
        presses = {item_id: Press(bool(rng.random() < 0.3), press.at) for item_id, press in day.presses.items()}
        state = learn(replace(day, presses=presses), state, workshop).state
    assert state.version is not None


def test_labels_that_say_neither_teach_nothing_and_are_not_silence(workshop: MemoryWorkshop, trained: State) -> None:
    day = a_day(60, now=DAY)
    neither = {work(900 + n, liked=True).item_id: Press(None, DAY) for n in range(30)}
    outcome = learn(replace(day, presses={**day.presses, **neither}), trained, workshop)
    assert (outcome.labels, outcome.liked) == (60, 20)


def test_an_unpressed_post_is_silent_if_another_of_its_snapshot_and_a_later_one_were_pressed() -> None:
    monday = [shown(number, 0.9, 0.0, liked=True, version="v1") for number in range(100, 104)]
    tuesday = [shown(number, 0.9, DAY, liked=True, version="v1") for number in range(200, 203)]
    wednesday = [shown(number, 0.9, 2 * DAY, liked=True, version="v1") for number in range(300, 302)]
    records = [*monday, *tuesday, *wednesday]

    def silent(*pressed: Record) -> list[Item]:
        return silent_items(Day({record.item.item_id: Press(True, 1.0) for record in pressed}, {}, records, DAY))

    assert silent() == []
    assert silent(monday[2]) == [monday[0].item, monday[1].item]
    assert silent(monday[2], wednesday[0]) == [monday[0].item, monday[1].item, monday[3].item]
    assert silent(wednesday[0]) == []  # who did not press on Monday and Tuesday may not have been there


def poisoned(trained: State) -> State:
    """Return the state in which a head that is wrong about everything replaced the first one."""
    return replace(trained, version="bad", reference="v1", reference_since=0.0)


def night_of_presses(night: int, *, score_of_liked: float, version: str) -> tuple[list[Record], dict[str, Press]]:
    now = night * DAY
    records = [
        shown(night * 100 + n, score_of_liked if n % 2 else 1 - score_of_liked, now, liked=n % 2 == 1, version=version)
        for n in range(8)
    ]
    return records, {record.item.item_id: Press(likes(record.item.item_id), now + DAY / 4) for record in records}


def test_a_head_that_proves_worse_is_rolled_back_and_refits_must_then_prove_better(
    workshop: MemoryWorkshop, trained: State
) -> None:
    state, presses, recent = poisoned(trained), dict(a_day(60).presses), list[Record]()
    items = dict(a_day(60).items)
    actions: list[str | None] = []
    for night in range(1, 15):
        records, pressed = night_of_presses(night, score_of_liked=0.2, version="bad")
        recent, presses = [*recent, *records], {**presses, **pressed}
        items |= {record.item.item_id: record.item for record in records}
        outcome = learn(Day(presses, items, recent, night * DAY + DAY / 2), state, workshop)
        actions.append(outcome.action)
        state = outcome.state
        if outcome.action == "roll back":
            break
        state = replace(state, version="bad")  # every refit is as bad
    assert actions[-1] == "roll back"
    assert state.version == "v1"
    assert state.comparing
    assert "the newer heads were worse (e = " in outcome.sentence
    for night in range(15, 40):
        records, pressed = night_of_presses(night, score_of_liked=0.55, version="v1")
        recent, presses = [*recent, *records], {**presses, **pressed}
        items |= {record.item.item_id: record.item for record in records}
        outcome = learn(Day(presses, items, recent, night * DAY + DAY / 2), state, workshop)
        actions.append(outcome.action)
        state = outcome.state
        if outcome.action == "promote":
            break
        assert (outcome.action, state.version) == ("compare", "v1")
    assert actions[-1] == "promote"


def test_a_label_from_the_future_does_not_hide_later_presses_from_the_gate(
    workshop: MemoryWorkshop, trained: State
) -> None:
    records, pressed = night_of_presses(2, score_of_liked=0.8, version="v2")
    day = a_day(60, now=DAY)
    presses = {**day.presses, "RJ000000": Press(False, 1_000 * DAY)}
    second = learn(replace(day, presses=presses), replace(trained, digest=""), workshop).state
    after = Day({**presses, **pressed}, day.items, records, 2 * DAY + DAY / 2)
    assert learn(after, second, workshop).state.worse.count == len(pressed)


def test_a_change_of_recipe_has_to_prove_better_first(workshop: MemoryWorkshop, trained: State) -> None:
    outcome = learn(a_day(80, now=DAY), replace(trained, recipe=RECIPE - 1), workshop)
    assert (outcome.action, outcome.state.version, outcome.state.challenger) == ("compare", "v1", "v2")


def test_a_comparison_that_nobody_decides_ends_after_four_weeks(workshop: MemoryWorkshop, trained: State) -> None:
    waiting = learn(a_day(80, now=DAY), replace(trained, recipe=RECIPE - 1), workshop).state
    outcome = learn(a_day(90, now=2 * DAY + LONGEST_COMPARISON), waiting, workshop)
    assert outcome.action == "promote"


def test_a_state_survives_json(trained: State) -> None:
    assert State.from_json(trained.to_json()) == trained


@pytest.mark.parametrize("value", [{"fitness": 1}, {"other": 2}, {**State().to_json(), "worse": {"e": 1}}])
def test_a_state_of_another_form_is_an_error_that_says_what_to_do(value: dict[str, object]) -> None:
    with pytest.raises(UserError, match="delete it to start anew"):
        State.from_json(value)
