"""Prints an evaluation on a terminal."""

from __future__ import annotations

from statistics import mean, pstdev

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from model.evaluate import NGRAMS, PACKAGE, Evaluation
from model.feature_importance import Leaning
from model.intervals import METRICS, Estimate

METRIC_NAMES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "average_precision": "average precision",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
}
_NARROW = 100
"""On a terminal with fewer columns the baselines have no intervals."""


def print_report(console: Console, evaluation: Evaluation) -> None:
    """Print the figures, the learning curve, the features with the largest effect, and the worst mistakes."""
    console.print(Text.assemble((f"{shown(evaluation.version)}", "bold"), f": {headline(evaluation)}"))
    console.print(_figures(evaluation, narrow=console.width < _NARROW))
    for note in notes(evaluation):
        console.print(Text(note))
    if evaluation.curve:
        console.print(_curve(evaluation))
    for name, leanings in evaluation.leanings.items():
        console.print(_leanings(name, leanings))
    if evaluation.mistakes:
        console.print(_mistakes(evaluation))


def headline(evaluation: Evaluation) -> str:
    """Return what was judged and how, in one sentence."""
    judged = "its recipe, out of fold" if evaluation.refitted else f"at its threshold {evaluation.threshold:.3f}"
    total = len(evaluation.labels)
    return f"{total} labels, {evaluation.liked} of them interested; judged {judged}"


def notes(evaluation: Evaluation) -> list[str]:
    """Return what a reader must know to interpret the figures."""
    told = []
    if evaluation.gain:
        gain = evaluation.gain["average_precision"]
        told.append(
            f"Average precision less that of the character n-grams: {gain.value:+.3f}"
            f" ({gain.low:+.3f} to {gain.high:+.3f}, on the same resamples)."
        )
    else:
        told.append("One kind has a single label: no baseline can be trained.")
    for name, figures in evaluation.of_folds.items():
        means = [
            f"{METRIC_NAMES[metric]} {mean(values):.3f} ± {pstdev(values):.3f}" for metric, values in figures.items()
        ]
        told.append(f"Mean and deviation of the {len(figures['f1'])} folds, {name}: {', '.join(means)}.")
    if evaluation.maybe_trained_on:
        told.append("The card has the same label counts: the package was probably trained on these labels.")
    if not evaluation.refitted:
        told.append("Figures on a package's training labels are too good; --refit judges its recipe out of fold.")
    if evaluation.taste == "made-up":
        told.append("The package's taste is made up: without a refit these figures say nothing about an owner's taste.")
    return told


def shown(text: str) -> str:
    """Return a text from the web that is safe on a terminal: one line, without control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


def _table(title: str, *columns: str) -> Table:
    return Table(*columns, title=title, title_justify="left", title_style="bold", box=SIMPLE, pad_edge=False)


def _figures(evaluation: Evaluation, *, narrow: bool) -> Table:
    table = _table("With 95 % bootstrap intervals", "")
    for name in evaluation.figures:
        table.add_column(name, justify="right", style="bold" if name == PACKAGE else None, no_wrap=True)
    for metric in METRICS:
        cells = [
            _cell(figures[metric], with_interval=name == PACKAGE or not narrow)
            for name, figures in evaluation.figures.items()
        ]
        table.add_row(METRIC_NAMES[metric], *cells)
    return table


def _cell(estimate: Estimate, *, with_interval: bool) -> str:
    return f"{estimate.value:.3f}" + (f" ({estimate.low:.3f}–{estimate.high:.3f})" if with_interval else "")


def _curve(evaluation: Evaluation) -> Table:
    table = _table("Learning curve: average precision, mean (least–most)")
    for name in ("labels", PACKAGE, NGRAMS):
        table.add_column(name, justify="right")
    for point in evaluation.curve:
        table.add_row(str(point.labels), _spread(point.package), _spread(point.ngrams))
    return table


def _spread(values: list[float]) -> str:
    return f"{sum(values) / len(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def _leanings(name: str, leanings: list[Leaning]) -> Table:
    table = _table(f"What it leans on: {name}", "field", "value")
    table.add_column("effect", justify="right")
    for leaning in leanings:
        style = "green" if leaning.effect > 0 else "red"
        table.add_row(shown(leaning.field), Text(shown(leaning.value)), Text(f"{leaning.effect:+.3f}", style=style))
    return table


def _mistakes(evaluation: Evaluation) -> Table:
    table = _table("Most wrong")
    table.add_column("score", justify="right")
    table.add_column("label", justify="right")
    table.add_column("title")
    table.add_column("reasons")
    for mistake in evaluation.mistakes:
        reasons = ", ".join(f"{shown(reason.value)} {reason.effect:+.2f}" for reason in mistake.reasons)
        label = str(int(mistake.is_interested))
        table.add_row(f"{mistake.score:.3f}", label, Text(shown(mistake.title)), Text(reasons))
    return table
