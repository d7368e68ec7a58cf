from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from model.serving.encoder import available_cores
from model.serving.package import ModelPackage
from model.serving.reasons import LEAST_EFFECT, MOST_REASONS, MOST_VALUES, tried_values, without
from model.serving.text import compose
from osusume.errors import UserError
from osusume.items import Item, Section
from samples.works import generate_works

STARTER = Path(__file__).parents[2] / "model" / "starter"
WORKS = generate_works(20, seed=99)


@pytest.fixture(scope="module")
def package() -> ModelPackage:
    return ModelPackage.load(STARTER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package that a test may break."""
    return Path(shutil.copytree(STARTER, tmp_path / "package"))


def change_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))


def test_predictions_come_in_the_order_of_the_items(package: ModelPackage) -> None:
    shuffled = WORKS[1::2] + WORKS[::2]
    assert [prediction.item_id for prediction in package.score(shuffled)] == [work.item_id for work in shuffled]


def test_an_items_score_does_not_depend_on_the_other_items(package: ModelPackage) -> None:
    together = package.score(WORKS)
    shuffled = WORKS[1::2] + WORKS[::2]
    assert [package.score([work])[0] for work in WORKS] == together
    assert sorted(package.score(shuffled), key=lambda p: p.item_id) == sorted(together, key=lambda p: p.item_id)


def test_scores_are_probabilities_and_labels_follow_the_threshold(package: ModelPackage) -> None:
    predictions = package.score(WORKS)
    assert all(0 <= prediction.score <= 1 for prediction in predictions)
    assert all(prediction.label == int(prediction.score >= package.threshold) for prediction in predictions)
    assert {prediction.label for prediction in predictions} == {0, 1}


def test_no_items_give_no_predictions(package: ModelPackage) -> None:
    assert package.score([]) == []


def test_a_very_long_text_is_cut_and_scored_quickly(package: ModelPackage) -> None:
    long = Item("RJ1", "dlsite", "https://example.com", "雨", sections=[Section(None, "静かな夜の雨音。" * 100_000)])
    longer = Item("RJ1", "dlsite", "https://example.com", "雨", sections=[Section(None, "静かな夜の雨音。" * 110_000)])
    started = time.perf_counter()
    assert package.probabilities([long]) == package.probabilities([longer])
    assert time.perf_counter() - started < 5


def test_a_reasons_effect_is_the_score_less_the_score_without_the_value_for_the_same_embedding(
    package: ModelPackage,
) -> None:
    assert package.encoder is not None
    checked = 0
    for work, prediction in zip(WORKS, package.score(WORKS), strict=True):
        embedding = package.encoder.embed([compose(work, package.card.order, package.card.keywords)])
        for reason in prediction.reasons:
            rest = package.head.scores(embedding, [without(work, reason.field, reason.value)])[0]
            assert reason.effect == pytest.approx(prediction.score - rest, abs=1e-9)
            checked += 1
    assert checked > 0


def test_the_reasons_of_a_head_over_the_embedding_alone_are_measured(package: ModelPackage) -> None:
    bare = ModelPackage(package.card, package.encoder, replace(package.head, text=(), fields={}))
    checked = 0
    for work, prediction in zip(WORKS[:5], bare.score(WORKS[:5]), strict=True):
        for reason in prediction.reasons:
            rest = bare.probabilities([without(work, reason.field, reason.value)])[0]
            assert reason.effect == pytest.approx(prediction.score - rest, abs=1e-9)
            checked += 1
    assert checked > 0


def test_the_strongest_reasons_come_first_and_weak_ones_are_left_out(package: ModelPackage) -> None:
    for prediction in package.score(WORKS):
        effects = [abs(reason.effect) for reason in prediction.reasons]
        assert effects == sorted(effects, reverse=True)
        assert len(effects) <= MOST_REASONS
        assert all(effect >= LEAST_EFFECT for effect in effects)


def test_every_field_is_tried_before_any_fields_second_value() -> None:
    attributes = {"circle": ["青い栞"], "genres": [f"ジャンル{number}" for number in range(40)], "musicians": ["誰か"]}
    work = Item("RJ1", "dlsite", "https://example.com", "雨", attributes=attributes)
    tried = tried_values(work, ["circle", "genres", "musicians"])
    assert tried[:3] == [("circle", "青い栞"), ("genres", "ジャンル0"), ("musicians", "誰か")]
    assert len(tried) == MOST_VALUES


def test_twenty_items_with_reasons_take_far_less_than_five_seconds(package: ModelPackage) -> None:
    started = time.process_time()
    package.score(WORKS)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("name", ["card.json", "encoder.onnx", "tokenizer.json", "head.npz"])
def test_a_missing_file_is_named_with_the_remedy(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(UserError, match=f"has no {name}: write one with .* or set MODEL_PACKAGE"):
        ModelPackage.load(copy)


@pytest.mark.parametrize("name", ["encoder.onnx", "tokenizer.json", "head.npz"])
def test_an_altered_file_is_named_with_the_remedy(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} .*sha256.*; restore the package"):
        ModelPackage.load(copy)


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (3, r"format_version 3 is newer than 2.* deploy the code that wrote it"),
        (1, r"format_version 1 is older than 2.* write it again"),
    ],
)
def test_another_format_is_refused_with_both_numbers(copy: Path, version: int, told: str) -> None:
    change_card(copy, format_version=version)
    with pytest.raises(UserError, match=told):
        ModelPackage.load(copy)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format_version": None}, "format_version"),
        ({"version": ""}, "version"),
        ({"taste": "mine"}, "taste"),
        ({"order": "circle"}, "order"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"metrics": {"f1": "good"}}, "metrics"),
        ({"files": {}}, "head.npz"),
        ({"files": {"../head.npz": "0"}}, "../head.npz"),
    ],
)
def test_a_card_that_is_wrong_is_refused_with_the_key_named(copy: Path, changes: dict[str, object], named: str) -> None:
    change_card(copy, **changes)
    with pytest.raises(UserError, match=f"card.json .*{named}"):
        ModelPackage.load(copy)


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_card_that_is_not_a_json_object_is_refused(copy: Path, content: str) -> None:
    (copy / "card.json").write_text(content)
    with pytest.raises(UserError, match=r"card\.json"):
        ModelPackage.load(copy)


def test_cores_are_bounded_by_the_control_groups_quota(tmp_path: Path) -> None:
    cpu_max = tmp_path / "cpu.max"
    cpu_max.write_text("50000 100000\n")
    assert available_cores(cpu_max) == 1
    cpu_max.write_text("max 100000\n")
    assert available_cores(cpu_max) == available_cores(tmp_path / "missing")
