"""Exports attention as one operator of the graph. Needs torch.

Otherwise attention becomes about ten operators a layer, which write every product of queries and keys to memory. ONNX
Runtime has one operator for all of it, `MultiHeadAttention`, but its optimizer does not find the pattern in what torch
exports. So the operator is inserted while torch traces, through transformers' own setting for attention.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

_NAME = "onnxruntime"
NOWHERE = -1e9
"""Added to the logit of a key that a query may not see. Infinity would turn a row without keys into NaN."""


@contextmanager
def fused_attention(model: PreTrainedModel) -> Iterator[None]:
    """Make `torch.onnx.export` turn the model's attention into ONNX Runtime's operator inside the context.

    The model then takes texts without padding only, and cannot run outside the export. A model without a choice of
    attention, such as DeBERTa, is not changed.
    """
    before = model.config._attn_implementation
    if not model._can_set_attn_implementation():  # otherwise setting it would warn
        yield
        return
    model.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def multi_head_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    heads: int,
    bias: torch.Tensor | None = None,
    scaling: float | None = None,
) -> torch.Tensor:
    """Return the result of ONNX Runtime's attention; every tensor is batch x tokens x width of all heads together.

    The logits are multiplied by `scaling`, by default one over the root of a head's width. Then `bias`
    (batch x 1 x queries x keys) is added.
    """
    return torch.onnx.ops.symbolic(
        "com.microsoft::MultiHeadAttention",
        [query, key, value] if bias is None else [query, key, value, None, None, bias],
        {"num_heads": heads, "scale": float((query.shape[2] // heads) ** -0.5 if scaling is None else scaling)},
        dtype=query.dtype,
        shape=query.shape,
        version=1,
    )


def _attention(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    position_bias: torch.Tensor | None = None,
    **_other: object,
) -> tuple[torch.Tensor, None]:
    """Return attention in transformers' layout: batch, heads, tokens, width in; batch, tokens, heads, width out."""
    heads, width = query.shape[1], query.shape[3]
    if key.shape[1] != heads:
        key, value = (part.repeat_interleave(heads // part.shape[1], dim=1) for part in (key, value))
    bias = attention_mask
    if position_bias is not None:
        bias = position_bias if bias is None else position_bias + bias
    query, key, value = (part.transpose(1, 2).flatten(2) for part in (query, key, value))
    attended = multi_head_attention(query, key, value, heads=heads, bias=bias, scaling=scaling)
    return attended.view(*attended.shape[:2], heads, width), None


def _mask(
    q_length: int,
    kv_length: int,
    mask_function: Callable[[int, int, torch.Tensor, torch.Tensor], torch.Tensor],
    local_size: int | None = None,
    allow_is_bidirectional_skip: bool = False,
    **_other: object,
) -> torch.Tensor | None:
    """Return what to add to the attention's logits, None if every token sees every other."""
    if allow_is_bidirectional_skip and local_size is None:
        return None
    queries, keys = torch.arange(q_length)[:, None], torch.arange(kv_length)[None, :]
    return torch.where(mask_function(0, 0, queries, keys), 0.0, NOWHERE)[None, None]


AttentionInterface.register(_NAME, _attention)
AttentionMaskInterface.register(_NAME, _mask)
