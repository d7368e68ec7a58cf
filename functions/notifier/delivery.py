"""Each message reaches the channel once, whoever is running, dying or repeating at the same time.

A message's record in the ledger is claimed before it is posted. Where an earlier claim has run out, or the outcome of a
post is not known, the channel is searched for the message before it is posted again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from notifier.channel import Channel, ChannelRefused, MessageRefused, RateLimited, Unclear
from osusume.ledger import Claim, Ledger
from osusume.messages import Block
from osusume.observability import logger

UNCLEAR_TRIES = 2
LOOK_AGAIN_SECONDS = 1.0

CLOCK_SKEW_SECONDS = 300
"""How far this clock may be from Slack's: the channel is searched from that long before the record was made."""


class Undelivered(RuntimeError):
    """Raised when messages are left that this run could not post; the ledger keeps them for the next.

    `refused` tells that Slack refused some of them, and that a later run gives them up.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


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


def deliver(posts: Iterable[Post], ledger: Ledger, channel: Channel, claim_seconds: float, clock: Clock) -> int:
    """Post what is not in the channel yet, in order; return how many messages this call found or put there.

    A message that somebody else has claimed is waited for: either they post it, or their claim runs out and it is taken
    over. One that Slack refuses run after run is given up: it is `refused` in the ledger from then on. Raises
    `Undelivered` where time runs out, where it stays unclear whether messages were posted or where Slack refuses single
    ones that are not given up yet, and `ChannelRefused` where it refuses them all.
    """
    waiting = deque(posts)
    tries: Counter[str] = Counter()
    left: deque[Post] = deque()
    delivered = 0
    refused = False
    while waiting:
        post = waiting.popleft()
        if clock.remaining() < 2 * channel.call_seconds:
            raise Undelivered(f"no time left for {post.record_id} and {len(waiting)} more: the next try goes on")
        claim = ledger.claim(post.record_id, claim_seconds)
        if claim == "posting":
            waiting.append(post)
            clock.sleep(LOOK_AGAIN_SECONDS)
        if not isinstance(claim, Claim):
            continue
        try:
            ts = _ts_in_channel(post, claim, channel) or _post(post, claim, channel, clock)
        except RateLimited as error:
            ledger.release(claim)
            waiting.appendleft(post)
            clock.sleep(min(error.seconds, clock.remaining()))
        except Unclear as error:
            # the claim stays until it runs out: whoever takes it over then looks in the channel first
            logger.warning("it is not known whether a message was posted", record_id=post.record_id, error=str(error))
            tries[post.record_id] += 1
            (waiting if tries[post.record_id] < UNCLEAR_TRIES else left).append(post)
        except MessageRefused as error:
            given_up = ledger.refuse(claim)
            logger.error("Slack refuses a message", record_id=post.record_id, given_up=given_up, error=str(error))
            if not given_up:
                refused = True
                left.append(post)
        except ChannelRefused:
            ledger.release(claim)
            raise
        else:
            ledger.posted(claim, channel.channel_id, ts)
            delivered += 1
    if left:
        names = ", ".join(post.record_id for post in left)
        raise Undelivered(f"not posted: {names}; the log says why", refused=refused)
    return delivered


def _ts_in_channel(post: Post, claim: Claim, channel: Channel) -> str | None:
    """Return the ts of the message where somebody posted it before; only a claim taken over leaves that open."""
    return channel.find(post.metadata, post.recorded_at - CLOCK_SKEW_SECONDS) if claim.taken_over else None


def _post(post: Post, claim: Claim, channel: Channel, clock: Clock) -> str:
    refusal = MessageRefused("it has no blocks")
    for blocks in filter(None, (post.blocks, post.spare_blocks)):
        if clock.now() + channel.call_seconds > claim.expires_at:
            raise Unclear("the claim would run out while the message is posted")
        try:
            return channel.post(post.text, blocks, post.metadata)
        except MessageRefused as error:
            refusal = error
    raise refusal
