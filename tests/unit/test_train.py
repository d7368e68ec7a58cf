from __future__ import annotations

import json
import warnings
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from osusume.errors import UserError

pytest.importorskip("sklearn", reason="training needs requirements/train.txt")

from model.__main__ import main
from model.dataset import read_examples, write_examples
from model.learning.examples import Example
from model.learning.matrix import read_fields, read_view
from model.learning.metrics import average_precision, f1
from model.learning.train import Strengths, refit, train
from model.serving.features import VIEWS
from model.serving.package import ModelPackage
from model.serving.text import ORDER
from samples.works import generate_works, made_up_taste

SHARED = Path(__file__).parents[3] / "shared" / "data"
STARTER = Path(__file__).parents[2] / "model" / "starter"
EXAMPLES = [Example(work, made_up_taste(work)) for work in generate_works(110, seed=5)]
FEW = EXAMPLES[:90]
"""Too few to search for strengths, which takes most of a training."""

NO_EMBEDDINGS = np.zeros((len(EXAMPLES), 0), dtype=np.float32)


def save(folder: Path, examples: list[Example]) -> Path:
    write_examples(folder / "labels.jsonl", examples)
    return folder / "labels.jsonl"


def run_train(file: Path, output: Path) -> int:
    return main(["train", "--data", str(file), "--encoder", "none", "--output", str(output)])


def test_the_command_writes_a_package_that_loads_and_scores(tmp_path: Path) -> None:
    assert run_train(save(tmp_path, FEW), tmp_path / "package") == 0
    package = ModelPackage.load(tmp_path / "package")
    assert {path.name for path in (tmp_path / "package").iterdir()} == {"card.json", "head.npz"}
    assert package.card.taste == "owner"
    assert sum(package.card.labels.values()) == len(FEW)
    together = package.score([example.item for example in FEW])
    assert package.score([FEW[7].item]) == [together[7]]
    assert any(prediction.reasons for prediction in together)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    file = save(tmp_path, FEW)
    for name in ("one", "two"):
        assert run_train(file, tmp_path / name) == 0
    for name in ("card.json", "head.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([*(json.dumps(example.to_json()) for example in EXAMPLES), "{"], "line 111: Expecting"),
        ([json.dumps(example.to_json()) for example in EXAMPLES[:19]], "19 labels are too few"),
        (
            [json.dumps(replace(example, is_interested=True).to_json()) for example in EXAMPLES],
            "all 110 items are liked",
        ),
    ],
    ids=["a broken line", "too few labels", "one kind of label"],
)
def test_an_unusable_training_file_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], named: str
) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert run_train(file, tmp_path / "package") == 1
    assert named in capsys.readouterr().err
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize("liked", [1, 2, 10])
def test_twenty_labels_are_enough_however_few_are_liked(liked: int) -> None:
    examples = [replace(example, is_interested=number < liked) for number, example in enumerate(EXAMPLES[:20])]
    trained = train(examples, encoder=None)
    scores = trained.head.scores(NO_EMBEDDINGS[:20], [example.item for example in examples])
    assert np.isfinite(scores).all()
    assert 0 < trained.head.threshold < 1
    with pytest.raises(UserError):
        train(examples[:19], encoder=None)


def test_scores_of_unbalanced_labels_are_calibrated() -> None:
    works = generate_works(700, seed=11)
    labels = [Example(work, "雨" in work.title) for work in works]
    assert sum(label.is_interested for label in labels) < 0.25 * len(labels)
    trained = train(labels[:500], encoder=None, strengths=Strengths())
    scores = trained.head.scores(np.zeros((200, 0), dtype=np.float32), works[500:])
    assert scores.mean() == pytest.approx(np.mean([label.is_interested for label in labels[500:]]), abs=0.06)


def test_a_taste_for_a_voice_actor_is_learnt_and_given_as_the_reason() -> None:
    works = generate_works(400, seed=3)
    favourite = works[0].values("voice_actors")[0]
    examples = [Example(work, favourite in work.values("voice_actors")) for work in works]
    trained = train(examples[:300], encoder=None, strengths=Strengths())
    scores = trained.head.scores(np.zeros((100, 0), dtype=np.float32), works[300:])
    labels = np.array([int(example.is_interested) for example in examples[300:]])
    assert average_precision(scores, labels) > 0.9
    assert max(trained.head.fields, key=trained.head.fields.__getitem__) == ("voice_actors", favourite)


def test_a_head_gives_the_same_sums_as_its_training_matrices() -> None:
    items = [example.item for example in FEW]
    head = train(FEW, encoder=None).head
    rows = np.arange(len(items))
    sums = np.full(len(items), head.bias)
    for view, term in zip(VIEWS, head.text, strict=True):
        columns = read_view(items, view, least=1)
        sums += columns.weighed(rows, columns.known(rows)) @ term.weights
    pairs, values = read_fields(items, ORDER)
    sums += values @ np.array([head.fields[pair] for pair in pairs])
    assert head.logits(NO_EMBEDDINGS[: len(items)], items) == pytest.approx(sums, abs=1e-6)


