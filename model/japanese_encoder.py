"""Writes multilingual-e5-small as transformers saves an encoder, with less of its vocabulary. Needs torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from model.packed_e5 import Packed

PROMPT = "passage: "
"""The model card of multilingual-e5-small asks for it before each text that is not a query."""

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
_SPACE = "▁"
_BESIDE_JAPANESE = "0123456789%!?.,:;()[]/&-+~…―"


def write_source(packed: Packed, english: Collection[str], folder: Path) -> None:
    """Write the encoder to a folder, as transformers and sentence-transformers save one.

    Of its vocabulary it keeps what Japanese and English use; `english` are the pieces of English texts.
    """
    kept = kept_pieces(packed.pieces, english)
    config = BertConfig(
        vocab_size=len(kept),
        hidden_size=packed.hidden,
        num_hidden_layers=packed.layers,
        num_attention_heads=packed.heads,
        intermediate_size=packed.feed_forward,
        max_position_embeddings=packed.positions,
        layer_norm_eps=packed.epsilon,
        pad_token_id=1,
    )
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(_weights(packed, kept))
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # it has no types
        tokenizer_object=_tokenizer([(packed.pieces[row], packed.scores[row]) for row in kept]),
        **dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL_TOKENS, strict=True)),
        model_max_length=packed.positions,
    )
    tokenizer.save_pretrained(folder)
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [
        {"path": f"{number}_{kind}" if number else "", "type": f"sentence_transformers.models.{kind}"}
        for number, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    prompts = {"prompts": {"passage": PROMPT}, "default_prompt_name": "passage"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))


def kept_pieces(pieces: Sequence[str], english: Collection[str]) -> list[int]:
    """Return the rows of the pieces that Japanese and English texts use, specials first.

    Every single character stays, of whatever script, so that a word without a piece of its own falls back to its
    characters. `english` are the pieces of English texts, of which those in ASCII stay.
    """
    specials = [pieces.index(token) for token in SPECIAL_TOKENS]
    words = [piece.removeprefix(_SPACE) for piece in pieces]
    kept = {
        row
        for row, word in enumerate(words)
        if len(word) <= 1 or all(map(_is_japanese, word)) or (word.isascii() and pieces[row] in english)
    }
    return [*specials, *sorted(kept - set(specials))]


def _is_japanese(character: str) -> bool:
    """Whether a character is of Japanese writing: of JIS X 0213, and neither Latin, Greek nor Cyrillic."""
    try:
        character.encode("shift_jisx0213")
    except UnicodeEncodeError:
        return False
    return "\u3000" <= character <= "\u9fff" or character in _BESIDE_JAPANESE


def _tokenizer(pieces: list[tuple[str, float]]) -> Tokenizer:
    tokenizer = Tokenizer(Unigram(pieces, unk_id=SPECIAL_TOKENS.index("<unk>")))
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def _weights(packed: Packed, kept: Sequence[int]) -> dict[str, torch.Tensor]:
    """Return the weights by transformers' names, with the embeddings of the kept pieces alone."""
    hidden = packed.hidden

    def tensor(name: str, *shape: int) -> torch.Tensor:
        return torch.from_numpy(packed.tensors[name].copy()).reshape(*shape)

    weights = {
        "embeddings.word_embeddings.weight": tensor("emb.word", -1, hidden)[list(kept)],
        "embeddings.position_embeddings.weight": tensor("emb.pos", -1, hidden),
        "embeddings.token_type_embeddings.weight": tensor("emb.type", -1, hidden),
        "embeddings.LayerNorm.weight": tensor("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": tensor("emb.ln.b", hidden),
    }
    dense = {
        "q": "attention.self.query",
        "k": "attention.self.key",
        "v": "attention.self.value",
        "ao": "attention.output.dense",
        "fi": "intermediate.dense",
        "fo": "output.dense",
    }
    norms = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
    for number in range(packed.layers):
        at = f"encoder.layer.{number}"
        for name, theirs in dense.items():
            bias = tensor(f"l{number}.{name}.b", -1)
            weights[f"{at}.{theirs}.weight"] = tensor(f"l{number}.{name}.w", len(bias), -1)
            weights[f"{at}.{theirs}.bias"] = bias
        for name, theirs in norms.items():
            weights[f"{at}.{theirs}.weight"] = tensor(f"l{number}.{name}.w", hidden)
            weights[f"{at}.{theirs}.bias"] = tensor(f"l{number}.{name}.b", hidden)
    return weights
