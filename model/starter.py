"""Trains the starter package: a small transformer, from scratch, on made-up works and a made-up taste. Needs torch.

It knows nothing about any owner. It lets tests, the demo and a first deployment run the real code.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import ModernBertConfig, ModernBertForSequenceClassification, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from model.export import export, largest_difference, load_checkpoint
from model.learning.examples import Example
from model.learning.folds import labels_of
from model.learning.metrics import accuracy, average_precision, f1
from model.learning.train import train
from model.serving.card import Card
from model.serving.encoder import Encoder
from model.serving.package import ModelPackage, write_package
from model.serving.text import KEYWORDS, ORDER, compose
from osusume.items import Item
from samples.works import demo_works, generate_works, made_up_taste

_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
PAD, _UNK, CLS, SEP = range(4)
_THREADS = 1
"""One: the division of sums among threads changes their last bits, and two are slower on a busy machine."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The amount of training data, the length of the training, and the size of the model."""

    works: int = 9_000
    held_out: int = 1_600
    passes: int = 2
    checks_a_pass: int = 3
    patience: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-3
    vocabulary: int = 5_000
    max_tokens: int = 192
    hidden: int = 128
    layers: int = 2


def train_starter(
    output: Path,
    *,
    seed: int,
    today: date,
    recipe: Recipe = Recipe(),
    advance: Callable[[float], None] = lambda _share: None,
) -> Card:
    """Train a starter package, write it to `output` and return its card.

    The card's metrics are measured on the demo's works, which training never sees. The encoder learns from most other
    works. The held-out ones decide when its training ends, and then train the head. `advance` gets the share that is
    done.
    """
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)  # the optimizer's averages of rare tokens become denormals, which are slow
    torch.set_num_threads(_THREADS)
    torch.use_deterministic_algorithms(True)
    test = _labelled(demo_works())
    shown = {example.item.title for example in test}
    works = [item for item in generate_works(recipe.works + recipe.held_out, seed) if item.title not in shown]
    random.Random(seed).shuffle(works)  # noqa: S311  # divides works, guards nothing
    held_out, training = _labelled(works[: recipe.held_out]), _labelled(works[recipe.held_out :])

    tokenizer = pretrained(train_tokenizer(_texts(training), recipe.vocabulary, longest_token=6), recipe.max_tokens)
    model = _model(tokenizer, recipe)
    _train(model, tokenizer, training, held_out, recipe, advance=lambda share: advance(0.9 * share))
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        checkpoint = load_checkpoint(Path(folder), recipe.max_tokens)
    parts = export(checkpoint)
    liked = int(labels_of([*training, *held_out]).sum())
    card = Card(
        version="starter",
        taste="made-up",
        base_model=f"ModernBERT, {recipe.layers} layers of {recipe.hidden}, trained from scratch",
        created_on=today.isoformat(),
        order=ORDER,
        keywords=KEYWORDS,
        max_tokens=recipe.max_tokens,
        labels={"interested": liked, "not_interested": len(works) - liked},
        metrics={},
        files={},
    )
    encoder = Encoder(parts.encoder, parts.tokenizer, recipe.max_tokens)
    # The encoder has memorised its training works, so the head learns how reliable it is from the others.
    trained = train(held_out, encoder=encoder, seed=seed, advance=lambda share: advance(0.9 + 0.1 * share))
    package = ModelPackage(card, encoder, trained.head)
    scores, labels = np.array(package.probabilities([example.item for example in test])), labels_of(test)
    metrics = {
        "accuracy": accuracy(scores, labels, package.threshold),
        "f1": f1(scores, labels, package.threshold),
        "average_precision": average_precision(scores, labels),
        **trained.metrics,
        "largest_difference_from_checkpoint": largest_difference(checkpoint, parts, _texts(test)),
    }
    card = replace(card, metrics={name: round(value, 4) for name, value in metrics.items()})
    return write_package(output, card, trained.head, parts.encoder, parts.tokenizer)


def _labelled(items: Sequence[Item]) -> list[Example]:
    return [Example(item, made_up_taste(item)) for item in items]


def _texts(examples: Sequence[Example]) -> list[str]:
    return [compose(example.item, ORDER, KEYWORDS) for example in examples]


