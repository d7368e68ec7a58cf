"""What the harness reports: a row a fault."""

from __future__ import annotations

from dataclasses import dataclass, field

from faults.harness import Audit


@dataclass(slots=True)
class Row(Audit):
    """One fault, how often it was injected, and what came of it. `figures` are what was measured, by name."""

    group: str
    name: str
    injected: str
    times: int = 0
    figures: dict[str, float] = field(default_factory=dict)

    def add(self, times: int, audit: Audit) -> None:
        """Add more injections and what came of them."""
        self.times += times
        self.lost += audit.lost
        self.doubled += audit.doubled
        self.presses_lost += audit.presses_lost
        self.problems += audit.problems
        self.seen += audit.seen

    @property
    def is_good(self) -> bool:
        """Whether the fault was injected, and nothing was lost, doubled or otherwise wrong."""
        return self.times > 0 and self.is_clean
