"""Shows simulations: a table on the console, and a plot. The plot needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from model.simulate import LAST_DAYS, STEP_DAYS, Figures, Plan, Simulated, interval

_WIDTH = 100
"""The table needs so many columns; a narrower terminal wraps its lines."""


def print_results(plan: Plan, results: Sequence[Simulated]) -> None:
    """Print the figures of each loop, and ours in proportion to the others, seed by seed."""
    console = Console(highlight=False, width=max(Console().width, _WIDTH))
    loops = list(dict.fromkeys(result.loop for result in results))
    table = Table(title=f"means of the last {LAST_DAYS} days, ± half of the 95 % interval")
    table.add_column("")
    for loop in loops:
        table.add_column(loop, justify="right", no_wrap=True)
    for each in fields(Figures):
        values = [[getattr(r.last, each.name) for r in results if r.loop == loop] for loop in loops]
        table.add_row(each.name, *map(_cell, values))
    console.print(table)
    ours = {result.seed: result for result in results if result.loop == "ours"}
    for loop in loops[1:]:
        other = {result.seed: result for result in results if result.loop == loop}
        gains = [ours[seed].last.f1 - other[seed].last.f1 for seed in ours]
        line = f"F1 of ours less that of {loop}: {_cell(gains)}"
        if loop == "all labels":
            shares = [_ratio(ours[seed].last.f1, other[seed].last.f1) for seed in ours]
            posts = [_ratio(ours[seed].last.recommended, other[seed].last.recommended) for seed in ours]
            line += f"; share of it: {_cell(shares)}; posts: {_cell(posts)} times as many"
        console.print(line, soft_wrap=True)
    decisions = sorted({action for result in ours.values() for action in result.decisions})
    means = {action: np.mean([result.decisions.get(action, 0) for result in ours.values()]) for action in decisions}
    console.print(
        "nights of ours: " + ", ".join(f"{action} {mean:.1f}" for action, mean in means.items()), soft_wrap=True
    )
    if plan.change_at is not None:
        pairs = [(r.before_change, r.after_change) for r in ours.values() if r.before_change and r.after_change]
        ratios = [_ratio(after.utility, before.utility) for before, after in pairs]
        line = f"utility from 10 to 20 days after the change, as a share of the 10 days before it: {_cell(ratios)}"
        console.print(line, soft_wrap=True)


def write_plot(path: Path, plan: Plan, results: Sequence[Simulated]) -> None:
    """Write the F1 of each loop over the days, its mean and the range over the seeds, as a PNG."""
    from matplotlib.figure import Figure  # noqa: PLC0415  # the table works without it

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for loop in dict.fromkeys(result.loop for result in results):
        curves = np.array([[each.f1 for each in result.curve] for result in results if result.loop == loop])
        days = (np.arange(curves.shape[1]) + 0.5) * STEP_DAYS
        (line,) = axes.plot(days, curves.mean(axis=0), label=loop)
        axes.fill_between(days, curves.min(axis=0), curves.max(axis=0), color=line.get_color(), alpha=0.15, linewidth=0)
    if plan.change_at is not None:
        axes.axvline(plan.change_at, color="0.5", linestyle="--")
    axes.set(xlabel="day", ylabel=f"F1 in {STEP_DAYS} days", ylim=(0, 1), xlim=(0, plan.days))
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _cell(values: Sequence[float]) -> str:
    mean, low, high = interval(values)
    return f"{mean:.3f}" if low == float("-inf") else f"{mean:.3f} ±{(high - low) / 2:.3f}"


def _ratio(one: float, other: float) -> float:
    return one / other if other else float("nan")