def train_tokenizer(texts: Iterable[str], vocabulary: int, longest_token: int) -> Tokenizer:
    """Return a tokenizer of byte pairs, trained on the texts.

    Japanese has no spaces, so words are split where the script changes, and tokens are kept short; otherwise whole
    sentences of the made-up works would become tokens. It is not a unigram model, whose training is not deterministic.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=_SPECIAL_TOKENS[_UNK]))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.UnicodeScripts()])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        max_token_length=longest_token,
        special_tokens=list(_SPECIAL_TOKENS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return tokenizer


def pretrained(tokenizer: Tokenizer, max_tokens: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer that `train_tokenizer` made in the form that transformers saves."""
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers types only some of its functions
        tokenizer_object=tokenizer,
        model_max_length=max_tokens,
        **dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), _SPECIAL_TOKENS, strict=True)),
    )


def _model(tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> ModernBertForSequenceClassification:
    # The mean learns from a word in any position; the first token's vector needed twice as many works.
    config = ModernBertConfig(  # type: ignore[call-arg]  # it takes more than its declaration says
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=4,
        intermediate_size=recipe.hidden * 3 // 2,
        max_position_embeddings=recipe.max_tokens,
        global_attn_every_n_layers=1,
        classifier_pooling="mean",
        embedding_dropout=0.1,
        attention_dropout=0.1,
        mlp_dropout=0.1,
        classifier_dropout=0.1,
        num_labels=2,
        pad_token_id=PAD,
        bos_token_id=CLS,
        cls_token_id=CLS,
        eos_token_id=SEP,
        sep_token_id=SEP,
    )
    return ModernBertForSequenceClassification(config)


def _train(
    model: ModernBertForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    training: Sequence[Example],
    held_out: Sequence[Example],
    recipe: Recipe,
    *,
    advance: Callable[[float], None],
) -> None:
    """Train the model and keep its state at the check with the least loss on the held-out works."""
    rows, held_out_rows = (_token_rows(tokenizer, examples) for examples in (training, held_out))
    labels, held_out_labels = (torch.from_numpy(labels_of(examples)) for examples in (training, held_out))
    batches = [batch for _ in range(recipe.passes) for batch in _batches(rows, recipe.batch_size)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=len(batches), pct_start=0.15
    )
    check_every = max(1, len(batches) // (recipe.passes * recipe.checks_a_pass))
    least_loss, best_state, checks_since_best = float("inf"), model.state_dict(), 0
    for step, batch in enumerate(batches, start=1):
        model.train()
        loss = torch.nn.functional.cross_entropy(_logits(model, [rows[index] for index in batch]), labels[batch])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        advance(step / len(batches))
        if step % check_every and step != len(batches):
            continue
        held_out_loss = _loss(model, held_out_rows, held_out_labels, recipe.batch_size)
        checks_since_best += 1
        if held_out_loss < least_loss:
            least_loss, checks_since_best = held_out_loss, 0
            best_state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if checks_since_best >= recipe.patience:
            break
    model.load_state_dict(best_state)
    model.train(False)


def _token_rows(tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example]) -> list[list[int]]:
    encoded = tokenizer(_texts(examples), truncation=True)
    rows: list[list[int]] = encoded["input_ids"]
    return rows


def _batches(rows: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Yield the rows' indices in random batches of similar length, which need little padding."""
    order = torch.randperm(len(rows)).tolist()
    for first in range(0, len(order), size * 16):
        by_length = sorted(order[first : first + size * 16], key=lambda index: len(rows[index]))
        starts = torch.arange(0, len(by_length), size)
        for start in starts[torch.randperm(len(starts))].tolist():
            yield by_length[start : start + size]


def _logits(model: ModernBertForSequenceClassification, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=PAD)
    logits: torch.Tensor = model(ids, attention_mask=(ids != PAD).long()).logits
    return logits


def _loss(model: ModernBertForSequenceClassification, rows: list[list[int]], labels: torch.Tensor, size: int) -> float:
    model.train(False)
    with torch.inference_mode():
        logits = torch.cat([_logits(model, rows[start : start + size]) for start in range(0, len(rows), size)])
    return float(torch.nn.functional.cross_entropy(logits, labels))