def test_a_refit_keeps_the_encoder_and_learns_the_owners_taste() -> None:
    package = ModelPackage.load(STARTER)
    disliked = [replace(example, is_interested=not example.is_interested) for example in FEW]
    again = refit(package, disliked, created_on=date(2026, 11, 22))
    assert again.card.taste == "owner"
    assert again.encoder is package.encoder
    assert again.version != package.version
    labels = np.array([int(example.is_interested) for example in FEW])
    items = [example.item for example in FEW]
    assert average_precision(np.array(again.probabilities(items)), 1 - labels) > 0.9
    assert refit(package, disliked, created_on=date(2026, 11, 22)).card == again.card


@pytest.mark.parametrize(("name", "precision", "best"), [("platform", 0.87, 0.78), ("reading", 0.70, 0.67)])
def test_a_fold_of_real_labels_is_judged_about_as_well_as_in_the_readme(
    name: str, precision: float, best: float
) -> None:
    file = SHARED / f"jser_{name}.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    examples = read_examples(file)
    training, test = ([e for e in examples if (e.fold == 0) is inside] for inside in (False, True))
    head = train(training, encoder=None).head
    scores = head.scores(np.zeros((len(test), 0), dtype=np.float32), [example.item for example in test])
    labels = np.array([int(example.is_interested) for example in test])
    assert average_precision(scores, labels) > precision
    assert f1(scores, labels, head.threshold) > best


def encoder_at(folder: Path) -> str:
    """Save a random BERT that reads the characters of the titles, and return its folder."""
    pytest.importorskip("torch", reason="encoders need requirements/train.txt")
    from checkpoints import save_encoder  # noqa: PLC0415  # needs torch

    characters = sorted({character for example in EXAMPLES for character in example.item.title})
    return save_encoder(folder, "".join(characters), hidden_size=16, num_hidden_layers=1, intermediate_size=16)


def test_the_encoders_embeddings_are_stored_for_the_next_training(tmp_path: Path) -> None:
    source, file = encoder_at(tmp_path / "encoder"), save(tmp_path, EXAMPLES[:40])
    arguments = ["train", "--data", str(file), "--encoder", source, "--output", str(tmp_path / "package")]
    assert main(arguments) == 0
    (store,) = tmp_path.glob("package.*.embeddings.npz")
    written, card = store.stat().st_mtime_ns, (tmp_path / "package" / "card.json").read_bytes()
    assert main(arguments) == 0
    assert store.stat().st_mtime_ns == written
    assert (tmp_path / "package" / "card.json").read_bytes() == card
    package = ModelPackage.load(tmp_path / "package")
    assert package.encoder is not None
    assert len(package.head.embedding) == package.encoder.dimensions == 16


def test_a_new_head_reuses_a_packages_encoder_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, output = save(tmp_path, EXAMPLES[:40]), tmp_path / "package"
    assert main(["train", "--data", str(file), "--encoder", str(STARTER), "--output", str(output)]) == 0
    assert (output / "encoder.onnx").read_bytes() == (STARTER / "encoder.onnx").read_bytes()
    card = ModelPackage.load(output).card
    assert card.taste == "owner"
    assert sum(card.labels.values()) == 40

    assert main(["train", "--data", str(file), "--encoder", "none", "--output", str(tmp_path / "none")]) == 0
    assert main(["train", "--data", str(file), "--encoder", str(tmp_path / "none"), "--output", str(output)]) == 1
    assert "has no encoder" in capsys.readouterr().err


def test_a_fine_tuned_encoder_is_packaged_with_a_head_over_its_embedding(tmp_path: Path) -> None:
    source, file = encoder_at(tmp_path / "encoder"), save(tmp_path, EXAMPLES[:40])
    output = tmp_path / "package"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers and torch warn about their own calls
        status = main(["train", "--data", str(file), "--encoder", source, "--fine-tune", "--output", str(output)])
    assert status == 0
    package = ModelPackage.load(output)
    assert package.card.base_model == "encoder, fine-tuned"
    assert len(package.head.embedding) == 16
    assert len(package.score([example.item for example in EXAMPLES])) == len(EXAMPLES)


def test_an_unavailable_encoder_is_named_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="encoders need requirements/train.txt")
    missing, file = str(tmp_path / "missing"), save(tmp_path, EXAMPLES)
    assert main(["train", "--data", str(file), "--encoder", missing, "--output", str(tmp_path / "package")]) == 1
    assert "or go without one: --encoder none" in capsys.readouterr().err
    assert main(["train", "--data", str(file), "--encoder", "none", "--fine-tune", "--output", str(tmp_path)]) == 1
    assert "name one with --encoder" in capsys.readouterr().err
    assert not (tmp_path / "package").exists()


def test_an_embedding_counts_less_the_more_labels_there_are_unless_it_is_a_fine_tuned_encoders_own_answer() -> None:
    counts = [Strengths.usual(labels, 384).embedding for labels in (0, 20, 100, 200, 1280)]
    assert counts[:3] == [1.0, 1.0, 1.0]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == pytest.approx(0.28, abs=0.01)
    assert Strengths.usual(1280, 1) == Strengths.usual(1280, 0) == Strengths()
