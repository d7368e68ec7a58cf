"""A queue of SQS in a simulation: a standard one, or a fair one, where a noisy owner's messages come after the others'.

After AWS's developer guide, "How Amazon SQS fair queues work". An owner is noisy with more than a tenth of the messages
in flight, 30 of them at least, or with more than a tenth of the recent processing time; until the owner's backlog is
done. Noisy owners are served when no quiet one waits, the one with the fewest messages in flight first. AWS does not
say how long "recent" is; here it is a minute.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

import simpy

NOISY_SHARE = 0.1
NOISY_IN_FLIGHT = 30
RECENT_SECONDS = 60.0

Owner = TypeVar("Owner", bound=Hashable)


class _Worked(NamedTuple, Generic[Owner]):
    at: float
    owner: Owner
    seconds: float


class Queue(Generic[Owner]):
    """Messages of owners; consumers `get` one, and call `done` when it is processed."""

    def __init__(self, env: simpy.Environment, *, is_fair: bool = True) -> None:
        self._env, self._is_fair = env, is_fair
        self._waiting: deque[tuple[Owner, object]] = deque()
        self._behind: dict[Owner, deque[tuple[Owner, object]]] = {}
        self._idle: deque[simpy.Event] = deque()
        self._in_flight: Counter[Owner] = Counter()
        self._all_in_flight = 0
        self._recent: deque[_Worked[Owner]] = deque()
        self._seconds: defaultdict[Owner, float] = defaultdict(float)
        self._all_seconds = 0.0

    def put(self, owner: Owner, message: object) -> None:
        """Add a message, or hand it to a consumer that waits."""
        self._waiting.append((owner, message))
        while self._idle and (found := self._next()):
            self._idle.popleft().succeed(found)

    def get(self) -> simpy.Event:
        """Return an event whose value is the next owner and message."""
        event = self._env.event()
        found = self._next()
        if found:
            event.succeed(found)
        else:
            self._idle.append(event)
        return event

    def done(self, owner: Owner, seconds: float) -> None:
        """Note that a message of the owner was processed, in so many seconds."""
        self._in_flight[owner] -= 1
        self._all_in_flight -= 1
        if self._is_fair:
            self._recent.append(_Worked(self._env.now, owner, seconds))
            self._seconds[owner] += seconds
            self._all_seconds += seconds

    def _next(self) -> tuple[Owner, object] | None:
        while self._waiting:
            found = self._waiting.popleft()
            owner = found[0]
            if self._is_fair and (owner in self._behind or self._is_noisy(owner)):
                self._behind.setdefault(owner, deque()).append(found)
            else:
                return self._taken(found)
        if not self._behind:
            return None
        owner = min(self._behind, key=lambda each: self._in_flight[each])
        found = self._behind[owner].popleft()
        if not self._behind[owner]:
            del self._behind[owner]
        return self._taken(found)

    def _taken(self, found: tuple[Owner, object]) -> tuple[Owner, object]:
        self._in_flight[found[0]] += 1
        self._all_in_flight += 1
        return found

    def _is_noisy(self, owner: Owner) -> bool:
        own = self._in_flight[owner]
        if own >= NOISY_IN_FLIGHT and own > NOISY_SHARE * self._all_in_flight:
            return True
        while self._recent and self._recent[0].at < self._env.now - RECENT_SECONDS:
            old = self._recent.popleft()
            self._seconds[old.owner] -= old.seconds
            self._all_seconds -= old.seconds
        return self._seconds.get(owner, 0.0) > NOISY_SHARE * self._all_seconds
