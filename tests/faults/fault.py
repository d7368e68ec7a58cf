"""A fault: what it is called, what it does to a world, and the usual shape of it, a day of trouble and a calm one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from injector import Rule

from faults.harness import Harness, Settings
from faults.rows import Row


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong, in words for the table; `happen` does it and returns how often it was injected.

    When `happen` returns, the trouble is over and calm days have gone by. `seconds` is about how long it takes.
    """

    group: str
    name: str
    injected: str
    happen: Callable[[Harness], int]
    settings: Settings = field(default_factory=Settings)
    seconds: float = 5.0
    is_quick: bool = False

    def row(self, on: Harness) -> Row:
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


def a_day_of(*rules: Rule, new: int = 2) -> Callable[[Harness], int]:
    """Return what lets a day with `new` works go by under the rules, and then a calm day."""

    def happen(on: Harness) -> int:
        met = [replace(rule) for rule in rules]
        on.a_day(new, met)
        on.a_day(1)
        return sum(rule.met for rule in met)

    return happen


def presses_of(*rules: Rule) -> Callable[[Harness], int]:
    """Return what presses a button under the rules until the press is taken and told, and once more without them."""

    def happen(on: Harness) -> int:
        met = [replace(rule) for rule in rules]
        message = on.newest_message()
        on.wire.rules = met
        on.press_until_taken(message)
        on.settle()
        on.wire.rules = []
        on.press_until_taken(message)
        return sum(rule.met for rule in met)

    return happen
