"""`python -m model bench`: measures packages against transformers' pipeline."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from model.commands import Commands


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "bench",
        help="measure packages against transformers' pipeline",
        description="Measure, in one run and on the same texts, transformers' text-classification pipeline, the "
        "exported graph in fp32 and the package in int8: items a second, seconds from process start to first score, "
        "size, peak memory, the largest difference of scores, and the share of the machine's peak. "
        "Contenders are measured in turn, three times, each time in a fresh process; figures are medians, ratios are "
        "taken round by round, with the least and the most. Takes about ten minutes on two cores.",
        epilog="example: python -m model bench --json bench.json",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="one small model, to test the command")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measure, with a progress bar, and print the tables."""
    from rich.console import Console  # noqa: PLC0415  # --help needs none of these
    from rich.progress import Progress  # noqa: PLC0415

    from model.bench import run_bench, steps, tables  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("measuring", total=steps(quick=options.quick))
        figures = run_bench(quick=options.quick, advance=lambda step: progress.update(bar, advance=1, description=step))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    console = Console()
    machine, peak = figures["machine"], figures["products_a_second"]
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {' '.join(machine['instructions'])}; peak "
        f"{peak['fp32'] / 1e9:.0f} billion products a second in fp32, {peak['int8'] / 1e9:.0f} in int8"
    )
    for table in tables(figures):
        console.print(table)
