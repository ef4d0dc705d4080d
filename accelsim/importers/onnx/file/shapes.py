"""Types and shapes of a model's tensors, as ONNX's own shape inference has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from accelsim.importers.onnx.file.records import QONNX_OPERATORS, OnnxModel, OnnxNode, type_name

KEEPING_SHAPE = (*QONNX_OPERATORS, "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax")
"""Operators that ONNX's inference does not know, whose result has the shape of their first input."""
LARGEST = 1024
"""Elements of a constant that says something about shapes."""


class Told(NamedTuple):
    """``type`` as ONNX spells it."""

    type: str
    shape: tuple[int, ...]


def told_shapes(model: OnnxModel) -> Mapping[str, Told]:
    """By tensor name, those with a known shape of at least 1 along every axis; nothing where inference fails.

    Inferred from the records, which may be of a later opset than the file or have fewer nodes, and from what the file itself tells.
    """
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
    """In place: nodes, inputs and constants are those that are read, large constants inputs of their shape."""
    graph, helper = message.graph, onnx.helper
    small = {name: values for name, values in model.constants.items() if values.size <= LARGEST}
    types = onnx.TensorProto.DataType
    given = [helper.make_tensor_value_info(v.name, types.Value(v.type), v.shape) for v in model.inputs]
    given += [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
        for name, values in model.constants.items()
        if name not in small
    ]
    constants = [onnx.numpy_helper.from_array(values, name) for name, values in small.items()]
    nodes = [_node(onnx, node) for node in model.nodes]
    for field, values in ((graph.node, nodes), (graph.initializer, constants), (graph.input, given)):
        del field[:]
        field.extend(values)
    for entry in message.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = model.opset


def _node(onnx: Any, node: OnnxNode) -> Any:
    """The NodeProto; other domains' operators under names that ONNX knows."""
    if node.op in KEEPING_SHAPE:
        return onnx.helper.make_node("Identity", node.inputs[:1], node.outputs)
    attributes = {
        name: onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in node.attributes.items()
        if not isinstance(value, tuple) or value
    }
    domain = "" if node.domain == "com.microsoft" and onnx.defs.has(node.op) else node.domain
    return onnx.helper.make_node(node.op, node.inputs, node.outputs, domain=domain, **attributes)
