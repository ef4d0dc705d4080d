"""Types and shapes of a model's tensors, as ONNX's own shape inference has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from accelsim.importers.onnx.file.records import QONNX_OPERATORS, OnnxModel, type_name

KEEPING_SHAPE = (*QONNX_OPERATORS, "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax")
"""Operators that ONNX's inference does not know, whose result has the shape of their first input."""
LARGEST = 1024
"""Elements of a constant that says something about shapes."""


class Told(NamedTuple):
    """``type`` as ONNX spells it."""

    type: str
    shape: tuple[int, ...]


def told_shapes(model: OnnxModel) -> Mapping[str, Told]:
    """By tensor name, those with a known shape of at least 1 along every axis; nothing where inference fails."""
    import onnx

    try:
        message = onnx.load(model.path, load_external_data=False)
        _prepare(onnx, message, model)
        graph = onnx.shape_inference.infer_shapes(message, data_prop=True).graph
    except Exception:  # of protobuf and of shape inference: each has its own kinds, and the model is refused anyway
        return {}
    told = {value.name: _told(value.type.tensor_type) for value in (*graph.value_info, *graph.output)}
    return {
        name: found for name, found in told.items() if min(found.shape, default=1) > 0 and found.type != "UNDEFINED"
    }


def _told(tensor: Any) -> Told:
    """A shape of (0,) where there is none."""
    shape = tuple(int(dim.dim_value) for dim in tensor.shape.dim) if tensor.HasField("shape") else (0,)
    return Told(type_name(tensor.elem_type), shape)


def _prepare(onnx: Any, message: Any, model: OnnxModel) -> None:
    """In place: inputs of the sizes that are read, no large constants, other domains' operators under names that ONNX knows."""
    graph = message.graph
    small = [tensor for tensor in graph.initializer if np.prod(tensor.dims) <= LARGEST and not tensor.external_data]
    names = {tensor.name for tensor in small}
    given = [
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in graph.initializer
        if tensor.name not in names
    ]
    types = onnx.TensorProto.DataType
    given += [onnx.helper.make_tensor_value_info(v.name, types.Value(v.type), v.shape) for v in model.inputs]
    for field, values in ((graph.initializer, small), (graph.input, given)):
        del field[:]
        field.extend(values)
    for node in graph.node:
        if node.op_type in KEEPING_SHAPE:
            node.op_type, node.domain = "Identity", ""
            del node.input[1:], node.attribute[:]
        elif node.domain == "com.microsoft" and onnx.defs.has(node.op_type):
            node.domain = ""
