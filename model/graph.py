"""A torch module made into an ONNX graph that is ready to run. Needs torch."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[attr-defined]  # it has no __all__
from transformers import PreTrainedModel

from model.errors import ExportError
from model.fusion import fused_attention


def trace(module: torch.nn.Module, model: PreTrainedModel, max_tokens: int) -> onnx.ModelProto:
    """Return the graph of `module`, which turns the token ids of one text (1 x tokens) into its embedding by `model`.

    The graph has the input `input_ids` and the output `embedding`, and takes texts of any length up to `max_tokens`.
    Raises `ExportError` when torch cannot export the module.
    """
    ids = (torch.arange(9) % model.config.vocab_size).reshape(1, -1)
    tokens = torch.export.Dim("tokens", max=max(max_tokens, 10))
    # The exporter warns of its own internals and of torchvision, which is neither here nor needed.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), fused_attention(model):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                (ids,),
                dynamo=True,
                input_names=["input_ids"],
                output_names=["item_embedding"],
                dynamic_shapes=({1: tokens},),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"torch cannot export {type(model).__name__}: {str(error).splitlines()[0]}") from error
    if program is None:
        raise ExportError(f"torch exported no graph of {type(model).__name__}")
    graph: onnx.ModelProto = program.model_proto
    _strip(graph)
    # torch names values after operators, of which one is "embedding": that name is taken until here.
    _rename(graph, {"embedding": "token_embedding", "item_embedding": "embedding"})
    return graph


def quantized(graph: onnx.ModelProto) -> bytes:
    """Return the graph with weights of eight bits, which is a quarter of the size and faster."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "int8.onnx")
        logging.disable(logging.WARNING)  # it advises a pass over the graph that the exporter has made
        try:
            # Seven bits of weight: processors without VNNI add two products in 16 bits, which eight would overflow.
            quantize_dynamic(
                graph,
                path,
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # no shapes behind a fused attention
            )
        finally:
            logging.disable(logging.NOTSET)
        return path.read_bytes()


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
