"""Turns a torch module into an ONNX graph that is ready to run. Needs torch."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnxruntime import InferenceSession, SessionOptions  # type: ignore[attr-defined]  # it has no __all__
from onnxruntime.capi.onnxruntime_pybind11_state import Fail as OrtFail
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph as OrtInvalidGraph
from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[attr-defined]  # it has no __all__
from transformers import PreTrainedModel

from model.fusion import fused_attention
from model.modernbert import faster_layers
from osusume.errors import UserError

_LARGEST_DIFFERENCE = 1e-4
"""The rounding error allowed between a module and its graph, both in fp32, as a share of the largest number."""


def trace(module: torch.nn.Module, model: PreTrainedModel, max_tokens: int) -> bytes:
    """Return the graph of `module`, which turns the token ids of one text (1 x tokens) into its embedding by `model`.

    The graph has the input `input_ids` and the output `embedding`, takes texts of up to `max_tokens`, and was compared
    with the module. Raises `UserError` when torch cannot export the module to such a graph.
    """
    module.eval()
    # Where a model does not work with the changes for speed, a slower graph is better than none.
    for fast in (True, False):
        try:
            graph = _exported(module, model, max_tokens, fast=fast)
            difference = _difference(graph, module, model, max_tokens)
        except (torch.onnx.OnnxExporterError, OrtInvalidGraph, OrtFail) as error:
            reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        else:
            if difference <= _LARGEST_DIFFERENCE:
                return graph
            reason = f"the graph's embeddings differ by {difference:.1g}"
    raise UserError(f"{type(model).__name__} cannot be exported by this version of torch ({reason}): use another")


def _exported(module: torch.nn.Module, model: PreTrainedModel, max_tokens: int, *, fast: bool) -> bytes:
    # The exporter warns about its own internals and about torchvision, which is not needed.
    for name in ("torch.onnx", "onnxscript"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), ExitStack() as changes:
        warnings.simplefilter("ignore")
        if fast:
            changes.enter_context(fused_attention(model))
            changes.enter_context(faster_layers(model))
        program = torch.onnx.export(
            module,
            (_ids(9, model),),
            dynamo=True,
            input_names=["input_ids"],
            output_names=["item_embedding"],
            dynamic_shapes=({1: torch.export.Dim("tokens", max=max(max_tokens, 10))},),
            verbose=False,
        )
    if program is None:  # only by the exporter before dynamo
        raise UserError(f"torch exported no graph of {type(model).__name__}")
    graph: onnx.ModelProto = program.model_proto
    _strip(graph)
    # torch names values after operators, and one operator is "embedding".
    _rename(graph, {"embedding": "token_embedding", "item_embedding": "embedding"})
    return bytes(graph.SerializeToString())


def _difference(graph: bytes, module: torch.nn.Module, model: PreTrainedModel, max_tokens: int) -> float:
    """Return the largest difference between graph and module, as a share of the embedding's largest number."""
    run = _runner(graph)
    differences = []
    for length in sorted({min(length, max_tokens) for length in (1, 2, 9, 70, 200, max_tokens)}):
        ids = _ids(length, model)
        with torch.inference_mode():
            own = module(ids).numpy()
        differences.append(np.abs(run(ids.numpy()) - own).max() / np.abs(own).max())
    return float(np.max(differences))


def _runner(graph: bytes) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]]:
    """Return a function that runs the graph on token ids."""
    options = SessionOptions()
    options.log_severity_level = 4  # it raises what it logs
    session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda ids: np.asarray(session.run(["embedding"], {"input_ids": ids})[0])


def _ids(length: int, model: PreTrainedModel) -> torch.Tensor:
    """Return a text of many different tokens, none of them padding."""
    ids = torch.arange(length) * 7919 % model.config.vocab_size
    padding = getattr(model.config, "pad_token_id", None)
    return (ids if padding is None else torch.where(ids == padding, 1 - min(padding, 1), ids)).reshape(1, -1)


def quantized(graph: bytes, *, table_bits: int = 8) -> bytes:
    """Return the graph with weights of eight bits: a quarter of the size, and faster.

    The vectors of the tokens have `table_bits`, 8 or 4. In 4 bits, in blocks of 32, they are the same if they were so
    in the source.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "int8.onnx")
        model = onnx.load_from_string(graph)
        logging.disable(logging.WARNING)  # it advises a pass over the graph that the exporter already made
        try:
            if table_bits == 4:
                model = _with_small_table(model)
            # Seven bits of weight: processors without VNNI add two products in 16 bits, and eight would overflow.
            quantize_dynamic(
                model,
                path,
                nodes_to_exclude=_odd_products(model),
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # no shapes after fused attention
            )
        except Exception as error:  # onnxruntime's tools have no error class of their own
            raise UserError(f"its weights cannot be stored in int8 ({error}): export it with --fp32") from error
        finally:
            logging.disable(logging.NOTSET)
        int8 = path.read_bytes()
    _check_runs(int8)
    return int8


def _with_small_table(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with the vectors of the tokens in 4 bits."""
    with _own_logging():
        from onnxruntime.quantization import matmul_nbits_quantizer as nbits  # noqa: PLC0415  # it sets up logging
    others = [node.name for node in model.graph.node if node.op_type == "Gather" and "input_ids" not in node.input]
    blocks = nbits.DefaultWeightOnlyQuantConfig(block_size=32, is_symmetric=True, op_types_to_quantize=("Gather",))
    quantizer: Any = nbits.MatMulNBitsQuantizer(model, nodes_to_exclude=others, algo_config=blocks)
    quantizer.process()
    small: onnx.ModelProto = quantizer.model.model
    return small


@contextmanager
def _own_logging() -> Iterator[None]:
    """Undo what the code within does to the root logger."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def _odd_products(model: onnx.ModelProto) -> list[str]:
    """Return the products by a constant that is not a matrix, which cannot be quantized by column."""
    dimensions = {constant.name: len(constant.dims) for constant in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and any(dimensions.get(name, 2) != 2 for name in node.input)
    ]


def _check_runs(graph: bytes) -> None:
    """Raise `UserError` if a graph cannot be run, or gives numbers that are not finite."""
    try:
        embedding = _runner(graph)(np.zeros((1, 5), np.int64))
    except Exception as error:  # onnxruntime has a class for each status, under Exception alone
        raise UserError(f"its graph in int8 cannot be run ({error}): export it with --fp32") from error
    if not np.isfinite(embedding).all():
        raise UserError("its graph in int8 gives numbers that are not finite: export it with --fp32")


def _strip(model: onnx.ModelProto) -> None:
    """Remove debugging data: stack traces, which hold this machine's paths, and inferred shapes.

    `quantize_dynamic` infers its own shapes and fails if the two differ.
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
    """Rename values of the graph."""
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for output in model.graph.output:
        output.name = names.get(output.name, output.name)
