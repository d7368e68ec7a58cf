"""Draws the plots of an evaluation: as SVG for a page in light and dark, and the main one as PNG. Needs matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest  # type: ignore[attr-defined]  # it is imported there without an alias
from sklearn.metrics import precision_recall_curve

from model.evaluate import MAJORITY, NGRAMS, PACKAGE, Evaluation
from model.intervals import LEVEL, Judged

_INCHES = (5.0, 3.6)
_PNG_DPI = 200
_BINS = 10
_LEAST_ROWS_A_BIN = 5
_HISTOGRAM_BINS = 25


@dataclass(frozen=True, slots=True)
class _Palette:
    ink: str
    faint: str
    model: str
    other: str


_LIGHT = _Palette(ink="#1c2430", faint="#c9ced6", model="#0b62c4", other="#b45309")
_STAND_INS = _Palette(ink="#123450", faint="#123451", model="#123452", other="#123453")
"""Unused colours, which an SVG replaces by the page's variables, so that it follows the reader's theme."""

_Draw = Callable[[Axes, Evaluation, _Palette], None]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot as inline SVG, with its heading and a description for readers and screen readers."""

    heading: str
    says: str
    svg: str


def plots_of(evaluation: Evaluation) -> list[Plot]:
    """Return the plots that the evaluation has values for."""
    ranking = evaluation.figures[PACKAGE]["average_precision"].value
    drawn = [
        Plot(
            "Precision and recall",
            f"The share of chosen items that are liked, by the share of liked items that are chosen. Average precision"
            f" is {ranking:.3f}; the dot marks the threshold.",
            _svg("ranking", _precision_recall, evaluation),
        ),
        Plot(
            "Calibration",
            "The share of items with about the same score that are liked, with 95 % intervals. On the diagonal, seven"
            " in ten are liked at a score of 0.7.",
            _svg("calibration", _calibration, evaluation),
        ),
        Plot(
            "Scores by label",
            "The share of each kind's items at each score. A better model separates the two more. "
            + ("Each fold has its own threshold." if evaluation.refitted else "The line is the threshold."),
            _svg("scores", _histogram, evaluation),
        ),
    ]
    if evaluation.curve:
        says = "Average precision by number of training labels: the mean of the repeats, and their range."
        drawn.insert(0, Plot("Learning curve", says, _svg("curve", _learning_curve, evaluation)))
    return drawn


def write_main_plot(path: Path, evaluation: Evaluation) -> None:
    """Write the learning curve, or the precision-recall curve if there is none, as a PNG on white."""
    draw = _learning_curve if evaluation.curve else _precision_recall
    with _style(_LIGHT):
        _figure(draw, evaluation, _LIGHT).savefig(path, dpi=_PNG_DPI, facecolor="white")


