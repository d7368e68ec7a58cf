from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from model.__main__ import main
from model.baselines import CharacterNgrams
from model.curve import learning_curve
from model.dataset import write_examples
from model.evaluate import MAJORITY, NGRAMS, PACKAGE, evaluate
from model.feature_importance import FIELDS
from model.learning.examples import Example
from model.learning.folds import labels_of, splits_of
from model.serving.card import Card
from model.serving.head import Head
from model.serving.package import ModelPackage, write_package
from model.serving.text import KEYWORDS, ORDER, compose
from osusume.errors import UserError
from osusume.items import Item
from samples.works import generate_works, made_up_taste

LIKED, DISLIKED = ("genres", "睡眠"), ("genres", "バトル")


@cache
def works(count: int = 120) -> tuple[Example, ...]:
    return tuple(Example(item, made_up_taste(item), "2026-11-20 08:00:00") for item in generate_works(count, 5))


def package_at(folder: Path, weight: float = 2.0, labels: dict[str, int] | None = None) -> ModelPackage:
    """Return a package that likes one genre and dislikes another."""
    card = Card("simple", "owner", "none", "2026-11-22", ORDER, KEYWORDS, 64, labels or {}, {}, {})
    head = Head(np.zeros(0), -0.5, 0.5, fields={LIKED: weight, DISLIKED: -weight})
    write_package(folder, card, head)
    return ModelPackage.load(folder)


def refit(package: ModelPackage, examples: Sequence[Example]) -> ModelPackage:
    """Return the package with weights by how often items with the two genres are liked."""
    weights = {}
    for field, value in (LIKED, DISLIKED):
        having = [each.is_interested for each in examples if value in each.item.values(field)]
        weights[field, value] = (sum(having) + 0.3) / (len(having) + 1) * 4 - 1.2
    return ModelPackage(package.card, package.encoder, replace(package.head, fields=weights))


def test_the_figures_are_those_of_the_packages_own_scores_and_labels(tmp_path: Path) -> None:
    package, examples = package_at(tmp_path), works()
    figures = evaluate(package, examples).figures
    predictions = package.score([example.item for example in examples])
    right = [p.label == int(e.is_interested) for p, e in zip(predictions, examples, strict=True)]
    assert figures[PACKAGE]["accuracy"].value == pytest.approx(sum(right) / len(right))
    assert set(figures) == {PACKAGE, NGRAMS, MAJORITY}


def test_the_majority_class_knows_only_the_share_of_liked_items(tmp_path: Path) -> None:
    examples = works()
    share = sum(example.is_interested for example in examples) / len(examples)
    majority = evaluate(package_at(tmp_path), examples).figures[MAJORITY]
    assert majority["accuracy"].value == pytest.approx(max(share, 1 - share))
    assert majority["average_precision"].value == pytest.approx(share)
    assert majority["roc_auc"].value == 0.5
    assert majority["brier"].value == pytest.approx(share * (1 - share))


def test_ngrams_learn_nothing_from_the_rows_they_judge() -> None:
    examples = works()
    texts, labels = [compose(example.item, ORDER, KEYWORDS) for example in examples], labels_of(examples)
    split = splits_of(examples, seed=1)[0]
    flipped = labels.copy()
    flipped[split.test] = 1 - flipped[split.test]
    texts_changed = [text + "別の言葉" if row in split.test else text for row, text in enumerate(texts)]
    judged = CharacterNgrams(texts, labels).judge(split, seed=1)
    assert np.array_equal(judged.scores, CharacterNgrams(texts, flipped).judge(split, seed=1).scores)
    assert CharacterNgrams(texts_changed, labels).judge(split, seed=1).scores == pytest.approx(judged.scores, abs=0.2)


def test_refitting_judges_every_item_by_a_head_that_has_not_seen_it(tmp_path: Path) -> None:
    package, examples = package_at(tmp_path), works()
    seen: list[set[str]] = []

    def spying(package: ModelPackage, examples: Sequence[Example]) -> ModelPackage:
        seen.append({example.item.item_id for example in examples})
        return refit(package, examples)

    evaluation = evaluate(package, examples, refit=spying, seed=3)
    assert evaluation.refitted
    for split, training in zip(splits_of(examples, seed=3), seen, strict=False):
        assert training == {examples[row].item.item_id for row in split.training}
        assert not training & {examples[row].item.item_id for row in split.test}
    assert seen[-1] == {example.item.item_id for example in examples}  # for the leanings
    assert {len(values) for values in evaluation.of_folds[PACKAGE].values()} == {5}


