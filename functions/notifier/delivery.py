"""Each message reaches the channel once, whoever is running, dying or repeating at the same time.

A message's record in the ledger is claimed before it is posted. Where an earlier claim has run out, or the outcome of a
post is not known, the channel is searched for the message before it is posted again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from notifier.channel import (
    Channel,
    ChannelRefused,
    MessageRefused,
    RateLimited,
    SearchUnfinished,
    Unclear,
    UnknownRefusal,
)
from osusume.ledger import Claim, Ledger
from osusume.messages import Block
from osusume.observability import logger

UNCLEAR_TRIES = 2
LOOK_AGAIN_SECONDS = 1.0

CLOCK_SKEW_SECONDS = 300
"""How far this clock may be from Slack's: the channel is searched from that long before the record was made."""


class Undelivered(RuntimeError):
    """Raised when messages are left that this run could not post; the ledger keeps them for the next."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` gives seconds since the epoch, `remaining` the seconds until this run must end."""

    now: Callable[[], float]
    sleep: Callable[[float], None]
    remaining: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Post:
    """One message to deliver: its record in the ledger, what it says, and how it is found again.

    `spare_blocks` say the same without an image, for when Slack cannot fetch it and refuses the message for that.
    """

    record_id: str
    recorded_at: float
    text: str
    blocks: list[Block]
    metadata: dict[str, Any]
    spare_blocks: list[Block] | None = None


