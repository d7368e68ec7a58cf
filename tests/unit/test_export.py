from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from model.encoder import Encoder

torch = pytest.importorskip("torch", reason="exporting needs requirements/train.txt")
transformers = pytest.importorskip("transformers", reason="exporting needs requirements/train.txt")

from transformers.modeling_outputs import SequenceClassifierOutput  # noqa: E402  # needs torch

from model.export import Checkpoint, ExportError, export, largest_difference, load_checkpoint  # noqa: E402  # needs torch

MAX_TOKENS = 24
TEXTS = [
    "雨の図書室",
    "夜の雨",
    "図書",
    "雨の夜の図書室の雨の夜の図書室の雨の夜の図書室の雨の夜の図書室",
    "",
    "知らない文字",
]


def save_checkpoint(folder: Path, rows: int = 2) -> Path:
    """Save a random BERT that reads single characters."""
    torch.manual_seed(7)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"雨の図書室夜"]
    tokenizer = Tokenizer(models.WordPiece({token: index for index, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        num_labels=rows,
        initializer_range=0.3,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(save_checkpoint(tmp_path_factory.mktemp("checkpoint")), MAX_TOKENS)


def test_fp32_parts_score_as_the_checkpoint_does(checkpoint: Checkpoint) -> None:
    parts = export(checkpoint, int8=False)
    assert np.ptp(checkpoint.scores(TEXTS)) > 0.01
    assert largest_difference(checkpoint, parts, TEXTS) < 1e-5


def test_int8_parts_score_nearly_as_the_checkpoint_does(checkpoint: Checkpoint) -> None:
    parts = export(checkpoint)
    assert 1e-7 < largest_difference(checkpoint, parts, TEXTS) < 0.05


def test_a_head_of_one_row_is_kept(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, rows=1), MAX_TOKENS)
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


def test_a_head_of_three_rows_is_refused(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(save_checkpoint(tmp_path, rows=3), MAX_TOKENS)
    with pytest.raises(ExportError, match="one or two rows"):
        export(checkpoint)


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
