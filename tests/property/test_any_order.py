"""Whatever comes in whatever order, as often as it likes, and dies where it likes: nothing is lost, nothing is twice.

`make properties` tries many more orders than the suite does, other ones each time.
"""

from __future__ import annotations

import contextlib
import os
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from injector import slack_rule
from property.stepped import WORKS, Died, Plan, SteppedWorld, die
from world import CHANNEL, CLAIM_SECONDS

from feedback.press import Press
from local.slack import as_text
from notifier.channel import ChannelRefused
from notifier.delivery import Undelivered

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
SETTINGS = settings(
    max_examples=400 if LONG else 8,
    stateful_step_count=30 if LONG else 14,
    derandomize=not LONG,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)

FAULTS = (
    {"status": 500},
    {"status": 500, "after_posting": True},
    {"drop": True},
    {"drop": True, "after_posting": True},
    {"status": 429},
    {"error": "channel_not_found"},
    {"error": "internal_error", "after_posting": True},
)
MANY_STEPS = 90
"""A notifier's run on a whole catalogue takes about as many."""

steps = st.integers(0, MANY_STEPS) | st.integers(0, 25)
deaths = st.none() | steps


class Disorder(RuleBasedStateMachine):
    """Everything that can happen to the notifier and to presses, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = SteppedWorld()
        self.world.__enter__()
        self.waiting: list[Press] = []
        self.tried: list[Press] = []
        self.answered: list[Press] = []

    @rule(works=st.lists(st.integers(0, len(WORKS) - 1), unique=True), retitled=st.integers(0, len(WORKS) - 1))
    def a_snapshot_is_written(self, works: list[int], retitled: int) -> None:
        self.world.publish(works, retitled)

    @precondition(lambda self: self.world.published)
    @rule(which=st.integers(0), death=deaths)
    def an_event_arrives(self, which: int, death: int | None) -> None:
        self._notify(which, {} if death is None else {death: die})

    @precondition(lambda self: self.world.published)
    @rule(outer=st.integers(0), inner=st.integers(0), pause=steps, inner_death=deaths, outer_death=deaths)
    def two_events_are_worked_on_together(
        self, outer: int, inner: int, pause: int, inner_death: int | None, outer_death: int | None
    ) -> None:
        other = partial(self._notify, inner, {} if inner_death is None else {inner_death: die})
        self._notify(outer, {pause: other} | ({} if outer_death is None else {outer_death: die}))

    @rule(seconds=st.sampled_from((1.0, CLAIM_SECONDS / 2, CLAIM_SECONDS + 1, 600.0, 86400.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(
        kind=st.sampled_from(FAULTS),
        method=st.sampled_from(("chat.postMessage", "conversations.history")),
        times=st.integers(1, 4),
    )
    def slack_fails_for_a_while(self, kind: dict[str, Any], method: str, times: int) -> None:
        self.world.rules.append(slack_rule(method, times=times, **kind))

    @rule()
    def slack_recovers(self) -> None:
        self.world.rules.clear()

    @rule(model=st.sampled_from(("v1", "v2", "none")))
    def a_model_is_deployed(self, model: str) -> None:
        self.world.model = model

    @precondition(lambda self: self.world.records())
    @rule(which=st.integers(0), is_interested=st.booleans(), late=st.sampled_from((0.0, 0.5, 30.0)))
    def the_owner_presses(self, which: int, is_interested: bool, late: float) -> None:
        posted = sorted(item_id for item_id in self.world.records() if self.world.messages()[item_id])
        if posted:
            # no two presses have the same time by Slack's clock
            at = Decimal(str(self.world.now - late)) + Decimal(len(self.waiting) + len(self.tried)) / 1_000_000
            press = Press(posted[which % len(posted)], is_interested, "U0OWNER", f"{at:.6f}", CHANNEL)
            self.waiting.append(press)

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0), again=st.booleans(), death=deaths, pause=st.integers(0, 8), meanwhile=st.booleans())
    def a_press_arrives(self, which: int, again: bool, death: int | None, pause: int, meanwhile: bool) -> None:
        press = self.waiting[which % len(self.waiting)]
        if not again:
            self.waiting.remove(press)
        plan: dict[int, object] = (
            {pause: partial(self._press, self.waiting[0], {})} if meanwhile and self.waiting else {}
        )
        self._press(press, plan | ({} if death is None else {death: die}))  # type: ignore[arg-type]  # both are plans

    def _notify(self, which: int, plan: Plan) -> None:
        key = self.world.published[which % len(self.world.published)]
        with contextlib.suppress(Died, Undelivered, ChannelRefused):
            self.world.run(key, plan)

    def _press(self, press: Press, plan: Plan) -> None:
        self.tried.append(press)
        with contextlib.suppress(Died):
            self.world.press(press, plan)
            self.answered.append(press)

    @invariant()
    def nothing_is_in_the_channel_twice(self) -> None:
        twice = {name: count for name, count in self.world.messages().items() if count > 1}
        assert not twice

    def teardown(self) -> None:
        try:
            self._a_quiet_run_posts_what_was_chosen()
            self._events_sent_again_leave_nothing_out()
            self._labels_are_the_last_presses()
        finally:
            self.world.__exit__(None, None, None)

    def _a_quiet_run_posts_what_was_chosen(self) -> None:
        self.world.rules.clear()
        self.world.now += 86400
        self.world.run(self.world.publish([], 0), {})
        self._check_the_channel()

    def _events_sent_again_leave_nothing_out(self) -> None:
        listed: set[str] = set()
        for key in self.world.published:
            self.world.now += 60
            run = self.world.run(key, {})
            assert run.listed >= run.new
            listed.add(key)
        self._check_the_channel()
        assert {name for name in self.world.messages() if name.startswith("snapshots/")} == listed

    def _check_the_channel(self) -> None:
        self.nothing_is_in_the_channel_twice()
        records = self.world.records()
        chosen = {item_id for item_id, record in records.items() if record.choice != "passed"}
        assert {name for name in self.world.messages() if not name.startswith("snapshots/")} == chosen
        assert {records[item_id].status for item_id in chosen} <= {"posted"}
        assert not any(self.world.ledger.unfinished())
        for key in self.world.ledger.runs(self.world.published):
            assert self.world.messages()[key] == 1

    def _labels_are_the_last_presses(self) -> None:
        for item_id in {press.item_id for press in self.tried}:
            label = self.world.labels.get(item_id)
            tried = {Decimal(press.action_ts): press for press in self.tried if press.item_id == item_id}
            answered = [Decimal(press.action_ts) for press in self.answered if press.item_id == item_id]
            if label is None:
                assert not answered
                continue
            last = tried[Decimal(label.action_ts)]
            assert label.is_interested == last.is_interested
            assert not answered or Decimal(label.action_ts) >= max(answered)
            self.world.press(last, {})  # Slack's repetition, so that a message is right that a dead process left wrong
            shown = as_text(self.world.slack.message(item_id))
            assert ("「興味あり!」と記録しました" in shown) == label.is_interested


def test_nothing_is_lost_and_nothing_is_twice_in_any_order() -> None:
    run_state_machine_as_test(Disorder, settings=SETTINGS)
