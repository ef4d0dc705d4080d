"""Operators of constants and of shapes, computed when the model is read, by the onnx package's own reference evaluator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.files import one_line
from accelsim.importers.onnx.asked import schema_attributes
from accelsim.importers.onnx.context import NodeContext, dequantized
from accelsim.importers.onnx.file import QONNX_OPERATORS
from accelsim.importers.onnx.network import Value, Weights
from accelsim.importers.refusal import RefusalError

SHAPES = ("Shape", "Size")
"""Operators whose result is known from the shape of their operand."""
MOVING = (
    "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather", "Expand", "Tile", "DepthToSpace",
    "SpaceToDepth",
)  # fmt: skip
"""Operators that move the elements of their first operand: a quantized constant stays one."""
KEPT = ("QuantizeLinear", "DequantizeLinear", *QONNX_OPERATORS, "Identity", "Dropout", "If")
"""Operators of constants that have a lowering, or a refusal, of their own."""
RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial")
LARGEST = 2**28
"""Elements that an operator may make of a few numbers."""
GROWING = ("ConstantOfShape", "Expand", "Tile", "Range", "Pad", "Resize", "OneHot", "EyeLike")


def is_known(node: NodeContext) -> bool:
    """Whether the node's results follow from constants and shapes alone."""
    if node.record.domain not in ("", "ai.onnx") or node.op in (*KEPT, *RANDOM):
        return False
    if node.op in SHAPES:
        return len(node.inputs) == 1 and node.glance(0) is not None
    if node.op == "Cast" and isinstance(node.glance(0), Weights):
        return False
    given = [i for i, name in enumerate(node.inputs) if name]
    return bool(given) and all(node.is_constant(i) for i in given)


def fold(node: NodeContext) -> None:
    """The results of a node that :func:`is_known`, as constants; RefusalError where the evaluator has none."""
    node.ignore(*schema_attributes(node.record, node.net.model.opset), inputs=tuple(range(len(node.inputs))))
    if node.op in SHAPES:
        results: Sequence[Value] = _evaluated(node, [np.empty(node.shape(0), np.bool_)])
    else:
        operands = [node.glance(i) for i in range(len(node.inputs))]
        first = operands[0]
        is_moved = isinstance(first, Weights) and node.op in MOVING
        results = (
            _moved(node, first, operands[1:]) if is_moved and isinstance(first, Weights) else _computed(node, operands)
        )
    for name, result in zip(node.outputs, results, strict=False):
        if name:
            node.net.values[name] = result


def _numbers(value: Value | None) -> NDArray[Any] | None:
    real = dequantized(value) if isinstance(value, Weights) else value
    assert real is None or isinstance(real, np.ndarray)
    return real


def _computed(node: NodeContext, operands: Sequence[Value | None]) -> list[NDArray[Any]]:
    return _evaluated(node, [_numbers(value) for value in operands])


def _moved(node: NodeContext, weights: Weights, others: Sequence[Value | None]) -> list[Weights]:
    """Where each element goes tells the codes, and along which axis their scales differ after it."""
    codes = weights.codes
    every = np.arange(codes.size, dtype=np.int64).reshape(codes.shape)
    return [_picked(node, weights, at) for at in _evaluated(node, [every, *map(_numbers, others)])]


def _picked(node: NodeContext, weights: Weights, at: NDArray[np.int64]) -> Weights:
    codes = weights.codes.reshape(-1)[at.reshape(-1)].reshape(at.shape)
    if weights.axis is None:
        return replace(weights, codes=codes)
    below = math.prod(weights.codes.shape[weights.axis + 1 :])
    channel = at // below % weights.codes.shape[weights.axis]
    axes = [i for i in range(at.ndim) if (channel != channel.take([0], axis=i)).any()]
    node.need(
        len(axes) <= 1, "it spreads the scales of its operand over several axes", "one axis that they differ along"
    )
    axis = axes[0] if axes else 0
    order = np.moveaxis(channel, axis, 0).reshape(channel.shape[axis] if channel.ndim else 1, -1)[:, 0]
    scales = weights.scales if weights.scales.size == 1 else weights.scales[order]
    zeros = weights.zero_points if weights.zero_points.size == 1 else weights.zero_points[order]
    return replace(weights, codes=codes, scales=scales, zero_points=zeros, axis=axis)


def _evaluated(node: NodeContext, operands: Sequence[NDArray[Any] | None]) -> list[NDArray[Any]]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    _need_small(node, operands)
    names = [f"i{i}" if value is not None else "" for i, value in enumerate(operands)]
    outputs = [f"o{i}" if name else "" for i, name in enumerate(node.outputs)]
    attributes: Any = {
        name: onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in node.record.attributes.items()
    }
    record = onnx.helper.make_node(node.op, names, outputs, **attributes)
    graph = onnx.helper.make_graph(
        [record], "constant", [onnx.ValueInfoProto(name=name) for name in names if name],
        [onnx.ValueInfoProto(name=name) for name in outputs if name],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", node.net.model.opset)])
    feeds = {name: value for name, value in zip(names, operands, strict=True) if value is not None}
    try:
        with np.errstate(all="ignore"):
            found = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:  # the evaluator's operators each raise kinds of their own
        raise RefusalError(
            f"it cannot be computed from its constants ({one_line(error)})", "an operator that its operands suit"
        ) from error
    results = iter(found)
    return [np.asarray(next(results)) if name else np.empty(0) for name in outputs]


def _need_small(node: NodeContext, operands: Sequence[NDArray[Any] | None]) -> None:
    """RefusalError where a few numbers ask for more than there is memory."""
    if node.op not in GROWING:
        return
    sizes = [value for value in operands if value is not None and value.dtype.kind in "iu" and value.ndim <= 1]
    factor = math.prod(max(abs(int(v)), 1) for value in sizes for v in value.reshape(-1)[:32])
    first = operands[0]
    elements = factor * (max(first.size, 1) if first is not None and node.op == "Tile" else 1)
    node.need(elements <= LARGEST, f"it may make {elements} elements of its constants", f"at most {LARGEST}")
