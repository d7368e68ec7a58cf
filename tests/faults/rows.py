"""What the harness reports: a row a fault."""

from __future__ import annotations

from dataclasses import dataclass, field

from faults.harness import Audit
from faults.observations import Seen


@dataclass(slots=True)
class Row:
    """One fault and what came of it: how often it was injected, three counts, what else was wrong, what was seen.

    `figures` are what was measured, by name.
    """

    group: str
    name: str
    injected: str
    times: int = 0
    lost: int = 0
    doubled: int = 0
    presses_lost: int = 0
    problems: list[str] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)
    figures: dict[str, float] = field(default_factory=dict)

    def add(self, times: int, audit: Audit) -> None:
        """Add one run's injections and what came of them."""
        self.times += times
        self.lost += audit.lost
        self.doubled += audit.doubled
        self.presses_lost += audit.presses_lost
        self.problems += audit.problems
        self.seen += audit.seen

    def add_row(self, other: Row) -> None:
        """Add what came of more runs of the same fault."""
        self.times += other.times
        self.lost += other.lost
        self.doubled += other.doubled
        self.presses_lost += other.presses_lost
        self.problems += other.problems
        self.seen += other.seen

    @property
    def is_good(self) -> bool:
        """Whether the fault was injected, and nothing was lost, doubled or otherwise wrong."""
        return self.times > 0 and not (self.lost or self.doubled or self.presses_lost or self.problems)