def test_the_learning_curve_grows_to_all_training_rows_and_judges_both_on_the_same() -> None:
    labels = np.array([0, 0, 1] * 50)
    examples = [Example(example.item, bool(label)) for example, label in zip(works(150), labels, strict=True)]
    sizes: list[int] = []

    def random_scores(split: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        sizes.append(len(split.training))  # type: ignore[attr-defined]  # it is a Split
        assert {0, 1} == set(labels[split.training].tolist())  # type: ignore[attr-defined]
        return np.arange(len(split.test)) / 100  # type: ignore[attr-defined]

    shares: list[float] = []
    points = learning_curve(
        splits_of(examples, 1), labels, (random_scores, random_scores), seed=1, advance=shares.append
    )
    assert [point.labels for point in points] == [20, 50, 100, 120]
    assert all(point.package == point.ngrams for point in points)
    assert sorted(set(sizes)) == [20, 50, 100, 120]
    assert shares[-1] == 1.0


def test_folds_of_the_file_are_used_and_must_be_complete() -> None:
    examples = [replace(example, fold=row % 3) for row, example in enumerate(works())]
    splits = splits_of(examples, seed=1)
    assert [split.test.tolist()[:2] for split in splits] == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(UserError, match="1 examples have no fold"):
        splits_of([*examples[1:], replace(examples[0], fold=None)], seed=1)
    with pytest.raises(UserError, match="outside fold 0 are not of both kinds"):
        splits_of([replace(example, fold=0) for example in examples], seed=1)


def test_the_worst_mistakes_come_first_with_their_reasons(tmp_path: Path) -> None:
    mistakes = evaluate(package_at(tmp_path, weight=3.0), works()).mistakes
    distances = [abs(mistake.score - mistake.is_interested) for mistake in mistakes]
    assert distances == sorted(distances, reverse=True)
    assert min(distances) >= 0.5
    assert any((reason.field, reason.value) == LIKED for mistake in mistakes for reason in mistake.reasons)


def test_what_a_package_leans_on_is_read_from_its_head(tmp_path: Path) -> None:
    found = evaluate(package_at(tmp_path), works()).leanings[FIELDS]
    assert [(leaning.field, leaning.value, leaning.effect) for leaning in found] == [(*LIKED, 2.0), (*DISLIKED, -2.0)]


def test_a_package_whose_card_has_the_same_label_counts_was_maybe_trained_on_them(tmp_path: Path) -> None:
    liked = sum(example.is_interested for example in works())
    counts = {"interested": liked, "not_interested": len(works()) - liked}
    assert evaluate(package_at(tmp_path / "a", labels=counts), works()).maybe_trained_on
    assert not evaluate(package_at(tmp_path / "b"), works()).maybe_trained_on


def test_the_same_seed_gives_the_same_evaluation(tmp_path: Path) -> None:
    package = package_at(tmp_path)
    one, two = (evaluate(package, works(), refit=refit, seed=4).to_json() for _ in range(2))
    assert one == two


def saved(folder: Path, examples: Sequence[Example]) -> tuple[str, str]:
    package_at(folder / "package")
    write_examples(folder / "labels.jsonl", examples)
    return str(folder / "package"), str(folder / "labels.jsonl")


def test_json_is_one_document_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package, labels = saved(tmp_path, works())
    assert main(["evaluate", "--package", package, "--data", labels, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["figures"][PACKAGE]["f1"]) == {"value", "low", "high"}
    assert document["labels"]["interested"] + document["labels"]["not_interested"] == len(works())


def test_the_printed_report_has_no_control_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = [
        replace(example, item=replace(example.item, title=f"\x1b[31m\u202e[red]雨{row}[/]\ud800"))
        for row, example in enumerate(works())
    ]
    package, labels = saved(tmp_path, evil)
    assert main(["evaluate", "--package", package, "--data", labels]) == 0
    told = capsys.readouterr().out
    assert "average precision" in told
    assert "[red]雨" in told
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_nineteen_rows_can_be_judged_but_not_refitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = [Example(example.item, row % 3 == 0) for row, example in enumerate(works()[:19])]
    package, labels = saved(tmp_path, few)
    assert main(["evaluate", "--package", package, "--data", labels]) == 0
    assert main(["evaluate", "--package", package, "--data", labels, "--refit"]) == 1
    assert "19 labels are too few to train on" in capsys.readouterr().err


def test_a_single_label_of_a_kind_is_judged_without_the_ngrams(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package, labels = saved(tmp_path, [Example(e.item, row == 0) for row, e in enumerate(works()[:30])])
    report = tmp_path / "report"
    assert main(["evaluate", "--package", package, "--data", labels, "--report", str(report)]) == 0
    assert "no baseline can be trained" in capsys.readouterr().out
    assert (report / "index.html").exists()
    assert main(["evaluate", "--package", package, "--data", labels, "--refit"]) == 1
    assert "one kind has a single label" in capsys.readouterr().err


def test_one_class_alone_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package, labels = saved(tmp_path, [Example(example.item, False) for example in works()[:30]])
    assert main(["evaluate", "--package", package, "--data", labels]) == 1
    assert "all 30 items are not liked" in capsys.readouterr().err


def test_equal_scores_and_equal_texts_are_judged(tmp_path: Path) -> None:
    same = [
        Example(Item(f"RJ{row}", "dlsite", "https://example.com", "同じ"), row % 2 == 0) for row in range(40)
    ]  # fmt: skip
    figures = evaluate(package_at(tmp_path), same).figures
    assert figures[PACKAGE]["roc_auc"].value == 0.5
    assert figures[PACKAGE]["average_precision"].value == 0.5


def test_a_broken_row_and_a_missing_package_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package, labels = saved(tmp_path, works())
    assert main(["evaluate", "--package", str(tmp_path / "none"), "--data", labels]) == 1
    assert "has no card.json" in capsys.readouterr().err
    with Path(labels).open("a", encoding="utf-8") as file:
        file.write("{")
    assert main(["evaluate", "--package", package, "--data", labels]) == 1
    assert f"line {len(works()) + 1}: Expecting" in capsys.readouterr().err
