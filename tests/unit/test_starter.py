from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from model.learning.metrics import accuracy, average_precision, best_threshold, f1
from model.serving.package import ModelPackage
from samples.works import demo_works, made_up_taste

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "model" / "starter"


def test_the_starter_judges_the_demo_well_and_its_card_says_how_well() -> None:
    package = ModelPackage.load(STARTER)
    works = demo_works()
    scores, labels = np.array(package.probabilities(works)), np.array([int(made_up_taste(work)) for work in works])
    measured = accuracy(scores, labels, package.threshold)
    assert measured > 0.85
    assert package.card.metrics["accuracy"] == pytest.approx(measured, abs=0.01)
    assert package.card.metrics["f1"] == pytest.approx(f1(scores, labels, package.threshold), abs=0.02)


def test_the_starter_is_small_and_says_that_its_taste_is_made_up() -> None:
    assert ModelPackage.load(STARTER).card.taste == "made-up"
    assert sum(path.stat().st_size for path in STARTER.iterdir()) <= 5_000_000


def test_the_readme_gives_the_cards_figures() -> None:
    readme = (ROOT / "model" / "README.md").read_text(encoding="utf-8")
    for name, value in json.loads((STARTER / "card.json").read_text())["metrics"].items():
        assert f"| `{name}` | {value:.3f} |" in readme


def test_training_with_the_same_seed_gives_the_same_package(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs requirements/train.txt")
    from model.starter import Recipe, train_starter  # noqa: PLC0415  # needs torch

    small = Recipe(
        works=96, held_out=32, passes=1, checks_a_pass=1, vocabulary=1500, max_tokens=48, hidden=16, layers=1
    )
    shares: list[float] = []
    today = date(2026, 11, 22)
    card = train_starter(tmp_path / "one", seed=3, today=today, recipe=small, advance=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert 120 <= sum(card.labels.values()) <= 128  # without the works that share a title with the demo's
    assert ModelPackage.load(tmp_path / "one").version == card.version
    assert train_starter(tmp_path / "two", seed=3, today=today, recipe=small) == card


def test_help_works_without_torch_and_a_missing_torch_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}:{ROOT / 'layers/common'}"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  # the project's own command
            [sys.executable, "-m", "model", *arguments], capture_output=True, text=True, env=environment, check=False
        )

    assert "starter" in run("--help").stdout
    assert "--seed" in run("starter", "--help").stdout
    refused = run("starter", "--output", str(tmp_path / "package"))
    assert refused.returncode == 1
    assert "torch is not installed: run 'pip install -r requirements/train.txt'" in refused.stderr


SCORES, LABELS = np.array([0.9, 0.8, 0.8, 0.3, 0.1]), np.array([1, 0, 1, 1, 0])


def test_the_best_threshold_lies_between_the_scores_that_it_separates() -> None:
    threshold = best_threshold(SCORES, LABELS)
    assert threshold == pytest.approx(0.2)
    assert f1(SCORES, LABELS, threshold) == pytest.approx(6 / 7)


def test_metrics_are_defined_if_no_label_is_1() -> None:
    none = np.zeros(5, dtype=np.int64)
    assert (f1(SCORES, none, 0.95), average_precision(SCORES, none)) == (0.0, 0.0)
