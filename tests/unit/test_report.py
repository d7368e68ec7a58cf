from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from model.curve import CurvePoint
from model.evaluate import MAJORITY, NGRAMS, PACKAGE, Evaluation, Mistake
from model.feature_importance import MEASURED, Leaning
from model.intervals import METRICS, Judged, bootstrap
from model.report import render, write_report
from osusume.records import Reason

EVIL = '<script src="https://evil.example/x.js">alert(1)</script>'
VOID = {"meta", "br", "link", "img", "input", "hr"}


def evaluation(*, curve: bool = True, title: str = "雨の図書館") -> Evaluation:
    rng = np.random.default_rng(1)
    labels = np.array([0, 0, 1] * 40)
    judged = {name: Judged(scores := np.clip(0.5 * rng.random(120) + 0.3 * labels, 0, 1), scores >= 0.5)
              for name in (PACKAGE, NGRAMS, MAJORITY)}  # fmt: skip
    sampled = bootstrap(judged, labels, seed=1, resamples=20)
    return Evaluation(
        version="v-1",
        taste="owner",
        threshold=0.5,
        refitted=curve,
        maybe_trained_on=False,
        labels=labels,
        judged=judged,
        figures={name: sampled.estimates(name) for name in judged},
        gain=sampled.differences(PACKAGE, NGRAMS),
        of_folds={
            PACKAGE: {metric: [0.7, 0.8] for metric in METRICS},
            NGRAMS: {metric: [0.6, 0.7] for metric in METRICS},
        },
        curve=[CurvePoint(20, [0.5, 0.6], [0.4, 0.5]), CurvePoint(96, [0.7, 0.8], [0.6, 0.7])] if curve else [],
        leanings={MEASURED: [Leaning("genres", title, 0.2), Leaning("genres", "バトル", -0.1)]},
        mistakes=[Mistake("RJ1", title, True, 0.1, [Reason("circle", title, -0.3)])],
    )


class Page(HTMLParser):
    """The tags of a page with their attributes; checks that they are nested correctly."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_the_page_is_well_formed_with_four_plots_and_labelled_tables() -> None:
    page = Page(render(evaluation()))
    assert len(page.named("svg")) == len(page.named("figure")) == 4
    assert len(page.named("h1")) == 1
    assert all("scope" in attributes for attributes in page.named("th"))


def test_without_a_learning_curve_the_page_has_the_other_plots() -> None:
    assert len(Page(render(evaluation(curve=False))).named("svg")) == 3


def test_the_page_needs_no_network() -> None:
    page = render(evaluation())
    assert "://" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert not {tag for tag, _ in Page(page).tags} & {"script", "link", "img", "iframe", "object"}
    for _, attributes in Page(page).tags:
        assert not attributes.keys() & {"src", "srcset", "xlink:href"}
        assert (attributes.get("href") or "#").startswith("#")


def test_a_title_is_always_shown_as_text() -> None:
    page = render(evaluation(title=EVIL))
    assert Page(page).named("script") == []
    assert page.count("&lt;script src=") == 3


def test_each_plot_has_a_name_and_a_description_for_screen_readers() -> None:
    page = Page(render(evaluation()))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for figure in page.named("figure"):
        assert {figure["aria-labelledby"], figure["aria-describedby"]} <= set(ids)


def test_the_plots_use_only_the_colours_of_the_page() -> None:
    for svg in re.findall(r"<svg.*?</svg>", render(evaluation()), re.DOTALL):
        ET.fromstring(svg)  # noqa: S314  # our own drawing
        assert "var(--model)" in svg
        assert re.findall(r"#[0-9a-fA-F]{6}", svg) == []


def test_the_same_evaluation_gives_the_same_page() -> None:
    assert render(evaluation()) == render(evaluation())


def test_the_report_is_a_page_and_a_picture(tmp_path: Path) -> None:
    page, picture = write_report(tmp_path / "report", evaluation(title="\ud800 雨"))
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("curve", [True, False])
def test_the_picture_is_drawn_with_and_without_a_curve(tmp_path: Path, curve: bool) -> None:
    _, picture = write_report(tmp_path, evaluation(curve=curve))
    assert picture.stat().st_size > 10_000
