from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from local.catalogue.works import generate_works
from model.__main__ import main
from model.dataset import Example
from model.encoder import Encoder
from model.package import ModelPackage
from model.text import KEYWORDS, ORDER, compose

torch = pytest.importorskip("torch", reason="exporting needs requirements/train.txt")
transformers = pytest.importorskip("transformers", reason="exporting needs requirements/train.txt")

from transformers.modeling_outputs import SequenceClassifierOutput  # noqa: E402  # needs torch

from model.errors import ExportError  # noqa: E402
from model.export import Checkpoint, export, largest_difference, load_checkpoint  # noqa: E402  # needs torch
from model.export_package import export_package  # noqa: E402

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
VOCABULARY = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", *"雨の図書室夜"]
SIZES: dict[str, object] = {
    "vocab_size": len(VOCABULARY),
    "pad_token_id": 1,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
    "initializer_range": 0.3,
}
ARCHITECTURES: dict[str, dict[str, object]] = {
    "Bert": SIZES,
    "DistilBert": {
        **{name: SIZES[name] for name in ("vocab_size", "pad_token_id", "max_position_embeddings")},
        "dim": 32,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 64,
        "initializer_range": 0.3,
    },
    "Roberta": SIZES,
    # as in deberta-v3: positions relative, in buckets, with the keys of the content
    "DebertaV2": {
        **SIZES,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
    },
    # windows of four tokens to either side, of which the longest text needs several
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
    tokenizer = Tokenizer(models.WordPiece({token: index for index, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    config = getattr(transformers, f"{architecture}Config")(**{**ARCHITECTURES[architecture], **options})
    getattr(transformers, f"{architecture}ForSequenceClassification")(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(save_checkpoint(tmp_path_factory.mktemp("checkpoint")), MAX_TOKENS)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_package_scores_as_its_checkpoint_does(tmp_path: Path, architecture: str) -> None:
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, architecture), MAX_TOKENS)
    parts = export(checkpoint, int8=False)
    assert np.ptp(checkpoint.scores(TEXTS)) > 0.001
    assert largest_difference(checkpoint, parts, TEXTS) < 1e-5
    assert 1e-8 < largest_difference(checkpoint, parts.int8(), TEXTS) < 0.05


@pytest.mark.parametrize("architecture", ["Bert", "DistilBert", "Roberta", "ModernBert"])
def test_attention_is_one_operator_a_layer(tmp_path: Path, architecture: str) -> None:
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, architecture), MAX_TOKENS)
    operators = [node.op_type for node in onnx.load_from_string(export(checkpoint).encoder).graph.node]
    assert operators.count("MultiHeadAttention") == checkpoint.model.config.num_hidden_layers
    assert "Softmax" not in operators


def test_a_head_of_one_row_is_kept(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, num_labels=1), MAX_TOKENS)
    assert largest_difference(checkpoint, export(checkpoint, int8=False), TEXTS) < 1e-5


def test_texts_of_any_length_fit_the_graph(checkpoint: Checkpoint) -> None:
    parts = export(checkpoint)
    encoder = Encoder(parts.encoder, parts.tokenizer, MAX_TOKENS)
    assert encoder.embed(["雨" * length for length in (0, 1, 5, MAX_TOKENS, 1000)]).shape == (5, 32)


def test_the_checkpoint_is_left_as_it_was(checkpoint: Checkpoint) -> None:
    before = checkpoint.scores(TEXTS)
    export(checkpoint, int8=False)
    assert np.array_equal(checkpoint.scores(TEXTS), before)


