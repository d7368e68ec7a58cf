"""The notifier and the presses over real stores and the stand-in of Slack, stopped at any call and resumed or not."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from conftest import make_stores
from moto import mock_aws
from world import CALL_SECONDS, CHANNEL, NOW, TOKEN, World

from feedback.press import Press, show_label, store_press
from notifier.channel import Channel
from notifier.delivery import Clock
from notifier.scoring import Prediction, Scores
from osusume.items import Item
from osusume.ledger import Record, Run
from osusume.messages import item_metadata
from osusume.snapshots import Snapshot, read_snapshot, snapshot_key, write_snapshot
from samples.works import demo_works

TOKYO = ZoneInfo("Asia/Tokyo")
WORKS = demo_works()[:8]
RUN_SECONDS = 300.0

Plan = Mapping[int, Callable[[], None]]
"""What happens at which of a process's steps: before and after each of its calls, counted from 0."""


class Died(BaseException):
    """Raised where a process dies; nothing catches it."""


def die() -> None:
    """End the process that comes to this step."""
    raise Died


@dataclass
class _Process:
    """One process at work: how many steps it has taken, and by when its pauses must end, if they must."""

    plan: Plan
    must_end_by: float
    steps: int = 0


class _WatchedChannel(Channel):
    """A channel whose calls are steps."""

    world: SteppedWorld

    def post(self, text: str, blocks: list[dict[str, Any]], metadata: dict[str, Any]) -> str:
        # the notifier has just seen that its claim outlasts this call, which may take no longer than it may
        self.world.step(pause=CALL_SECONDS)
        ts = super().post(text, blocks, metadata)
        self.world.step()
        return ts

    def find(
        self, metadata: dict[str, Any], since: float, before: str = "", is_over: Callable[[], bool] = lambda: False
    ) -> str | None:
        self.world.step()
        ts = super().find(metadata, since, before, is_over)
        self.world.step()
        return ts


class SteppedWorld(World):
    """A world in this process alone whose processes can die or pause at each call they make."""

    def __init__(self) -> None:
        self._aws = mock_aws()
        self._aws.start(reset=False)
        super().__init__(make_stores(), post_burst=4)
        self.model = "v1"
        self.published: list[str] = []
        self._processes: list[_Process] = []
        for client in (self.stores.s3, self.stores.dynamodb.meta.client):
            client.meta.events.register("before-call", lambda **_: self.step())
            client.meta.events.register("after-call", lambda **_: self.step())

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self._aws.stop()

    def step(self, pause: float = float("inf")) -> None:
        """Take a step of the process at work, which may die here, or be paused while another one works."""
        if not self._processes:
            return
        process = self._processes[-1]
        happening = process.plan.get(process.steps)
        process.steps += 1
        if happening:
            ends, process.must_end_by = process.must_end_by, min(process.must_end_by, self.now + pause)
            happening()
            process.must_end_by = ends

    @contextlib.contextmanager
    def _at_work(self, plan: Plan) -> Iterator[None]:
        ends = min((process.must_end_by for process in self._processes), default=float("inf"))
        self._processes.append(_Process(plan, ends))
        try:
            yield
        finally:
            self._processes.pop()

    def publish(self, item_ids: Sequence[int], retitled: int) -> str:
        """Write the snapshot of the next day, which lists these works; the title of one of them is changed."""
        items = [replace(WORKS[i], title=f"{WORKS[i].title}！") if i == retitled else WORKS[i] for i in item_ids]
        self.now += 3600
        when = datetime.fromtimestamp(NOW + 86400 * len(self.published), UTC)
        key = snapshot_key("dlsite", when)
        write_snapshot(self.stores.s3, self.stores.bucket, key, Snapshot("dlsite", when, items))
        self.published.append(key)
        return key

    def run(self, key: str, plan: Plan) -> Run:
        """Let a notifier work on the event of a snapshot."""
        with self._at_work(plan):
            ends = self.now + RUN_SECONDS
            channel = _WatchedChannel(TOKEN, CHANNEL, self.slack.api_url, CALL_SECONDS)
            channel.world = self
            clock = Clock(self, self.sleep, lambda: ends - self.now)
            snapshot = read_snapshot(self.stores.s3, self.stores.bucket, key)
            return self.notify(key, snapshot, channel=channel, clock=clock, max_posts=3)

    def press(self, press: Press, plan: Plan) -> None:
        """Let the feedback function work on a press."""
        with self._at_work(plan):
            record = store_press(press, self.labels, self.ledger, frozenset(), TOKYO)
            message = self.slack.message(press.item_id)

            def rewrite(text: str, blocks: list[dict[str, Any]]) -> None:
                self.step()
                self.slack.channel.change(message.ts, text, blocks, item_metadata(record))

            show_label(record, self.labels, rewrite)

    def records(self) -> dict[str, Record]:
        """Return the records of the items that have one."""
        return self.ledger.get(work.item_id for work in WORKS)

    def messages(self) -> Counter[str]:
        """Return how many messages the channel has, by item id or, for a summary, by snapshot."""
        metadata = [message.metadata or {} for message in self.slack.messages]
        payloads = [each["event_payload"] for each in metadata]
        return Counter(payload.get("item_id") or payload["snapshot"] for payload in payloads)

    def sleep(self, seconds: float) -> None:
        if self.now + seconds > self._processes[-1].must_end_by:
            raise Died  # a process that sleeps this long cannot resume before the paused one does
        super().sleep(seconds)

    def score(self, items: Sequence[Item]) -> Scores:
        """Score by the work and the model, so that a new model thinks otherwise; one called `none` has no taste."""
        if self.model == "none":
            return Scores("none", None, {item.item_id: Prediction(None, []) for item in items})
        digests = {item.item_id: sha256(f"{self.model} {item.item_id}".encode()).digest()[0] for item in items}
        return Scores(self.model, 0.5, {id_: Prediction(round(byte / 255, 6), []) for id_, byte in digests.items()})
