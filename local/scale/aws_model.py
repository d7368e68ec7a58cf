"""A model of AWS with many owners: from the snapshot to everyone's last post, and the presses of a busy morning.

    one crawl -> SNS -> fan-out -> fair queue -> deliveries, so many at once -> each owner's ledger and channel

Every delivery of every owner is simulated, 100,000 of them too. What is put together is what happens inside one: the
calls of DynamoDB and Slack are one span of time, and their write units are taken from the table's allowance at once. Of
the presses ten minutes are simulated with the owners who would press then, less where these are more than
`_MOST_LOOKING`.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import simpy

from local.scale.fair_queue import Queue
from local.scale.service import Service

Process = Generator[simpy.Event, Any, None]
Attempt = Generator[simpy.Event, Any, bool]

FAN_OUT_BATCH, FAN_OUT_BATCH_SECONDS = 10, 0.01
"""Messages that the fan-out sends at a time, and how long that takes; both are assumed."""

TRIES = 5
"""Of a call that is throttled, as boto3 has it by default; then the invocation fails, and SQS delivers it again."""

REDELIVERY_SECONDS = 720.0
"""The queue's visibility timeout in template-many-owners.yaml."""

IDLE_SECONDS = 300.0
"""After so long without an event Lambda is assumed to end a function's process."""

WINDOW_SECONDS, MORNING_SECONDS, BETWEEN_PRESSES_SECONDS = 600.0, 3600.0, 10.0
"""The presses of a window are simulated, of the hour in which the owners look; an owner's mean pause between two."""

PRESSES_AN_OWNER = 5
_LEAST_PRESSES = 2000
_MOST_LOOKING = 3000
_VARIATION = 4.0
"""The shape of the gamma distribution of service times: their standard deviation is half of their mean."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """What AWS and Slack allow by default, in Tokyo; each can be raised or avoided, see `local.scale.bottlenecks`."""

    pollers: float = 5.0
    pollers_a_second: float = 300 / 60
    deliveries_at_once: int = 900
    presses_at_once: int = 100
    secret_reads_a_second: float = 40.0
    writes_a_second: float = 40_000.0
    posts_a_second: float = 1.0


@dataclass(frozen=True, slots=True)
class Message:
    """What the queue holds for an owner: some works to record, and then some messages to post."""

    owner: int
    record_seconds: float
    posts: int
    writes: float


@dataclass(slots=True)
class Delivered:
    """When the last message of each owner was done, in seconds since the snapshot; how often AWS refused a call."""

    ends: dict[int, float] = field(default_factory=dict)
    throttled: int = 0


@dataclass(slots=True)
class Pressed:
    """How long each press took, how many there were a second, and how many found no room."""

    seconds: list[float] = field(default_factory=list)
    a_second: float = 0.0
    throttled: int = 0


def morning(owners: int, service: Service) -> list[Message]:
    """Return the messages of an ordinary morning, one an owner."""
    writes = service.writes(service.posts)
    return [Message(owner, service.record_seconds, service.posts, writes) for owner in range(owners)]


def with_large_owner(messages: Sequence[Message], items: int, service: Service) -> list[Message]:
    """Return `messages` behind those of one more owner with so many items, in slices of an ordinary morning's size."""
    slices, most = items // service.items, 33  # MaxPosts and ExploredItemsADay bound what is posted
    large = [Message(-1, service.record_seconds, 0, service.writes(0)) for _ in range(slices - 1)]
    return [*large, Message(-1, service.record_seconds, most, service.writes(most)), *messages]


class _Allowance:
    """Calls or units that a service allows a second; it saves up those of one second."""

    def __init__(self, env: simpy.Environment, a_second: float) -> None:
        self._env, self._a_second = env, a_second
        self._free_at = -1.0

    def take(self, units: float) -> bool:
        """Take the units if there are any now; return whether there were."""
        if self._free_at > self._env.now:
            return False
        self.reserve(units)
        return True

    def reserve(self, units: float) -> float:
        """Take the units, now or later; return the seconds until there are any."""
        starts = max(self._free_at, self._env.now - 1.0)
        self._free_at = starts + units / self._a_second
        return max(0.0, starts - self._env.now)


def deliver(
    messages: Sequence[Message], service: Service, quotas: Quotas, *, is_fair: bool = True, seed: int = 1
) -> Delivered:
    """Return when each owner's delivery was done."""
    return _Deliveries(messages, service, quotas, is_fair, seed).run()


