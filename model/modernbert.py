"""ModernBERT's layers in a form that ONNX Runtime runs faster; they compute the same. Needs torch.

What one linear layer computes together ModernBERT takes apart again, which copies it: here each part has a layer of its
own. Queries and keys are rotated by one operator. And a layer that sees only so many neighbours of a token compares
blocks of tokens with the blocks beside them, not every token with every other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel
from transformers.models.modernbert.modeling_modernbert import (
    ModernBertAttention,
    ModernBertEncoderLayer,
    ModernBertMLP,
)

from model.fusion import NOWHERE, multi_head_attention


@contextmanager
def faster_layers(model: PreTrainedModel) -> Iterator[None]:
    """While it lasts, the model's ModernBERT layers, if it has any, have the form that exports to a faster graph."""
    layers = [layer for layer in model.modules() if isinstance(layer, ModernBertEncoderLayer)]
    before = [(layer.attn, layer.mlp) for layer in layers]
    for layer in layers:
        layer.set_submodule("attn", _Attention(layer.attn))
        layer.set_submodule("mlp", _Mlp(layer.mlp))
    try:
        yield
    finally:
        for layer, (attention, mlp) in zip(layers, before, strict=True):
            layer.attn, layer.mlp = attention, mlp


class _Attention(torch.nn.Module):
    def __init__(self, attention: ModernBertAttention) -> None:
        super().__init__()
        self.query, self.key, self.value = _parts(attention.Wqkv, 3)
        self.output = attention.Wo
        self.heads = attention.config.num_attention_heads
        self.window = None if attention.sliding_window is None else attention.config.sliding_window
        """How many tokens to either side a token sees; None where it sees all."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        **_other: object,
    ) -> tuple[torch.Tensor, None]:
        query, key = (_rotated(part(hidden_states), *position_embeddings) for part in (self.query, self.key))
        value = self.value(hidden_states)
        if self.window is None:
            attended = multi_head_attention(query, key, value, heads=self.heads)
        else:
            attended = _nearby_attention(query, key, value, heads=self.heads, window=self.window)
        return self.output(attended), None


class _Mlp(torch.nn.Module):
    def __init__(self, mlp: ModernBertMLP) -> None:
        super().__init__()
        self.input, self.gate = _parts(mlp.Wi, 2)
        self.activation = mlp.act
        self.output = mlp.Wo

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        given: torch.Tensor = self.output(self.activation(self.input(hidden_states)) * self.gate(hidden_states))
        return given


def _nearby_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, heads: int, window: int
) -> torch.Tensor:
    """Return attention in which a token sees `window` tokens to either side.

    The text is cut into blocks as long as the window, so that a block needs only the keys of itself and of the blocks
    before and after it.
    """
    tokens, width = query.shape[1:]
    blocks = (tokens + window - 1) // window
    padding = blocks * window - tokens
    query = torch.nn.functional.pad(query, (0, 0, 0, padding)).view(blocks, window, width)
    key, value = (_beside(part, blocks, window, padding) for part in (key, value))
    # Where a query and the keys of its own and the neighbouring blocks stand in the text.
    first = torch.arange(blocks)[:, None, None] * window
    here, there = first + torch.arange(window)[:, None], first - window + torch.arange(3 * window)[None, :]
    seen = ((here - there).abs() <= window) & (there >= 0) & (there < tokens)
    bias = torch.where(seen, 0.0, NOWHERE)[:, None]
    return multi_head_attention(query, key, value, heads=heads, bias=bias).reshape(1, blocks * window, width)[
        :, :tokens
    ]


def _beside(states: torch.Tensor, blocks: int, window: int, padding: int) -> torch.Tensor:
    """Return for each block its states with those of the blocks before and after it, zeros beyond the text's ends."""
    padded = torch.nn.functional.pad(states, (0, 0, window, padding + window)).view(blocks + 2, window, -1)
    return torch.cat([padded[:-2], padded[1:-1], padded[2:]], dim=1)


def _parts(linear: torch.nn.Linear, count: int) -> list[torch.nn.Linear]:
    """Return linear layers that give the first, second, … part of what `linear` gives."""
    parts = []
    biases = [None] * count if linear.bias is None else linear.bias.chunk(count)
    for weight, bias in zip(linear.weight.chunk(count), biases, strict=True):
        part = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        part.weight = torch.nn.Parameter(weight.detach().clone())
        if bias is not None:
            part.bias = torch.nn.Parameter(bias.detach().clone())
        parts.append(part)
    return parts


def _rotated(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    half = cos.shape[-1] // 2  # either half of the angles is the other again
    return torch.onnx.ops.symbolic(
        "com.microsoft::RotaryEmbedding",
        [states, torch.zeros(1, dtype=torch.int64), cos[0, :, :half], sin[0, :, :half]],
        {},
        dtype=states.dtype,
        shape=states.shape,
        version=1,
    )
