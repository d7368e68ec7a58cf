"""Delivers each message once, even if several runs work at the same time or die.

A run claims a message's record in the ledger before it posts the message. If an earlier claim has expired, or the
outcome of a post is unknown, it searches the channel before it posts again.
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
"""How far this clock may differ from Slack's; searches start this long before the record was made."""


class Undelivered(RuntimeError):
    """Raised when this run could not post every message; the next run posts the rest."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` gives seconds since the epoch, `remaining` the seconds until this run must end."""

    now: Callable[[], float]
    sleep: Callable[[float], None]
    remaining: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Post:
    """One message to deliver: its record in the ledger, its contents, and the metadata that identifies it.

    `spare_blocks` are the contents without the image, in case Slack cannot fetch it and refuses the message.
    """

    record_id: str
    recorded_at: float
    text: str
    blocks: list[Block]
    metadata: dict[str, Any]
    spare_blocks: list[Block] | None = None


class Delivery:
    """The posting of one run; `posted` counts the messages that it posted or found in the channel."""

    def __init__(self, ledger: Ledger, channel: Channel, claim_seconds: float, clock: Clock) -> None:
        self._ledger, self._channel, self._claim_seconds, self._clock = ledger, channel, claim_seconds, clock
        self._left: list[str] = []
        self._doubtful: list[tuple[Post, Claim]] = []
        self._at_fault: list[tuple[Post, Claim]] = []
        self._unclear: Counter[str] = Counter()
        self._no_time = ""
        self.posted = 0

    def post(self, posts: Iterable[Post]) -> None:
        """Post the messages that are not in the channel yet, in order, as far as the time allows.

        If another run has claimed a message, this one waits until it is posted or the claim expires. A message that
        Slack refuses in several runs is given up: its record becomes `refused`. Raises `ChannelRefused` if Slack
        refuses every message; `settle` reports the others that are left.
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
        """Post one message, queue it again, or note why it cannot be posted."""
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
            # the claim is left to expire: whoever takes it over then searches the channel first
            logger.warning("it is unknown whether a message was posted", record_id=post.record_id, error=str(error))
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
            # Slack accepted this one, so its earlier refusals concern the messages themselves
            self._at_fault += self._doubtful
            self._doubtful = []

    def judge(self) -> None:
        """Record unknown refusals as the messages' own if another message shows that the channel works.

        That is a message posted after them, or one posted before a single refusal. Several refusals with no message
        after them may be the channel's.
        """
        if self.posted and len(self._doubtful) == 1:
            self._at_fault += self._doubtful
            self._doubtful = []
        for post, claim in self._at_fault:
            self._refuse(post, claim)
        self._at_fault = []

    def settle(self) -> None:
        """Raise `Undelivered` if messages are left that are not given up.

        Raises `ChannelRefused` if Slack refused several for unknown reasons and accepted none after them: the cause is
        then the channel or the token, and no refusal is recorded.
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
        """Return the ts of the message if an earlier run posted it, which only a claim taken over leaves open."""
        if not claim.taken_over:
            return None

        def is_over() -> bool:
            ends = claim.expires_at - 2 * self._channel.call_seconds
            return self._clock.now() > ends or self._is_time_over()

        return self._channel.find(post.metadata, post.recorded_at - CLOCK_SKEW_SECONDS, claim.searched_to, is_over)

    def _post(self, post: Post, claim: Claim) -> str:
        if claim.searched_to:
            self._ledger.forget_search(claim)  # a message posted now is newer than all those searched
        refusal = MessageRefused("it has no blocks")
        for blocks in filter(None, (post.blocks, post.spare_blocks)):
            if self._clock.now() + self._channel.call_seconds > claim.expires_at:
                raise Unclear("the claim could expire before the message is posted")
            try:
                ts = self._channel.post(post.text, blocks, post.metadata)
            except MessageRefused as error:
                refusal = error
            else:
                return self._the_one_copy(post, claim, ts)
        raise refusal

    def _the_one_copy(self, post: Post, claim: Claim, ts: str) -> str:
        """Return the ts of the oldest copy of the message, and delete the others if another run may have posted it too.

        If an answer arrives after the claim has expired, another run may have taken it over and posted the message too.
        Each of the two searches for the other's copy, and both keep the same one.
        """
        if not claim.taken_over and self._clock.now() <= claim.expires_at:
            return ts
        try:
            since = self._clock.now() - 2 * self._claim_seconds - CLOCK_SKEW_SECONDS
            oldest, *others = sorted({ts, *self._channel.copies(post.metadata, since)}, key=float)
            for other in others:
                self._channel.delete(other)
        except (RateLimited, Unclear, MessageRefused, ChannelRefused) as error:
            logger.warning("the channel was not searched for a second copy", record_id=post.record_id, error=str(error))
            return ts
        return oldest
