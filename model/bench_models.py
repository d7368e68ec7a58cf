"""Makes what `python -m model bench` measures: a classifier with random weights, and its packages. Needs torch.

Run as `python -m model.bench_models NAME FOLDER`, in its own process, so that the process that starts the measured ones
stays small. The weights do not affect the speed.
"""

from __future__ import annotations

import itertools
import json
import sys
from datetime import date
from pathlib import Path

import torch
from tokenizers import Tokenizer
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
from model.starter import CLS, PAD, SEP, pretrained, train_tokenizer
from samples.works import generate_works

_LENGTHS = {"mixed": [64 + round(448 * step / 47) for step in range(48)]} | {str(n): [n] * 8 for n in (128, 256, 512)}
_QUICK_LENGTHS = {"mixed": [16, 40, 64], "64": [64, 64]}


def main(name: str, folder: Path) -> None:
    """Write the checkpoint, packages, texts and mean number of products a text of the model `name` into `folder`."""
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
        pad_token_id=PAD,
        bos_token_id=CLS,
        cls_token_id=CLS,
        eos_token_id=SEP,
        sep_token_id=SEP,
    )
    return ModernBertForSequenceClassification(config)


def _tokenizer(texts: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer trained on the texts, with unused tokens added to reach the size of a real one."""
    contents = json.loads(train_tokenizer(texts, min(vocabulary, 2_500), longest_token=4).to_str())
    tokens = contents["model"]["vocab"]
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 400)]
    fillers = (token for pair in itertools.product(characters, repeat=2) if (token := "".join(pair)) not in tokens)
    missing = range(len(tokens), vocabulary)
    tokens |= dict(zip(list(itertools.islice(fillers, len(missing))), missing, strict=True))
    return pretrained(Tokenizer.from_str(json.dumps(contents)), 512)


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
    """Return a text of about each length in tokens, cut from works in a row."""
    texts = []
    for number, length in enumerate(lengths):
        text = " ".join(works[(number * 7 + offset) % len(works)] for offset in range(40))
        encoding = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        texts.append(text[: encoding.offsets[length - 3][1]])
    return texts


def _products(model: PreTrainedModel, tokens: int) -> tuple[int, int]:
    """Return how many products a text of so many tokens needs: of weights, and of queries, keys and values."""
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
