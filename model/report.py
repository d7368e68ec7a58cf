"""Writes an evaluation as one HTML file that needs no network, and its main plot as a picture."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from model.console_report import METRIC_NAMES, headline, notes
from model.evaluate import Evaluation
from model.plots import plots_of, write_main_plot
from osusume.errors import UserError

PAGE, PICTURE = "index.html", "plot.png"


def write_report(folder: Path, evaluation: Evaluation) -> list[Path]:
    """Write `index.html` and `plot.png` to `folder` and return their paths.

    Raises `UserError` if the folder cannot be written to.
    """
    page, picture = folder / PAGE, folder / PICTURE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.write_bytes(render(evaluation).encode("utf-8", "replace"))  # JSON may hold half a surrogate pair
        write_main_plot(picture, evaluation)
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return [page, picture]


def render(evaluation: Evaluation) -> str:
    """Return the page. Titles and values come from the web, so everything except the drawings is escaped."""
    templates = Environment(loader=PackageLoader("model"), autoescape=True, undefined=StrictUndefined)
    return templates.get_template("report.html").render(
        evaluation=evaluation,
        figures=evaluation.figures,
        metric_names=METRIC_NAMES,
        headline=headline(evaluation),
        notes=notes(evaluation),
        plots=plots_of(evaluation),
        curve=evaluation.curve,
        leanings=evaluation.leanings,
        mistakes=evaluation.mistakes,
    )
