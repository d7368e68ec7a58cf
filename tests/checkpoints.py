"""Tiny Hugging Face checkpoints with random weights that read single characters. Needs torch."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL_TOKENS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]")
SIZES: dict[str, object] = {
    "pad_token_id": 1,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
    "initializer_range": 0.3,
}


def save_tokenizer(folder: Path, characters: str) -> None:
    """Save a tokenizer with a token for each character, after the special tokens."""
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *characters])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 2)]
    )
    transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers types only some functions
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)


def save_encoder(folder: Path, characters: str, **options: object) -> str:
    """Save a random BERT of `SIZES`, without a classifier, and return its folder."""
    torch.manual_seed(7)
    save_tokenizer(folder, characters)
    sizes = {**SIZES, "vocab_size": len(SPECIAL_TOKENS) + len(characters), **options}
    transformers.BertModel(transformers.BertConfig(**sizes)).save_pretrained(folder)  # type: ignore[arg-type]
    return str(folder)
