"""Operators of constants and shapes, computed at import: what converters write where a batch is left open."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.registry import Lowering
from accelsim.importers.tflite.context import NodeContext
from accelsim.importers.tflite.file.options import NONE
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.lower.shape import selected
from accelsim.importers.tflite.lower.sizes import reshaped

Value = NDArray[Any]
INTEGERS: Mapping[str, Any] = MappingProxyType({"INT32": np.int32, "INT64": np.int64})
"""Types of sizes, indices and what is computed of them."""
MAX_ELEMENTS = 1 << 24
"""Of a constant that is computed at import."""


def fold(node: NodeContext) -> bool:
    """Whether the operator's output is known at import; from then on it is a constant.

    Sizes and indices may be computed with; codes may only be moved, and have the scale of what they were.
    """
    if node.op not in FOLDS or len(node.record.outputs) != 1:
        return False
    inputs = [node.tensor(index) for index in node.record.inputs if index >= 0]
    output = node.output
    if node.op != "SHAPE" and not all(tensor.is_constant for tensor in inputs):
        return False
    if output.type not in INTEGERS:
        if node.op not in MOVES or inputs[0].type != output.type:
            return False
        node.need(_alike(inputs[0], output), f"it moves constants of {inputs[0].name!r} to another scale", "one scale")
    value = FOLDS[node.op].function(node)
    node.need(
        value.size <= MAX_ELEMENTS, f"it makes a constant of {value.size:,} elements", f"at most {MAX_ELEMENTS:,}"
    )
    node.output_shape_is(value.shape)
    kind = INTEGERS.get(output.type, value.dtype)
    node.need(_fits(value, kind), f"it computes {value.reshape(-1)[:8].tolist()}", f"numbers of {output.type}")
    node.settle(replace(output, shape=value.shape, data=np.asarray(value, dtype=kind, order="C")))
    return True


def _alike(source: TfliteTensor, target: TfliteTensor) -> bool:
    return np.array_equal(source.scales, target.scales) and np.array_equal(source.zero_points, target.zero_points)


def _fits(value: Value, kind: Any) -> bool:
    info = np.iinfo(kind) if np.dtype(kind).kind in "iu" else None
    return info is None or not value.size or (info.min <= int(value.min()) and int(value.max()) <= info.max)


def _data(node: NodeContext, position: int) -> Value:
    data = node.constant(position, "operands")
    return data.astype(np.int64) if data.dtype.kind == "i" and data.dtype.itemsize >= 4 else data


def _shape(node: NodeContext) -> Value:
    node.without_effect("out_type")  # the output says it too
    return np.array(node.input(0).shape, np.int64)


def _sliced(node: NodeContext) -> Value:
    ranges, kept = selected(node, node.input(0).shape)
    return _data(node, 0)[np.ix_(*ranges)].reshape(kept)


def _cut(node: NodeContext) -> Value:
    data, begins, sizes = _data(node, 0), node.integers(1, "begins"), node.integers(2, "sizes")
    node.need(
        len(begins) == len(sizes) == data.ndim and all(b >= 0 for b in begins), f"it begins at {begins}", "one per axis"
    )
    return data[tuple(slice(b, None if n == -1 else b + n) for b, n in zip(begins, sizes, strict=True))]


def _packed(node: NodeContext) -> Value:
    parts = [_data(node, i) for i in range(len(node.record.inputs))]
    node.need(node.option("values_count") == len(parts), f"it has {len(parts)} inputs", "as many as it says")
    return np.stack(parts, node.axis_of(node.option("axis"), parts[0].ndim + 1))


def _joined(node: NodeContext) -> Value:
    parts = [_data(node, i) for i in range(len(node.record.inputs))]
    node.need(node.option("fused_activation") == NONE, "it has a fused activation", "none")
    return np.concatenate(parts, node.axis_of(node.option("axis"), parts[0].ndim))


def _gathered(node: NodeContext) -> Value:
    data, indices = _data(node, 0), node.constant(1, "indices")
    node.need(not node.option("batch_dims"), f"its batch_dims are {node.option('batch_dims')}", "batch_dims 0")
    axis = node.axis_of(node.option("axis"), data.ndim)
    inside = indices.dtype.kind == "i" and bool(((indices >= 0) & (indices < data.shape[axis])).all())
    node.need(inside, "an index lies outside the axis", "indices inside it")
    return np.take(data, indices, axis)


def _reduced(function: Callable[..., Any]) -> Callable[[NodeContext], Value]:
    def value(node: NodeContext) -> Value:
        data = _data(node, 0)
        axes = tuple({node.axis_of(axis, data.ndim) for axis in node.integers(1, "axes")})
        return np.asarray(function(data, axis=axes, keepdims=bool(node.option("keep_dims"))))

    return value


def _binary(function: Callable[[Value, Value], Value]) -> Callable[[NodeContext], Value]:
    def value(node: NodeContext) -> Value:
        if "fused_activation" in node.record.options:
            node.need(node.option("fused_activation") == NONE, "it has a fused activation", "none")
        if "pot_scale_int16" in node.record.options:
            node.without_effect("pot_scale_int16")
        left, right = _data(node, 0), _data(node, 1)
        node.need(node.op != "FLOOR_DIV" or bool(right.all()), "it divides by 0", "other numbers")
        return np.asarray(function(left, right))

    return value


def _same(node: NodeContext) -> Value:
    node.without_effect("in_data_type", "out_data_type")  # the tensors say it too
    return _data(node, 0)


def _turned(node: NodeContext) -> Value:
    data = _data(node, 0)
    permutation = [node.axis_of(axis, data.ndim) for axis in node.integers(1, "permutation")]
    return data.transpose(permutation)


def _spread(node: NodeContext) -> Value:
    shape = node.integers(1, "sizes")
    node.need(math.prod(shape) <= MAX_ELEMENTS, f"it broadcasts to {shape}", f"at most {MAX_ELEMENTS:,} elements")
    return np.broadcast_to(_data(node, 0), shape)


def _reshaped(node: NodeContext) -> Value:
    return _data(node, 0).reshape(reshaped(node, node.input(0).shape))


MOVES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "STRIDED_SLICE", "SLICE", "GATHER", "BROADCAST_TO")
"""What may be done with constants that are no integers of 32 or 64 bits."""
_OF = "int32, int64"
FOLDS: Mapping[str, Lowering[Callable[[NodeContext], Value]]] = MappingProxyType(
    {
        op: Lowering(function, (), _OF, "of shapes and constants, at import")
        for op, function in {
            "SHAPE": _shape,
            "STRIDED_SLICE": _sliced,
            "SLICE": _cut,
            "PACK": _packed,
            "CONCATENATION": _joined,
            "GATHER": _gathered,
            "REDUCE_PROD": _reduced(np.prod),
            "REDUCE_MAX": _reduced(np.max),
            "REDUCE_MIN": _reduced(np.min),
            "SUM": _reduced(np.sum),
            "ADD": _binary(np.add),
            "SUB": _binary(np.subtract),
            "MUL": _binary(np.multiply),
            "FLOOR_DIV": _binary(np.floor_divide),
            "MAXIMUM": _binary(np.maximum),
            "MINIMUM": _binary(np.minimum),
            "CAST": _same,
            "RESHAPE": _reshaped,
            "SQUEEZE": _reshaped,
            "EXPAND_DIMS": _reshaped,
            "TRANSPOSE": _turned,
            "BROADCAST_TO": _spread,
        }.items()
    }
)
"""Operator -> the value of its output."""