def _svg(name: str, draw: _Draw, evaluation: Evaluation) -> str:
    """Return the drawing as SVG for a page: its ids begin with `name`, its colours and fonts are the page's."""
    written = io.StringIO()
    with _style(_STAND_INS):
        figure = _figure(draw, evaluation, _STAND_INS)
        for artist in figure.findobj():
            artist.set_clip_on(False)  # a clip path has an id, which two plots might share
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    svg = written.getvalue()
    svg = re.sub(
        r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.DOTALL
    )
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1)
    svg = re.sub(r"font: [^;\"]*?(\d+)px [^;\"]*", r"font-size: \1px", svg)
    used = set(re.findall(r'xlink:href="#([^"]+)"', svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", svg)
    svg = svg.replace('xlink:href="#', f'href="#{name}-')
    for colour in ("ink", "faint", "model", "other"):
        svg = svg.replace(getattr(_STAND_INS, colour), f"var(--{colour})")
    return svg


def _figure(draw: _Draw, evaluation: Evaluation, palette: _Palette) -> Figure:
    figure = Figure(figsize=_INCHES, layout="constrained")  # pyplot would keep it for the life of the process
    draw(figure.subplots(), evaluation, palette)
    return figure


def _style(palette: _Palette) -> AbstractContextManager[None]:
    settings: Any = {  # its own type lists every setting
        "svg.fonttype": "none",
        "svg.hashsalt": "osusume",
        "font.size": 11,
        "text.color": palette.ink,
        "axes.labelcolor": palette.ink,
        "axes.edgecolor": palette.faint,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": palette.faint,
        "ytick.color": palette.faint,
        "xtick.labelcolor": palette.ink,
        "ytick.labelcolor": palette.ink,
        "lines.linewidth": 2,
        "lines.solid_capstyle": "round",
    }
    return mpl.rc_context(settings)


def _precision_recall(axes: Axes, evaluation: Evaluation, palette: _Palette) -> None:
    share = evaluation.liked / len(evaluation.labels)
    axes.axhline(share, color=palette.faint, linewidth=1.5)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="recall", ylabel="precision")
    # The names are in a corner that curves seldom reach: above the line of the majority class, or well below it.
    lowest = share + 0.04 if share < 0.35 else 0.06
    colours = {MAJORITY: palette.ink, NGRAMS: palette.other, PACKAGE: palette.model}
    for row, name in enumerate(name for name in colours if name in evaluation.figures):
        figures, colour = evaluation.figures[name], colours[name]
        axes.text(0.04, lowest + 0.085 * row, f"{name} {figures['average_precision'].value:.3f}", color=colour)
        if name == MAJORITY:
            continue
        precision, recall, _ = precision_recall_curve(evaluation.labels, evaluation.judged[name].scores)
        reached = recall > 0
        axes.step(recall[reached], precision[reached], where="post", color=colour)
        axes.plot(figures["recall"].value, figures["precision"].value, "o", color=colour)


def _calibration(axes: Axes, evaluation: Evaluation, palette: _Palette) -> None:
    axes.plot([0, 1], [0, 1], color=palette.faint, linewidth=1.5)
    for score, liked, rows in _bins(evaluation.judged[PACKAGE], evaluation):
        interval = binomtest(liked, rows).proportion_ci(LEVEL, method="wilson")
        axes.plot([score, score], [interval.low, interval.high], color=palette.model, alpha=0.45)
        axes.plot(score, liked / rows, "o", color=palette.model)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.03), xlabel="score", ylabel="share of liked items")


def _bins(judged: Judged, evaluation: Evaluation) -> list[tuple[float, int, int]]:
    """Return mean score, liked items and items of up to `_BINS` groups of equal size, from low to high scores."""
    order = np.argsort(judged.scores, kind="stable")
    groups = np.array_split(order, max(1, min(_BINS, len(order) // _LEAST_ROWS_A_BIN)))
    return [(float(judged.scores[g].mean()), int(evaluation.labels[g].sum()), len(g)) for g in groups]


def _histogram(axes: Axes, evaluation: Evaluation, palette: _Palette) -> None:
    edges = np.linspace(0, 1, _HISTOGRAM_BINS + 1)
    scores = evaluation.judged[PACKAGE].scores
    for row, (label, name, colour) in enumerate(((1, "liked", palette.model), (0, "not liked", palette.other))):
        of_kind = scores[evaluation.labels == label]
        shares = np.histogram(of_kind, edges)[0] / len(of_kind)
        axes.stairs(shares, edges, color=colour, linewidth=2)
        axes.stairs(shares, edges, color=colour, fill=True, alpha=0.18)
        axes.text(
            0.5, 0.9 - 0.09 * row, f"{name} ({len(of_kind)})", color=colour, ha="center", transform=axes.transAxes
        )
    if not evaluation.refitted:
        axes.axvline(evaluation.threshold, color=palette.ink, linewidth=1.5, ymax=0.7)
        axes.text(evaluation.threshold, 0.71, f"threshold {evaluation.threshold:.3f}", ha="center",
                  transform=axes.get_xaxis_transform())  # fmt: skip
    axes.set(xlim=(-0.01, 1.01), xlabel="score", ylabel="share of its kind")
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))


def _learning_curve(axes: Axes, evaluation: Evaluation, palette: _Palette) -> None:
    sizes = [point.labels for point in evaluation.curve]
    lines = (
        ("character n-grams", palette.other, [point.ngrams for point in evaluation.curve]),
        ("this package's recipe", palette.model, [point.package for point in evaluation.curve]),
    )
    for row, (name, colour, values) in enumerate(lines):
        axes.fill_between(
            sizes, [min(v) for v in values], [max(v) for v in values], color=colour, alpha=0.15, linewidth=0
        )
        axes.plot(sizes, [sum(v) / len(v) for v in values], "o-", color=colour, markersize=4)
        axes.text(0.98, 0.06 + 0.085 * row, name, color=colour, ha="right", transform=axes.transAxes)
    axes.set(xscale="log", xlabel="training labels", ylabel="average precision", ylim=(None, 1.0))
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xticks([], minor=True)