def test_the_graph_tells_nothing_of_the_machine_it_was_made_on(checkpoint: Checkpoint) -> None:
    parts = export(checkpoint, int8=False)
    assert str(Path(torch.__file__).parents[1]).encode() not in parts.encoder
    assert b"stack_trace" not in parts.encoder
    assert not list(onnx.load_from_string(parts.encoder).metadata_props)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"num_labels": 3}, "3 labels"),
        ({"num_labels": 1, "problem_type": "regression"}, "regression"),
        ({"num_labels": 2, "problem_type": "multi_label_classification"}, "multi_label"),
    ],
)
def test_a_checkpoint_that_does_not_tell_two_labels_apart_is_refused(
    tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(ExportError, match=reason):
        load_checkpoint(save_checkpoint(tmp_path, "Bert", **options))


def test_an_encoder_that_was_never_trained_to_classify_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path)
    transformers.BertModel(transformers.BertConfig(**SIZES)).save_pretrained(tmp_path)
    with pytest.raises(ExportError, match=r"classifier\.weight"):
        load_checkpoint(tmp_path)


def test_a_slow_tokenizer_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path)
    for file in tmp_path.glob("tokenizer*"):
        file.unlink()
    vocabulary = {"<pad>": 1, "<s>": 0, "</s>": 2, "<unk>": 3}
    (tmp_path / "vocab.txt").write_text("\n".join(f"{token} {index}" for token, index in vocabulary.items()))
    (tmp_path / "bpe.codes").write_text("")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PhobertTokenizer"}')
    with pytest.raises(ExportError, match="slow tokenizer"):
        load_checkpoint(tmp_path)


def test_the_rows_of_the_position_table_that_roberta_leaves_out_take_no_tokens(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, "Roberta"))
    assert checkpoint.max_tokens == 32 - 2
    assert largest_difference(checkpoint, export(checkpoint, int8=False), ["雨" * 100]) < 1e-5


def squash(_model: object, _inputs: object, output: SequenceClassifierOutput) -> None:
    assert output.logits is not None
    output.logits = output.logits.tanh()


def test_a_model_that_changes_what_its_last_layer_gives_is_refused(checkpoint: Checkpoint) -> None:
    hook = checkpoint.model.register_forward_hook(squash)
    try:
        with pytest.raises(ExportError, match="classifier"):
            export(checkpoint)
    finally:
        hook.remove()


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=str(tmp_path)):
        load_checkpoint(tmp_path, MAX_TOKENS)


def test_the_command_writes_a_package_whose_card_says_what_was_measured(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path / "checkpoint")
    assert main(["export", "--checkpoint", str(checkpoint), "--output", str(tmp_path / "package")]) == 0
    package = ModelPackage.load(tmp_path / "package")
    assert package.card.max_tokens == SIZES["max_position_embeddings"]
    assert 0 < package.card.metrics["largest_difference_from_checkpoint"] < 0.05
    assert package.card.metrics["fp32_difference_from_checkpoint"] < 1e-5


def test_int8_that_costs_accuracy_is_refused_unless_forced(tmp_path: Path) -> None:
    # Labels that the checkpoint itself gives, half of them on either side of its threshold.
    folder = save_checkpoint(tmp_path / "checkpoint")
    works = generate_works(60, seed=3)
    checkpoint = load_checkpoint(folder)
    classifier = checkpoint.model.get_submodule("classifier")
    texts = [compose(item, ORDER, KEYWORDS) for item in works]
    scores = checkpoint.scores(texts)
    middle = np.median(np.log(scores / (1 - scores)))
    with torch.no_grad():
        classifier.bias += torch.tensor([middle / 2, -middle / 2], dtype=torch.float32)
    checkpoint.model.save_pretrained(folder)
    examples = [Example(item, bool(score > 0.5)) for item, score in zip(works, checkpoint.scores(texts), strict=True)]
    export_package(folder, tmp_path / "fp32", today=TODAY, examples=examples, int8=False)
    with pytest.raises(ExportError, match="--force"):
        export_package(folder, tmp_path / "int8", today=TODAY, examples=examples)
    card = export_package(folder, tmp_path / "int8", today=TODAY, examples=examples, force=True)
    assert card.metrics["checkpoint_accuracy"] == 1
    assert card.metrics["accuracy"] < 0.995
    assert card.labels["interested"] + card.labels["not_interested"] == 60
