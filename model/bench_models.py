"""Makes what `python -m model bench` measures: a classifier with random weights, and its packages. Needs torch.

Run as `python -m model.bench_models NAME FOLDER`, in a process of its own, so that the one that starts the measured
processes stays small. Speed does not depend on what the weights are.
"""

from __future__ import annotations

import itertools
import json
import sys
from datetime import date
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from model.export import Parts, export, load_checkpoint
from model.serving.card import Card
from model.serving.package import write_package
from model.serving.text import KEYWORDS, ORDER, compose
from samples.works import generate_works

_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_LENGTHS = {"mixed": [64 + round(448 * step / 47) for step in range(48)]} | {str(n): [n] * 8 for n in (128, 256, 512)}
_QUICK_LENGTHS = {"mixed": [16, 40, 64], "64": [64, 64]}


def main(name: str, folder: Path) -> None:
    """Write checkpoint, packages, texts and the products a text takes on average of the model `name` into `folder`."""
    torch.manual_seed(1)
    model = _model(name)
    works = [compose(item, ORDER, KEYWORDS) for item in generate_works(600, seed=5)]
    tokenizer = _tokenizer(works, model.config.vocab_size)
    model.save_pretrained(folder / "checkpoint")
    tokenizer.save_pretrained(folder / "checkpoint")
    checkpoint = load_checkpoint(folder / "checkpoint", 512)
    exact = export(checkpoint, int8=False)
    for package, parts in (("fp32", exact), ("int8", exact.int8())):
        _write(folder / package, parts, name)
    lengths = _QUICK_LENGTHS if name == "quick" else _LENGTHS
    texts = {kind: _texts(tokenizer, works, counts) for kind, counts in lengths.items()}
    (folder / "texts.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    counts = {kind: [_products(model, tokens) for tokens in lengths[kind]] for kind in lengths}
    means = {kind: [sum(column) / len(rows) for column in zip(*rows, strict=True)] for kind, rows in counts.items()}
    (folder / "products.json").write_text(json.dumps(means))


def _model(name: str) -> PreTrainedModel:
    if name == "DistilBERT-base":
        return DistilBertForSequenceClassification(DistilBertConfig())
    quick = name == "quick"
    config = ModernBertConfig(  # type: ignore[call-arg]  # it takes more than its declaration says
        vocab_size=3_000 if quick else 102_400,
        hidden_size=64 if quick else 256,
        num_hidden_layers=2 if quick else 10,
        num_attention_heads=4,
        intermediate_size=128 if quick else 1024,
        num_labels=2,
        pad_token_id=0,
        bos_token_id=2,
        cls_token_id=2,
        eos_token_id=3,
        sep_token_id=3,
    )
    return ModernBertForSequenceClassification(config)


def _tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer learnt from the texts, filled up with tokens that do not occur to the size of a real one."""
    trained = Tokenizer(models.BPE(unk_token=_SPECIAL_TOKENS[1]))
    trained.normalizer = normalizers.NFKC()
    trained.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.UnicodeScripts()])
    trainer = trainers.BpeTrainer(
        vocab_size=min(vocabulary, 2_500), max_token_length=4, special_tokens=list(_SPECIAL_TOKENS), show_progress=False
    )
    trained.train_from_iterator(texts, trainer)
    contents = json.loads(trained.to_str())
    tokens = contents["model"]["vocab"]
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 400)]
    fillers = (token for pair in itertools.product(characters, repeat=2) if (token := "".join(pair)) not in tokens)
    missing = range(len(tokens), vocabulary)
    tokens |= dict(zip(list(itertools.islice(fillers, len(missing))), missing, strict=True))
    tokenizer = Tokenizer.from_str(json.dumps(contents))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers types only some of its functions
        tokenizer_object=tokenizer,
        model_max_length=512,
        **dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), _SPECIAL_TOKENS, strict=True)),
    )


def _write(folder: Path, parts: Parts, name: str) -> None:
    card = Card(
        version=f"bench-{name}",
        taste="made-up",
        base_model=f"{name}, random",
        created_on=date(2026, 1, 1).isoformat(),
        order=ORDER,
        keywords=KEYWORDS,
        max_tokens=parts.max_tokens,
        labels={},
        metrics={},
        files={},
    )
    write_package(folder, card, parts.head, parts.encoder, parts.tokenizer)


def _texts(tokenizer: PreTrainedTokenizerFast, works: list[str], lengths: list[int]) -> list[str]:
    """Return a text of about so many tokens for each length, cut from works that are put one after another."""
    texts = []
    for number, length in enumerate(lengths):
        text = " ".join(works[(number * 7 + offset) % len(works)] for offset in range(40))
        encoding = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        texts.append(text[: encoding.offsets[length - 3][1]])
    return texts


def _products(model: PreTrainedModel, tokens: int) -> tuple[int, int]:
    """Return how many products a text of so many tokens takes: of weights, and of queries, keys and values."""
    linears = [part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and "layer" in name]
    of_weights = tokens * sum(linear.weight.numel() for linear in linears)
    config = model.config
    if not isinstance(config, ModernBertConfig):
        return of_weights, 2 * tokens * tokens * config.hidden_size * config.num_hidden_layers
    seen = [min(tokens, 2 * config.sliding_window + 1) if kind == "sliding_attention" else tokens
            for kind in config.layer_types or ()]  # fmt: skip
    return of_weights, 2 * tokens * config.hidden_size * sum(seen)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