class _Deliveries:
    def __init__(self, messages: Sequence[Message], service: Service, quotas: Quotas, is_fair: bool, seed: int) -> None:
        self._env = simpy.Environment()
        self._messages, self._service, self._quotas = messages, service, quotas
        self._queue: Queue[int] = Queue(self._env, is_fair=is_fair)
        self._secrets = _Allowance(self._env, quotas.secret_reads_a_second)
        self._writes = _Allowance(self._env, quotas.writes_a_second)
        self._rng = random.Random(seed)  # noqa: S311  # a simulation
        self._delivered = Delivered()
        self._left = len(messages)
        self._all_done = self._env.event()

    def run(self) -> Delivered:
        self._env.process(self._fan_out())
        for number in range(min(self._quotas.deliveries_at_once, len(self._messages))):
            self._env.process(self._poll(max(0.0, number + 1 - self._quotas.pollers) / self._quotas.pollers_a_second))
        self._env.run(until=self._all_done)
        return self._delivered

    def _fan_out(self) -> Process:
        for first in range(0, len(self._messages), FAN_OUT_BATCH):
            yield self._env.timeout(FAN_OUT_BATCH_SECONDS)
            for message in self._messages[first : first + FAN_OUT_BATCH]:
                self._queue.put(message.owner, message)

    def _poll(self, starts: float) -> Process:
        yield self._env.timeout(starts)
        while True:
            owner, message = yield self._queue.get()
            began = self._env.now
            is_done = yield from self._deliver(message)
            self._queue.done(owner, self._env.now - began)
            if is_done:
                self._delivered.ends[owner] = self._env.now
                self._left -= 1
                if not self._left:
                    self._all_done.succeed()
            else:
                self._env.process(self._again(owner, message))

    def _deliver(self, message: Message) -> Attempt:
        """Read the secret, record and post; return whether that worked."""
        for attempt in range(TRIES):
            if self._secrets.take(1):
                break
            self._delivered.throttled += 1
            yield self._env.timeout(self._rng.uniform(0, min(20, 2**attempt)))
        else:
            return False
        if wait := self._writes.reserve(message.writes):
            self._delivered.throttled += 1
            yield self._env.timeout(wait)
        varied = self._rng.gammavariate(_VARIATION, 1 / _VARIATION)
        pause = max(1 / self._quotas.posts_a_second, self._service.post_seconds)
        posting = (message.posts - 1) * pause + self._service.post_seconds if message.posts else 0.0
        yield self._env.timeout(message.record_seconds * varied + posting)
        return True

    def _again(self, owner: int, message: Message) -> Process:
        yield self._env.timeout(REDELIVERY_SECONDS)
        self._queue.put(owner, message)


def press(owners: int, service: Service, quotas: Quotas, *, seed: int = 1) -> Pressed:
    """Return how the presses of a morning fare. A few owners have as many mornings as make enough presses."""
    rng, pressed = random.Random(seed), Pressed()  # noqa: S311  # a simulation
    looking = min(_MOST_LOOKING, max(1, round(owners * WINDOW_SECONDS / MORNING_SECONDS)))
    window = min(WINDOW_SECONDS, looking / owners * MORNING_SECONDS)
    mornings = max(1, -(-_LEAST_PRESSES // (looking * PRESSES_AN_OWNER)))
    for _ in range(mornings):
        env = simpy.Environment()
        function = _Function(env, quotas.presses_at_once)
        for _ in range(looking):
            env.process(_look(env, function, rng.uniform(0, window), service, rng, pressed))
        env.run()
    pressed.a_second = owners * PRESSES_AN_OWNER / MORNING_SECONDS
    return pressed


class _Function:
    """The processes of the feedback function: how many are busy, and since when each of the others is idle."""

    def __init__(self, env: simpy.Environment, at_once: int) -> None:
        self._env, self._at_once = env, at_once
        self._idle: list[float] = []
        self._busy = 0

    def begin(self) -> bool | None:
        """Take a process and return whether it must start; None if too many are busy."""
        while self._idle and self._idle[0] < self._env.now - IDLE_SECONDS:
            self._idle.pop(0)
        if self._busy >= self._at_once:
            return None
        self._busy += 1
        if self._idle:
            self._idle.pop()
            return False
        return True

    def end(self) -> None:
        """Give a process back."""
        self._busy -= 1
        self._idle.append(self._env.now)


def _look(
    env: simpy.Environment, function: _Function, at: float, service: Service, rng: random.Random, pressed: Pressed
) -> Process:
    yield env.timeout(at)
    for _ in range(PRESSES_AN_OWNER):
        began = env.now
        if (yield from _invoke(env, function, service.press_seconds, service, rng)):
            pressed.seconds.append(env.now - began)
            env.process(_invoke(env, function, service.tell_seconds, service, rng))
        else:
            pressed.throttled += 1
        yield env.timeout(rng.expovariate(1 / BETWEEN_PRESSES_SECONDS))


def _invoke(
    env: simpy.Environment, function: _Function, seconds: float, service: Service, rng: random.Random
) -> Attempt:
    starts = function.begin()
    if starts is None:
        return False
    yield env.timeout(seconds * rng.gammavariate(_VARIATION, 1 / _VARIATION) + starts * service.press_start_seconds)
    function.end()
    return True
