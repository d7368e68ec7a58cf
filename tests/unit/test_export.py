from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from model.__main__ import main
from model.label_names import interested_label
from model.learning.examples import Example
from model.serving.encoder import Encoder
from model.serving.head import Scores
from model.serving.package import ModelPackage
from model.serving.text import KEYWORDS, ORDER, compose
from osusume.errors import UserError
from samples.works import generate_works

torch = pytest.importorskip("torch", reason="exporting needs requirements/train.txt")
transformers = pytest.importorskip("transformers", reason="exporting needs requirements/train.txt")

from checkpoints import SIZES as TINY  # noqa: E402  # needs torch
from checkpoints import SPECIAL_TOKENS, save_encoder, save_tokenizer  # noqa: E402
from transformers.modeling_outputs import SequenceClassifierOutput  # noqa: E402  # needs torch

from model.export import Checkpoint, export, largest_difference, load_checkpoint  # noqa: E402  # needs torch
from model.export_package import export_package  # noqa: E402
from model.graph import trace  # noqa: E402

TODAY = date(2026, 4, 1)
MAX_TOKENS = 24
TEXTS = [
    "雨の図書室",
    "夜の雨",
    "図書",
    "雨の夜の図書室の雨の夜の図書室の雨の夜の図書室の雨の夜の図書室",
    "",
    "知らない文字",
]
CHARACTERS = "雨の図書室夜"
VOCABULARY = len(SPECIAL_TOKENS) + len(CHARACTERS)
SIZES = {**TINY, "vocab_size": VOCABULARY}
ARCHITECTURES: dict[str, dict[str, object]] = {
    "Bert": SIZES,
    "DistilBert": {
        **{name: SIZES[name] for name in ("vocab_size", "pad_token_id", "max_position_embeddings")},
        "dim": 32,
        "n_layers": 1,
        "n_heads": 2,
        "hidden_dim": 64,
        "initializer_range": 0.3,
    },
    "Roberta": SIZES,
    # As in deberta-v3: relative positions in buckets, with the keys of the content.
    "DebertaV2": {
        **SIZES,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
    },
    # Windows of four tokens on each side, of which the longest text needs several.
    "ModernBert": {
        **SIZES,
        "num_hidden_layers": 3,
        "local_attention": 8,
        "bos_token_id": 0,
        "cls_token_id": 0,
        "eos_token_id": 2,
        "sep_token_id": 2,
    },
}


