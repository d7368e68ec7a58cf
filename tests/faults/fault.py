"""A fault: what it is called, what it does to a world, and the usual shape of it, a day of trouble and a calm one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from faults.injections import Fits
from faults.proxy import Act, Rule
from faults.rows import Row
from faults.world import Settings, World


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong, in words for the table; `happen` does it and returns how often it was injected.

    When `happen` returns, the trouble is over and calm days have gone by. `seconds` is about how long it takes.
    """

    group: str
    name: str
    injected: str
    happen: Callable[[World], int]
    settings: Settings = field(default_factory=Settings)
    seconds: float = 5.0
    is_quick: bool = False

    def row(self, on: World) -> Row:
        """Inject the fault into a world and return its row."""
        row = Row(self.group, self.name, self.injected)
        times: list[int] = []
        try:
            audit = on.observe(lambda world: times.append(self.happen(world)))
        except Exception as error:  # noqa: BLE001  # whatever stops a fault is reported, and the others go on
            row.problems.append(f"{type(error).__name__}: {error}")
        else:
            row.add(times[0], audit)
        return row


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule still to be made, since a rule counts what it meets: for the first `times` calls that fit."""

    fits: Fits
    act: Act
    times: float = math.inf

    def rule(self) -> Rule:
        """Return a rule that has met nothing yet."""
        return Rule(self.fits, self.act, self.times)


def a_day_of(*hits: Hit, new: int = 2) -> Callable[[World], int]:
    """Return what lets a day with `new` works go by under the hits, and then a calm day."""

    def happen(on: World) -> int:
        rules = [hit.rule() for hit in hits]
        on.a_day(new, rules)
        on.a_day(1)
        return sum(len(rule.met) for rule in rules)

    return happen


def presses_of(*hits: Hit) -> Callable[[World], int]:
    """Return what presses a button under the hits until the press is taken, and once more when they are gone."""

    def happen(on: World) -> int:
        rules = [hit.rule() for hit in hits]
        message = on.newest_message()
        on.wire.rules = rules
        on.press_until_taken(message)
        on.wire.rules = []
        on.press_until_taken(message)
        return sum(len(rule.met) for rule in rules)

    return happen
