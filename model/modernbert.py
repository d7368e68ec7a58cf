"""ModernBERT's layers in an equivalent form that ONNX Runtime runs faster. Needs torch.

ModernBERT splits the result of one linear layer, which copies it; here each part has its own layer. One operator
rotates queries and keys. A layer with a limited window compares blocks of tokens with their neighbouring blocks, not
every token with every other.
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
    """Replace the model's ModernBERT layers, if any, by a form that exports to a faster graph, inside the context."""
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
        """How many tokens on each side a token sees; None if it sees all."""

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
    """Return attention in which a token sees `window` tokens on each side.

    The text is cut into blocks as long as the window, so that a block needs only its own keys and those of the blocks
    before and after it.
    """
    tokens, width = query.shape[1:]
    blocks = (tokens + window - 1) // window
    padding = blocks * window - tokens
    query = torch.nn.functional.pad(query, (0, 0, 0, padding)).view(blocks, window, width)
    key, value = (_beside(part, blocks, window, padding) for part in (key, value))
    # The positions in the text of a query, and of the keys in its own and the neighbouring blocks.
    first = torch.arange(blocks)[:, None, None] * window
    here, there = first + torch.arange(window)[:, None], first - window + torch.arange(3 * window)[None, :]
    seen = ((here - there).abs() <= window) & (there >= 0) & (there < tokens)
    bias = torch.where(seen, 0.0, NOWHERE)[:, None]
    return multi_head_attention(query, key, value, heads=heads, bias=bias).reshape(1, blocks * window, width)[
        :, :tokens
    ]


def _beside(states: torch.Tensor, blocks: int, window: int, padding: int) -> torch.Tensor:
    """Return each block's states with those of the blocks before and after it, zeros beyond the ends of the text."""
    padded = torch.nn.functional.pad(states, (0, 0, window, padding + window)).view(blocks + 2, window, -1)
    return torch.cat([padded[:-2], padded[1:-1], padded[2:]], dim=1)


def _parts(linear: torch.nn.Linear, count: int) -> list[torch.nn.Linear]:
    """Return linear layers that compute the first, second, … part of the result of `linear`."""
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
    half = cos.shape[-1] // 2  # both halves of the angles are equal
    return torch.onnx.ops.symbolic(
        "com.microsoft::RotaryEmbedding",
        [states, torch.zeros(1, dtype=torch.int64), cos[0, :, :half], sin[0, :, :half]],
        {},
        dtype=states.dtype,
        shape=states.shape,
        version=1,
    )