class Delivery:
    """One run's posting; `posted` counts the messages that it found in the channel or put there."""

    def __init__(self, ledger: Ledger, channel: Channel, claim_seconds: float, clock: Clock) -> None:
        self._ledger, self._channel, self._claim_seconds, self._clock = ledger, channel, claim_seconds, clock
        self._left: list[str] = []
        self._doubtful: list[tuple[Post, Claim]] = []
        self._at_fault: list[tuple[Post, Claim]] = []
        self._unclear: Counter[str] = Counter()
        self._no_time = ""
        self.posted = 0

    def post(self, posts: Iterable[Post]) -> None:
        """Post what is not in the channel yet, in order, as far as the time allows.

        A message that somebody else has claimed is waited for: either they post it, or their claim runs out and it is
        taken over. One that Slack refuses run after run is given up: it is `refused` in the ledger from then on. Raises
        `ChannelRefused` where Slack refuses them all; what else is left, `settle` says.
        """
        waiting = deque(posts)
        while waiting and not self._no_time:
            post = waiting.popleft()
            if self._is_time_over():
                self._no_time = f"no time left for {post.record_id} and {len(waiting)} more"
                return
            claim = self._ledger.claim(post.record_id, self._claim_seconds)
            if claim == "posting":
                waiting.append(post)
                self._clock.sleep(LOOK_AGAIN_SECONDS)
            if isinstance(claim, Claim):
                self._try(post, claim, waiting)

    def _try(self, post: Post, claim: Claim, waiting: deque[Post]) -> None:
        """Post one message, or put it back among those that wait, or note what keeps it from being posted."""
        try:
            ts = self._ts_in_channel(post, claim) or self._post(post, claim)
        except RateLimited as error:
            self._ledger.release(claim)
            if error.seconds > self._clock.remaining() - 2 * self._channel.call_seconds:
                self._no_time = f"{error}, longer than is left, for {post.record_id} and {len(waiting)} more"
                return
            waiting.appendleft(post)
            self._clock.sleep(max(error.seconds, LOOK_AGAIN_SECONDS))
        except SearchUnfinished as error:
            self._ledger.note_search(claim, error.reached)
            waiting.appendleft(post)
        except Unclear as error:
            # the claim stays until it runs out: whoever takes it over then looks in the channel first
            logger.warning("it is not known whether a message was posted", record_id=post.record_id, error=str(error))
            self._unclear[post.record_id] += 1
            if self._unclear[post.record_id] < UNCLEAR_TRIES:
                waiting.append(post)
            else:
                self._left.append(post.record_id)
        except MessageRefused as error:
            logger.error("Slack refuses a message", record_id=post.record_id, error=str(error))
            if isinstance(error, UnknownRefusal):
                self._doubtful.append((post, claim))
            else:
                self._refuse(post, claim)
        except ChannelRefused:
            self._ledger.release(claim)
            self._release_doubtful()
            raise
        else:
            self._ledger.posted(claim, self._channel.channel_id, ts)
            self.posted += 1
            # Slack took this one, so what it refused before was the messages' own fault
            self._at_fault += self._doubtful
            self._doubtful = []

    def judge(self) -> None:
        """Note refusals for unknown reasons as the messages' own, as far as another message shows that they are.

        A message was posted after them, or before a single one. Several that nothing follows may be the channel's.
        """
        if self.posted and len(self._doubtful) == 1:
            self._at_fault += self._doubtful
            self._doubtful = []
        for post, claim in self._at_fault:
            self._refuse(post, claim)
        self._at_fault = []

    def settle(self) -> None:
        """Raise `Undelivered` where messages are left that are not given up.

        Raises `ChannelRefused` where Slack refused several for unknown reasons and took none after them: then it is the
        channel, or the token, and no refusal is noted.
        """
        self.judge()
        names = [post.record_id for post, _ in self._doubtful]
        self._release_doubtful()
        if len(names) > 1:
            raise ChannelRefused(
                f"Slack refuses every message from {names[0]} on, the log says why: {', '.join(names)}"
            )
        left = self._left + names
        reasons = [*([f"not posted: {', '.join(left)}; the log says why"] if left else []), self._no_time]
        if any(reasons):
            raise Undelivered(f"{'; '.join(filter(None, reasons))}: the next run resumes")

    def _is_time_over(self) -> bool:
        return self._clock.remaining() < 2 * self._channel.call_seconds

    def _refuse(self, post: Post, claim: Claim) -> None:
        if not self._ledger.refuse(claim):
            self._left.append(post.record_id)

    def _release_doubtful(self) -> None:
        for _, claim in self._doubtful:
            self._ledger.release(claim)
        self._doubtful.clear()

    def _ts_in_channel(self, post: Post, claim: Claim) -> str | None:
        """Return the ts of the message where somebody posted it before; only a claim taken over leaves that open."""
        if not claim.taken_over:
            return None

        def is_over() -> bool:
            ends = claim.expires_at - 2 * self._channel.call_seconds
            return self._clock.now() > ends or self._is_time_over()

        return self._channel.find(post.metadata, post.recorded_at - CLOCK_SKEW_SECONDS, claim.searched_to, is_over)

    def _post(self, post: Post, claim: Claim) -> str:
        if claim.searched_to:
            self._ledger.forget_search(claim)  # what is posted now is newer than all that was searched
        refusal = MessageRefused("it has no blocks")
        for blocks in filter(None, (post.blocks, post.spare_blocks)):
            if self._clock.now() + self._channel.call_seconds > claim.expires_at:
                raise Unclear("the claim would run out while the message is posted")
            try:
                ts = self._channel.post(post.text, blocks, post.metadata)
            except MessageRefused as error:
                refusal = error
            else:
                return self._the_one_copy(post, claim, ts)
        raise refusal

    def _the_one_copy(self, post: Post, claim: Claim, ts: str) -> str:
        """Return the ts of the message that stays, which is the oldest, where somebody else may have posted it too.

        An answer can come so late that the claim has run out; then whoever took it over posts the message as well. Each
        of the two looks for the other's, and both keep the same one.
        """
        if not claim.taken_over and self._clock.now() <= claim.expires_at:
            return ts
        try:
            since = self._clock.now() - 2 * self._claim_seconds - CLOCK_SKEW_SECONDS
            oldest, *others = sorted({ts, *self._channel.copies(post.metadata, since)}, key=float)
            for other in others:
                self._channel.delete(other)
        except (RateLimited, Unclear, MessageRefused, ChannelRefused) as error:
            logger.warning("a second copy was not looked for", record_id=post.record_id, error=str(error))
            return ts
        return oldest
