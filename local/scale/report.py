"""What `scale` found, printed as tables and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.scale.measured import Measured, Run, means
from local.scale.prediction import FEW_AT_ONCE, GOAL_SECONDS, LARGE_ITEMS, OTHER_OWNERS, Neighbours, Row
from local.scale.validation import BELIEVED, Comparison

MOST_SLOWED = 2.0
"""How many times as long an owner may wait beside a large one."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was measured, how far the model is off, and what it predicts."""

    measured: Measured
    comparisons: list[Comparison]
    rows: list[Row]
    neighbours: Neighbours

    @property
    def problems(self) -> list[str]:
        """Say why the predictions are not to be believed; nothing if they are."""
        problems = [
            f"{owners} owners: {_counted(run)} items or presses lost, doubled, crossed"
            for owners, run in self.measured.runs.items()
            if any(asdict(run.counts).values())
        ]
        problems += [
            f"{each.what} of {each.owners} owners: predicted {each.predicted:.3g} s, measured {each.measured:.3g} s:"
            " the model is not to be believed; run it again while nothing else runs on this machine"
            for each in self._judged
            if not each.is_close
        ]
        if self.neighbours.worst_fair > MOST_SLOWED:
            problems.append(f"beside a large owner another waits {self.neighbours.worst_fair:.1f} times as long")
        return problems

    @property
    def _judged(self) -> list[Comparison]:
        """The comparisons of the largest run, which the model has not seen."""
        return [each for each in self.comparisons if each.owners == max(self.measured.runs)]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {**asdict(self), "problems": self.problems}

    def print(self, console: Console) -> None:
        """Print everything as tables."""
        console.print(Text(f"Measured {self.measured.at} on {self.measured.machine}"))
        for table in (self._runs(), self._validation(), self._predictions(), self._bottlenecks()):
            console.print(table)
        console.print(Text(self._remarks()), soft_wrap=True)

    def _runs(self) -> Table:
        table = Table(title="On this machine")
        for name in ("owners", "a delivery", "waits for AWS", "a press", "other load", "lost, doubled, crossed"):
            table.add_column(name, justify="right")
        for owners, run in self.measured.runs.items():
            invoked = sum(batch.invoked["notifier"] for batch in run.deliveries)
            calling = sum(batch.calling for batch in run.deliveries)
            jobs = sum(len(batch.seconds) for batch in run.deliveries)
            presses = [seconds for batch in run.presses for seconds in batch.seconds]
            table.add_row(
                f"{owners:,}",
                f"{invoked / jobs:.2f} s",
                f"{calling / invoked:.0%}",
                f"{1000 * sum(presses) / len(presses):.0f} ms",
                f"{means(run.deliveries).others:.1f}",
                _counted(run),
            )
        return table

    def _validation(self) -> Table:
        table = Table(title="The model of this machine")
        for name in ("owners", "what", "predicted", "measured", "off by", "known"):
            table.add_column(name, justify="right")
        for each in self.comparisons:
            note = "" if each in self._judged else "yes"
            seconds = (f"{value:.3g} s" for value in (each.predicted, each.measured))
            table.add_row(f"{each.owners:,}", each.what, *seconds, f"{each.error:+.0%}", note)
        return table

    def _predictions(self) -> Table:
        table = Table(title="On AWS, predicted")
        for name in ("owners", "items/s", "delivery, p99", "presses/s", "press, p99", "throttled", "yen/owner"):
            table.add_column(name, justify="right")
        for row in self.rows:
            table.add_row(
                f"{row.owners:,}",
                f"{row.items_a_second:,.0f}",
                f"{row.delivery_p99:,.0f} s",
                f"{row.presses_a_second:.2g}" if row.presses_a_second < 1 else f"{row.presses_a_second:.0f}",
                f"{1000 * row.press_p99:,.0f} ms",
                f"{row.throttled:,}",
                f"{sum(row.yen.values()):,.1f}",
            )
        return table

    def _bottlenecks(self) -> Table:
        table = Table(title="What limits a delivery first")
        table.add_column("owners", justify="right")
        for name in ("first bottleneck", "its remedy", "p99 then"):
            table.add_column(name)
        for row in self.rows:
            (remedy, seconds), *_ = row.remedies
            table.add_row(f"{row.owners:,}", row.bottleneck, remedy, f"{seconds:,.0f} s")
        return table

    def _remarks(self) -> str:
        most = self.rows[-1]
        steps = ", ".join(f"{remedy} ({seconds:,.0f} s)" for remedy, seconds in most.remedies)
        each = self.neighbours
        return (
            f"To serve {most.owners:,} owners within {GOAL_SECONDS:.0f} s, one after the other, each with the p99 of a"
            f" delivery then: {steps}.\n"
            f"Beside an owner with {LARGE_ITEMS:,} items, {OTHER_OWNERS} others, {FEW_AT_ONCE} of them served at once,"
            f" wait at most {each.worst_fair:.1f} times as long in a fair queue (p99 {each.p99_fair:.1f}), and"
            f" {each.worst_unfair:.1f} times in a plain one (p99 {each.p99_unfair:.1f}).\n"
            f"The model is believed if no figure of the largest run is off by more than {BELIEVED:.0%}:"
            f" {'it is' if not self.problems else 'it is not'}."
        )


def _counted(run: Run) -> str:
    return f"{run.counts.lost}, {run.counts.doubled}, {run.counts.crossed}"
