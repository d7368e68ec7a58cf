"""The world that a notifier and a press meet: real stores, the stand-in of Slack, and a clock that costs no time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self

from conftest import Stores
from injector import Rule, rules_of

from local.slack import Message, Slack, duplicate_posts, serve_slack
from notifier.channel import Channel
from notifier.delivery import Clock as DeliveryClock
from notifier.delivery import Delivery, Post
from notifier.notify import Dependencies, notify
from notifier.scoring import Prediction, Scores
from osusume.items import Item
from osusume.labels import Labels
from osusume.ledger import Ledger, Run
from osusume.snapshots import Snapshot

TOKEN = "xoxb-of-the-tests"
SECRET = "signing-secret-of-the-tests"
CHANNEL = "C0LOCAL0001"
NOW = 1764000000.0
CALL_SECONDS, CLAIM_SECONDS = 2.0, 12.0


class Clock:
    """Time, in seconds since 1970, that passes only when somebody sleeps; `sleeps` has for how long each time."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


class World(Clock):
    """Stores, Slack while the context lasts, and the clock of both. A run has `seconds_left()`."""

    slack: Slack

    def __init__(self, stores: Stores, **slack_options: Any) -> None:
        super().__init__()
        self.stores = stores
        options = {"bot_token": TOKEN, "signing_secret": SECRET, "clock": self, **slack_options}
        self._serving = serve_slack(**options)

    def __enter__(self) -> Self:
        self.slack = self._serving.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._serving.__exit__(*raised)

    @property
    def rules(self) -> list[Rule]:
        """What happens to calls of Slack."""
        return rules_of(self.slack)

    def seconds_left(self) -> float:
        return 300

    @property
    def clock(self) -> DeliveryClock:
        return DeliveryClock(self, self.sleep, self.seconds_left)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.stores.dynamodb, self.stores.items_table, self)

    @property
    def labels(self) -> Labels:
        return Labels(self.stores.dynamodb, self.stores.labels_table)

    def channel(self, kind: type[Channel] = Channel, *, token: str = TOKEN, channel_id: str = CHANNEL) -> Channel:
        return kind(token, channel_id, self.slack.api_url, CALL_SECONDS)

    def deliver(
        self,
        posts: list[Post],
        ledger: Ledger | None = None,
        channel: Channel | None = None,
        claim_seconds: float = CLAIM_SECONDS,
        clock: DeliveryClock | None = None,
    ) -> int:
        """Deliver posts and return how many were posted."""
        delivery = Delivery(ledger or self.ledger, channel or self.channel(), claim_seconds, clock or self.clock)
        delivery.post(posts)
        delivery.settle()
        return delivery.posted

    def notify(self, key: str, listed: Snapshot | Sequence[Item], **changes: Any) -> Run:
        """Process a snapshot, or one that lists these works; `changes` replace the usual dependencies."""
        usual = {
            "ledger": self.ledger,
            "channel": self.channel(),
            "score": self.score,
            "threshold": None,
            "max_posts": 30,
            "explored_items_a_day": 2,
            "claim_seconds": CLAIM_SECONDS,
            "clock": self.clock,
        }
        if not isinstance(listed, Snapshot):
            listed = Snapshot("dlsite", datetime(2025, 11, 24, 22, tzinfo=UTC), list(listed))
        return notify(listed, key, Dependencies(**{**usual, **changes}))

    def score(self, items: Sequence[Item]) -> Scores:
        """Score nothing, as a model without taste does."""
        return Scores("none", None, {item.item_id: Prediction(None, []) for item in items})

    def posted(self) -> list[str]:
        """Return the ids of the items that were posted, oldest first, each of them once."""
        assert duplicate_posts(self.slack.log) == 0
        return [message.item_id for message in self.slack.messages if message.item_id]

    def summaries(self) -> list[Message]:
        return [message for message in self.slack.messages if not message.item_id]
