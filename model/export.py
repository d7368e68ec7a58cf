"""A Hugging Face sequence classifier made into the parts of a model package. Needs torch."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[attr-defined]  # it has no __all__
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from model.encoder import Encoder
from model.head import Head, Scores

_LARGEST_LOGIT_DIFFERENCE = 1e-4
"""Between a checkpoint and its own parts, both in fp32: what rounding may do, and no more."""


class ExportError(Exception):
    """Raised when a checkpoint cannot become a package; the message names the part and the remedy."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A sequence classifier and its tokenizer, as `from_pretrained` loads them; texts are cut at `max_tokens`."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    max_tokens: int

    def scores(self, texts: Sequence[str]) -> Scores:
        """Return the probability of label 1 for each text, as transformers would give it, one text at a time."""
        rows = []
        with torch.inference_mode():
            for text in texts:
                tokens = self.tokenizer(text, truncation=True, max_length=self.max_tokens, return_tensors="pt")
                rows.append(self.model(tokens["input_ids"], attention_mask=tokens["attention_mask"]).logits[0].numpy())
        logits = np.array(rows, dtype=np.float64)
        logit = logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
        return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Parts:
    """The contents of a package's files, made from a checkpoint; the head's threshold is 0.5 until one is chosen."""

    encoder: bytes
    tokenizer: bytes
    head: Head


def load_checkpoint(folder: Path, max_tokens: int) -> Checkpoint:
    """Return the checkpoint in `folder`; raises `ExportError` when transformers finds none or the tokenizer is slow."""
    try:
        model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ExportError(f"{folder} holds no sequence classifier that transformers can load: {error}") from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ExportError(f"{folder} has a slow tokenizer: save its fast form (tokenizer.json) beside the model")
    return Checkpoint(model.eval(), tokenizer, max_tokens)


def export(checkpoint: Checkpoint, *, int8: bool = True) -> Parts:
    """Return the parts of a package that scores as the checkpoint does.

    The classifier's last linear layer gives way to the identity, so that the graph's output is that layer's input, the
    `embedding`; the layer itself becomes the head: of two rows their difference, one row as it is. With `int8` the
    graph's weights are quantized, which moves scores a little: `largest_difference` measures how far.

    Raises `ExportError` when the checkpoint does not end in such a layer. The checkpoint is left as it was.
    """
    model = checkpoint.model
    name, last = _last_linear(model)
    ids = torch.arange(18).reshape(2, 9) % model.config.vocab_size
    inputs = (ids, torch.ones_like(ids))
    parent = model.get_submodule(name.rpartition(".")[0])
    attribute = name.rpartition(".")[2]
    with torch.inference_mode():
        logits = model(inputs[0], attention_mask=inputs[1]).logits
    setattr(parent, attribute, torch.nn.Identity())
    try:
        with torch.inference_mode():
            embedding = model(inputs[0], attention_mask=inputs[1]).logits
            rebuilt = last(embedding)
        if rebuilt.shape != logits.shape or (rebuilt - logits).abs().max() > _LARGEST_LOGIT_DIFFERENCE:
            raise ExportError(f"{type(model).__name__} changes what its last linear layer {name} gives: no head for it")
        graph = _graph(model, inputs)
    finally:
        setattr(parent, attribute, last)
    return Parts(
        encoder=_quantized(graph) if int8 else graph.SerializeToString(),
        tokenizer=checkpoint.tokenizer.backend_tokenizer.to_str().encode(),
        head=_head(last),
    )


def largest_difference(checkpoint: Checkpoint, parts: Parts, texts: Sequence[str]) -> float:
    """Return how far the parts' score and the checkpoint's are apart on the text where they differ most."""
    encoder = Encoder(parts.encoder, parts.tokenizer, checkpoint.max_tokens)
    return float(np.abs(parts.head.scores(encoder.embed(texts)) - checkpoint.scores(texts)).max())


def _last_linear(model: PreTrainedModel) -> tuple[str, torch.nn.Linear]:
    linears = [(name, module) for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    if not linears or linears[-1][1].out_features not in (1, 2):
        raise ExportError(
            f"{type(model).__name__} does not end in a linear layer of one or two rows: train it on two labels"
        )
    return linears[-1]


def _head(linear: torch.nn.Linear) -> Head:
    weights = linear.weight.detach().double().numpy()
    bias = np.zeros(len(weights)) if linear.bias is None else linear.bias.detach().double().numpy()
    if len(weights) == 2:
        weights, bias = weights[1:] - weights[:1], bias[1:] - bias[:1]
    return Head(embedding=weights[0], bias=float(bias[0]), threshold=0.5)


class _Embedding(torch.nn.Module):
    """The model with its inputs and its one output in the order that the graph has them."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids, attention_mask=attention_mask).logits
        return logits


def _graph(model: PreTrainedModel, inputs: tuple[torch.Tensor, torch.Tensor]) -> onnx.ModelProto:
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    # The exporter warns of its own internals and of torchvision, which is neither here nor needed.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Embedding(model).eval(),
            inputs,
            dynamo=True,
            input_names=["input_ids", "attention_mask"],
            output_names=["item_embedding"],
            dynamic_shapes={"input_ids": axes, "attention_mask": axes},
            verbose=False,
        )
    if program is None:
        raise ExportError(f"torch exported no graph of {type(model).__name__}")
    graph: onnx.ModelProto = program.model_proto
    _strip(graph)
    # torch names values after operators, of which one is "embedding": that name is taken until here.
    _rename(graph, {"embedding": "token_embedding", "item_embedding": "embedding"})
    return graph


def _strip(model: onnx.ModelProto) -> None:
    """Take out what only a debugger of the export reads: stack traces with this machine's paths, and inferred shapes.

    The shapes go because `quantize_dynamic` infers its own and fails where the two differ.
    """
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    for function in model.functions:
        del function.metadata_props[:], function.value_info[:]
        for node in function.node:
            del node.metadata_props[:]


def _rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Give values of the graph other names."""
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for output in model.graph.output:
        output.name = names.get(output.name, output.name)


def _quantized(graph: onnx.ModelProto) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "int8.onnx")
        logging.disable(logging.WARNING)  # it advises a pass over the graph that the exporter has made
        try:
            # Seven bits of weight: processors without VNNI add two products in 16 bits, which eight would overflow.
            quantize_dynamic(graph, path, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
        finally:
            logging.disable(logging.NOTSET)
        return path.read_bytes()