def save_checkpoint(folder: Path, architecture: str = "Bert", **options: object) -> Path:
    """Save a random classifier that reads single characters."""
    torch.manual_seed(7)
    save_tokenizer(folder, CHARACTERS)
    config = getattr(transformers, f"{architecture}Config")(**{**ARCHITECTURES[architecture], **options})
    getattr(transformers, f"{architecture}ForSequenceClassification")(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(save_checkpoint(tmp_path_factory.mktemp("checkpoint")), MAX_TOKENS)


@pytest.fixture(scope="module")
def graphs() -> dict[tuple[object, ...], bytes]:
    return {}


@pytest.fixture
def traced_once(graphs: dict[tuple[object, ...], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace the same weights once for all tests that are about something else: it takes seconds."""

    def remembered(module: Any, model: Any, max_tokens: int) -> bytes:
        weights = (weight.numpy().tobytes() for weight in module.state_dict().values())
        key = (type(model), max_tokens, *weights)
        if key not in graphs:
            graphs[key] = trace(module, model, max_tokens)
        return graphs[key]

    monkeypatch.setattr("model.export.trace", remembered)


@pytest.mark.parametrize(("architecture", "rows"), [*((name, 2) for name in ARCHITECTURES), ("Bert", 1)])
def test_a_package_scores_as_its_checkpoint_with_one_operator_for_attention(
    tmp_path: Path, architecture: str, rows: int
) -> None:
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, architecture, num_labels=rows), MAX_TOKENS)
    parts = export(checkpoint, int8=False)
    assert np.ptp(checkpoint.scores(TEXTS)) > 0.001
    assert largest_difference(checkpoint, parts, TEXTS) < 1e-5
    assert 1e-8 < largest_difference(checkpoint, parts.int8(), TEXTS) < 0.05
    if architecture != "DebertaV2":  # its attention has relative positions, which the operator does not know
        operators = [node.op_type for node in onnx.load_from_string(parts.encoder).graph.node]
        assert operators.count("MultiHeadAttention") == checkpoint.model.config.num_hidden_layers
        assert "Softmax" not in operators


def test_texts_of_any_length_fit_the_graph_which_tells_nothing_about_the_machine_that_made_it(
    checkpoint: Checkpoint,
) -> None:
    before = checkpoint.scores(TEXTS)
    parts = export(checkpoint, int8=False)
    assert np.array_equal(checkpoint.scores(TEXTS), before)  # the checkpoint is as it was
    assert str(Path(torch.__file__).parents[1]).encode() not in parts.encoder
    assert b"stack_trace" not in parts.encoder
    assert not list(onnx.load_from_string(parts.encoder).metadata_props)
    encoder = Encoder(parts.int8().encoder, parts.tokenizer, MAX_TOKENS)
    assert encoder.embed(["雨" * length for length in (0, 1, 5, MAX_TOKENS, 1000)]).shape == (5, 32)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"num_labels": 3}, "3 labels"),
        ({"num_labels": 1, "problem_type": "regression"}, "regression"),
        ({"num_labels": 2, "problem_type": "multi_label_classification"}, "multi_label"),
    ],
)
def test_a_checkpoint_without_two_exclusive_labels_is_refused(
    tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        load_checkpoint(save_checkpoint(tmp_path, "Bert", **options))


def test_an_encoder_that_was_never_trained_to_classify_is_refused(tmp_path: Path) -> None:
    save_encoder(tmp_path, CHARACTERS)
    with pytest.raises(UserError, match=r"classifier\.weight"):
        load_checkpoint(tmp_path)


def test_a_slow_tokenizer_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path)
    for file in tmp_path.glob("tokenizer*"):
        file.unlink()
    vocabulary = {"<pad>": 1, "<s>": 0, "</s>": 2, "<unk>": 3}
    (tmp_path / "vocab.txt").write_text("\n".join(f"{token} {index}" for token, index in vocabulary.items()))
    (tmp_path / "bpe.codes").write_text("")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PhobertTokenizer"}')
    with pytest.raises(UserError, match="slow tokenizer"):
        load_checkpoint(tmp_path)


def test_the_unused_rows_of_robertas_position_table_take_no_tokens(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, "Roberta"))
    assert checkpoint.max_tokens == 32 - 2
    assert largest_difference(checkpoint, export(checkpoint, int8=False), ["雨" * 100]) < 1e-5


def squash(_model: object, _inputs: object, output: SequenceClassifierOutput) -> None:
    assert output.logits is not None
    output.logits = output.logits.tanh()


def test_a_model_that_changes_the_output_of_its_last_layer_is_refused(checkpoint: Checkpoint) -> None:
    hook = checkpoint.model.register_forward_hook(squash)
    try:
        with pytest.raises(UserError, match="classifier"):
            export(checkpoint)
    finally:
        hook.remove()


def test_the_command_writes_a_package_whose_card_says_what_was_measured(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path / "checkpoint")
    assert main(["export", "--checkpoint", str(checkpoint), "--output", str(tmp_path / "package")]) == 0
    package = ModelPackage.load(tmp_path / "package")
    assert package.card.max_tokens == SIZES["max_position_embeddings"]
    assert 0 < package.card.metrics["largest_difference_from_checkpoint"] < 0.05
    assert package.card.metrics["fp32_difference_from_checkpoint"] < 1e-5


def logits(scores: Scores) -> Scores:
    return np.asarray(np.log(scores / (1 - scores)), dtype=np.float64)


@pytest.mark.usefixtures("traced_once")
def test_int8_that_costs_accuracy_is_refused_unless_forced(tmp_path: Path) -> None:
    # The labels are the checkpoint's own, and its threshold lies between the two scores that int8 sets furthest apart.
    folder = save_checkpoint(tmp_path / "checkpoint")
    works = generate_works(60, seed=3)
    checkpoint = load_checkpoint(folder)
    texts = [compose(item, ORDER, KEYWORDS) for item in works]
    exact = logits(checkpoint.scores(texts))
    change = logits(export(checkpoint).scores(texts)) - exact
    moved = np.abs(change).argmax()
    classifier = checkpoint.model.get_submodule("classifier")
    with torch.no_grad():
        middle = exact[moved] + change[moved] / 2
        classifier.bias += torch.tensor([middle / 2, -middle / 2], dtype=torch.float32)
    checkpoint.model.save_pretrained(folder)
    examples = [Example(item, bool(score > 0.5)) for item, score in zip(works, checkpoint.scores(texts), strict=True)]
    export_package(folder, tmp_path / "fp32", today=TODAY, examples=examples, int8=False)
    with pytest.raises(UserError, match="--force"):
        export_package(folder, tmp_path / "int8", today=TODAY, examples=examples)
    card = export_package(folder, tmp_path / "int8", today=TODAY, examples=examples, force=True)
    assert card.metrics["checkpoint_accuracy"] == 1
    assert card.metrics["accuracy"] < 0.995
    assert card.labels["interested"] + card.labels["not_interested"] == 60


def rename_labels(folder: Path, names: dict[int, str]) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(label): name for label, name in names.items()}
    config["label2id"] = {name: label for label, name in names.items()}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("names", "interested"),
    [
        ({0: "LABEL_0", 1: "LABEL_1"}, 1),
        ({0: "not_interested", 1: "interested"}, 1),
        ({0: "interested", 1: "not_interested"}, 0),
        ({0: "POSITIVE", 1: "NEGATIVE"}, 0),
        ({0: "1", 1: "0"}, 0),
        ({0: "興味あり!", 1: "別に…"}, 0),
        ({0: "Yes", 1: "No"}, 0),
        ({0: "rain", 1: "other"}, 0),
    ],
)
def test_the_label_that_means_interest_is_recognised_by_its_name(names: dict[int, str], interested: int) -> None:
    assert interested_label(names) == interested


@pytest.mark.parametrize("names", [{0: "rain", 1: "snow"}, {0: "like", 1: "love"}, {0: "no", 1: "negative"}])
def test_ambiguous_names_are_refused_and_the_option_is_named(names: dict[int, str]) -> None:
    with pytest.raises(UserError, match="--positive-label"):
        interested_label(names)
    assert interested_label(names, names[0].upper()) == 0
    with pytest.raises(UserError, match="no label is called"):
        interested_label(names, "hail")


@pytest.mark.usefixtures("traced_once")
def test_a_checkpoint_with_swapped_labels_is_exported_correctly(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    usual = load_checkpoint(folder, MAX_TOKENS)
    rename_labels(folder, {0: "interested", 1: "not_interested"})
    checkpoint = load_checkpoint(folder, MAX_TOKENS)
    assert np.allclose(checkpoint.scores(TEXTS), 1 - usual.scores(TEXTS))
    assert largest_difference(checkpoint, export(checkpoint, int8=False), TEXTS) < 1e-5


@pytest.mark.usefixtures("traced_once")
def test_a_package_cuts_texts_on_the_same_side_as_its_checkpoint(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    long = ["雨" * 30 + "図書室夜" * 8, "雨の" * 900 + "図" * 9]
    usual = load_checkpoint(folder, MAX_TOKENS).scores(long)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "truncation_side": "left"}))
    checkpoint = load_checkpoint(folder, MAX_TOKENS)
    assert np.abs(checkpoint.scores(long) - usual).max() > 1e-3
    assert largest_difference(checkpoint, export(checkpoint, int8=False), long) < 1e-5


@pytest.mark.usefixtures("traced_once")
def test_a_package_that_is_worse_than_the_majority_is_refused_unless_forced(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "checkpoint")
    works = generate_works(40, seed=3)
    scores = load_checkpoint(folder).scores([compose(item, ORDER, KEYWORDS) for item in works])
    wrong = [Example(item, bool(score < 0.5)) for item, score in zip(works, scores, strict=True)]
    with pytest.raises(UserError, match="--force"):
        export_package(folder, tmp_path / "package", today=TODAY, examples=wrong, int8=False)
    assert not (tmp_path / "package").exists()
    export_package(folder, tmp_path / "package", today=TODAY, examples=wrong, int8=False, force=True)
    assert (tmp_path / "package").exists()


def test_a_tokenizer_larger_than_its_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="do not belong together"):
        load_checkpoint(save_checkpoint(tmp_path, vocab_size=VOCABULARY - 2))


def test_weights_for_another_number_of_labels_are_refused(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path, num_labels=3)
    config = json.loads((folder / "config.json").read_text())
    for name in ("id2label", "label2id"):
        config.pop(name, None)
    (folder / "config.json").write_text(json.dumps({**config, "num_labels": 2}))
    with pytest.raises(UserError, match="cannot be loaded"):
        load_checkpoint(folder)


def test_a_model_over_two_gigabytes_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path)
    header = json.dumps({"w": {"dtype": "F32", "shape": [600_000_000], "data_offsets": [0, 2_400_000_000]}}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(file.tell() + 2_400_000_000)  # sparse: it takes no space
    with pytest.raises(UserError, match="a graph holds 2"):
        load_checkpoint(folder)


def test_attention_with_a_constant_of_three_dimensions_is_exported_to_int8(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, "DebertaV2", norm_rel_ebd="none"), MAX_TOKENS)
    parts = export(checkpoint, int8=False)
    assert largest_difference(checkpoint, parts, TEXTS) < 1e-5
    # Random weights without normalisation lose more to int8 than trained ones.
    assert largest_difference(checkpoint, parts.int8(), TEXTS) < 0.2


OTHERS: dict[str, dict[str, object]] = {
    "GPT2": {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 32},
    "Qwen2": {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 32,
    },
    "T5": {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1, "num_heads": 2},
    "XLNet": {"d_model": 32, "n_layer": 1, "n_head": 2, "d_inner": 64},
}


@pytest.mark.parametrize("architecture", OTHERS)
def test_another_architecture_is_exported_with_equal_scores_or_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    options = {"vocab_size": VOCABULARY, "pad_token_id": 1, **OTHERS[architecture]}
    monkeypatch.setitem(ARCHITECTURES, architecture, options)
    folder = save_checkpoint(tmp_path / "checkpoint", architecture)
    status = main(["export", "--checkpoint", str(folder), "--output", str(tmp_path / "package"), "--fp32"])
    told = capsys.readouterr().err
    assert status in {0, 1}
    assert "Traceback" not in told
    if status == 0:
        assert ModelPackage.load(tmp_path / "package").card.metrics["fp32_difference_from_checkpoint"] <= 1e-5
    else:
        assert len([line for line in told.splitlines() if line.startswith("error: ")]) == 1
        assert not (tmp_path / "package").exists()


DAMAGES = {
    "missing": None,
    "empty": b"",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "an empty object": b"{}",
    "a list": b"[]",
    "binary": bytes(range(256)) * 8,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("damage", [*DAMAGES, "half", "newer"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_checkpoint_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], whole: Path, name: str, damage: str
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(whole, folder)
    path = folder / name
    if damage == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "newer":
        path.write_bytes(path.read_bytes().replace(b'"WordPiece"', b'"WordPiece9"').replace(b"F32", b"F3X"))
        if name == "config.json":
            path.write_bytes(path.read_bytes().replace(b'"bert"', b'"bert9"'))
    elif (content := DAMAGES[damage]) is None:
        path.unlink()
    else:
        path.write_bytes(content)
    status = main(["export", "--checkpoint", str(folder), "--output", str(tmp_path / "package"), "--fp32"])
    told = capsys.readouterr().err
    assert status == 1
    assert "Traceback" not in told
    assert str(folder) in told
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize("kind", ["file", "nothing", "empty"])
def test_a_path_without_a_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    folder = tmp_path / "checkpoint"
    if kind == "file":
        folder.write_text("{}")
    elif kind == "empty":
        folder.mkdir()
    assert main(["export", "--checkpoint", str(folder), "--output", str(tmp_path / "package")]) == 1
    assert str(folder) in capsys.readouterr().err
