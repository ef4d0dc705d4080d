"""Operators that move codes and change none."""

from __future__ import annotations

import math

from accelsim.graph import Concat, Pad, Reshape, StridedSlice, Transpose
from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite.context import ACTIVATION_TYPES, FORMATS, MOVED_TYPES, NodeContext, zero_point_of
from accelsim.importers.tflite.file.options import NONE
from accelsim.importers.tflite.lower.sizes import reshaped


def lower_reshape(node: NodeContext) -> Reshape:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the same codes in the same order."""
    source = node.moved((*MOVED_TYPES, "INT64"))  # of 64 bits are indices of an ARG_MAX
    node.output_shape_is(reshaped(node, source.shape))
    return Reshape(**node.fields(source), source_operator=node.op)


def lower_transpose(node: NodeContext) -> Transpose:
    """Output axis i is input axis permutation[i]."""
    source = node.moved()
    rank = len(source.shape)
    given = node.integers(1, "permutation")
    permutation = tuple(axis + rank if axis < 0 else axis for axis in given)
    node.need(
        sorted(permutation) == list(range(rank)) and rank > 0,
        f"its permutation is {given} for {rank} axes",
        "each axis once",
    )
    node.output_shape_is(tuple(source.shape[axis] for axis in permutation))
    return Transpose(**node.fields(source), permutation=permutation)


def lower_concatenation(node: NodeContext) -> Concat:
    """Inputs side by side; like TFLite's int8 kernel it wants one scale and zero point throughout."""
    parts = [node.operand(i, MOVED_TYPES) for i in range(len(node.record.inputs))]
    node.need(len(parts) > 0, "it has no inputs", "at least one input")
    node.need(node.option("fused_activation") == NONE, "it has a fused activation", "none")
    node.result((parts[0].type,))
    node.same_quantization(*parts)
    rank = len(parts[0].shape)
    axis = node.option("axis") + (rank if node.option("axis") < 0 else 0)
    node.need(0 <= axis < rank, f"its axis is {node.option('axis')} for {rank} axes", "an axis of its inputs")
    rest = {(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts if len(part.shape) == rank}
    node.need(
        len(rest) == 1 and all(len(part.shape) == rank for part in parts),
        f"its inputs have shapes {[list(part.shape) for part in parts]}",
        f"shapes that differ along axis {axis} only",
    )
    total = sum(part.shape[axis] for part in parts)
    node.output_shape_is((*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :]))
    return Concat(**node.fields(*parts), axis=axis)


def lower_pad(node: NodeContext) -> Pad:
    """PAD fills with the zero point, PADV2 with the constant code of input 2."""
    source = node.moved(ACTIVATION_TYPES)
    rank = len(source.shape)
    amounts = node.integers(1, "paddings")
    node.need(
        rank > 0 and len(amounts) == 2 * rank and min(amounts) >= 0,
        f"its paddings are {amounts}",
        f"{rank} pairs of 0 or more",
    )
    before, after = tuple(amounts[::2]), tuple(amounts[1::2])
    node.output_shape_is(tuple(b + size + a for b, size, a in zip(before, source.shape, after, strict=True)))
    return Pad(**node.fields(source), before=before, value=_fill(node))


def _fill(node: NodeContext) -> int:
    if node.op == "PAD":
        return zero_point_of(node.output)
    constant = node.input(2)
    node.same_quantization(constant)
    values = node.integers(2, "fill value")
    node.need(
        len(values) == 1 and FORMATS[node.output.type].contains(values[0]), f"its fill value is {values}", "one code"
    )
    return values[0]


def lower_strided_slice(node: NodeContext) -> StridedSlice:
    """``begin:end:stride`` on every axis; masks open ends and drop axes (LiteRT strided_slice.h)."""
    source = node.moved()
    axes, kept = selected(node, source.shape)
    node.output_shape_is(kept)
    shape = tuple(len(axis) for axis in axes)
    starts, steps = tuple(axis.start for axis in axes), tuple(axis.step for axis in axes)
    return StridedSlice(**node.names, shapes=(source.shape,), shape=shape, begin=starts, strides=steps)


def selected(node: NodeContext, whole: tuple[int, ...]) -> tuple[list[range], tuple[int, ...]]:
    """The indices of every axis of a tensor of shape ``whole`` that are taken, and the output's shape, without dropped axes."""
    begin, end, strides = (node.integers(i, what) for i, what in ((1, "begins"), (2, "ends"), (3, "strides")))
    for name in ("ellipsis_mask", "new_axis_mask", "offset"):
        node.need(not node.option(name), f"its {name} is {node.option(name)}", f"{name} 0")
    rank = len(whole)
    node.need(
        rank > 0 and len(begin) == len(end) == len(strides) == rank and all(strides) and min(whole) > 0,
        f"its begins {begin}, ends {end} and strides {strides} do not match the {rank} axes of its input",
        "one begin, end and stride other than 0 per axis",
    )
    axes = [_axis_range(node, i, whole[i], begin[i], end[i], strides[i]) for i in range(rank)]
    shape = tuple(len(axis) for axis in axes)
    kept = tuple(size for i, size in enumerate(shape) if not node.option("shrink_axis_mask") >> i & 1)
    node.need(math.prod(shape) > 0, f"it selects nothing: {list(shape)}", "a slice that is not empty")
    return axes, kept


def _axis_range(node: NodeContext, axis: int, size: int, begin: int, end: int, stride: int) -> range:
    """The indices that one axis selects."""
    masked = {name: bool(node.option(name) >> axis & 1) for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    first = None if masked["begin_mask"] else begin
    if masked["shrink_axis_mask"]:
        index = (0 if first is None else first) + (size if begin < 0 and first is not None else 0)
        if not 0 <= index < size:
            raise RefusalError(f"index {begin} is outside axis {axis} of size {size}", "an index inside its axis")
        return range(index, index + 1)
    return range(size)[slice(first, None if masked["end_mask"] else end, stride)]
