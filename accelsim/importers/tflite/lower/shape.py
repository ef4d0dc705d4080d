"""Operators that move codes and change none."""

from __future__ import annotations

import math

from accelsim.graph import Concat, Pad, Reshape, StridedSlice, Transpose
from accelsim.importers.tflite.file.options import NONE
from accelsim.importers.tflite.refusal import RefusalError
from accelsim.importers.tflite.site import FORMATS, Site, view, zero_point_of

MOVED_TYPES = ("INT8", "INT16", "INT32")


def lower_reshape(site: Site) -> Reshape:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the output's shape in the file counts, the same codes in the same order."""
    source = site.activation(0, MOVED_TYPES)
    site.result((source.type,))
    site.same_quantization(source)
    site.need(
        source.elements == site.output.elements,
        f"it turns shape {list(source.shape)} into {list(site.output.shape)}, another number of elements",
        "shapes with as many elements",
    )
    return Reshape(
        **site.names, shapes=(view(source.shape),), shape=view(site.output.shape), source_operator=site.operator.name
    )


def lower_transpose(site: Site) -> Transpose:
    """Output axis i is input axis permutation[i]."""
    source = site.activation(0, MOVED_TYPES)
    site.result((source.type,))
    site.same_quantization(source)
    rank = len(source.shape)
    given = site.integers(1, "permutation")
    permutation = tuple(axis + rank if axis < 0 else axis for axis in given)
    site.need(
        sorted(permutation) == list(range(rank)) and rank > 0,
        f"its permutation is {given} for {rank} axes",
        "each axis once",
    )
    site.output_shape_is(tuple(source.shape[axis] for axis in permutation))
    return Transpose(**site.names, shapes=(source.shape,), shape=site.output.shape, permutation=permutation)


def lower_concatenation(site: Site) -> Concat:
    """Inputs side by side; like TFLite's int8 kernel it wants one scale and zero point throughout."""
    parts = [site.operand(i, MOVED_TYPES) for i in range(len(site.operator.inputs))]
    site.need(len(parts) > 0, "it has no inputs", "at least one input")
    site.need(site.option("fused_activation") == NONE, "it has a fused activation", "none")
    site.result((parts[0].type,))
    site.same_quantization(*parts)
    rank = len(parts[0].shape)
    axis = site.option("axis") + (rank if site.option("axis") < 0 else 0)
    site.need(0 <= axis < rank, f"its axis is {site.option('axis')} for {rank} axes", "an axis of its inputs")
    rest = {(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts if len(part.shape) == rank}
    site.need(
        len(rest) == 1 and all(len(part.shape) == rank for part in parts),
        f"its inputs have shapes {[list(part.shape) for part in parts]}",
        f"shapes that differ along axis {axis} only",
    )
    total = sum(part.shape[axis] for part in parts)
    site.output_shape_is((*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :]))
    return Concat(
        **site.names_of(*parts), shapes=tuple(part.shape for part in parts), shape=site.output.shape, axis=axis
    )


def lower_pad(site: Site) -> Pad:
    """PAD fills with the zero point, PADV2 with the constant code of input 2."""
    source = site.activation(0)
    site.result((source.type,))
    site.same_quantization(source)
    rank = len(source.shape)
    amounts = site.integers(1, "paddings")
    site.need(
        rank > 0 and len(amounts) == 2 * rank and min(amounts) >= 0,
        f"its paddings are {amounts}",
        f"{rank} pairs of 0 or more",
    )
    before, after = tuple(amounts[::2]), tuple(amounts[1::2])
    site.output_shape_is(tuple(b + size + a for b, size, a in zip(before, source.shape, after, strict=True)))
    return Pad(**site.names, shapes=(source.shape,), shape=site.output.shape, before=before, value=_fill(site))


def _fill(site: Site) -> int:
    if site.operator.name == "PAD":
        return zero_point_of(site.output)
    constant = site.input(2)
    site.same_quantization(constant)
    values = site.integers(2, "fill value")
    site.need(
        len(values) == 1 and FORMATS[site.output.type].contains(values[0]), f"its fill value is {values}", "one code"
    )
    return values[0]


def lower_strided_slice(site: Site) -> StridedSlice:
    """``begin:end:stride`` on every axis; masks open ends and drop axes (LiteRT strided_slice.h)."""
    source = site.activation(0, MOVED_TYPES)
    site.result((source.type,))
    site.same_quantization(source)
    begin, end, strides = (site.integers(i, what) for i, what in ((1, "begins"), (2, "ends"), (3, "strides")))
    for name in ("ellipsis_mask", "new_axis_mask", "offset"):
        site.need(not site.option(name), f"its {name} is {site.option(name)}", f"{name} 0")
    rank = len(source.shape)
    site.need(
        rank > 0 and len(begin) == len(end) == len(strides) == rank and all(strides) and min(source.shape) > 0,
        f"its begins {begin}, ends {end} and strides {strides} do not match the {rank} axes of its input",
        "one begin, end and stride other than 0 per axis",
    )
    axes = [_axis_range(site, i, source.shape[i], begin[i], end[i], strides[i]) for i in range(rank)]
    shape = tuple(len(axis) for axis in axes)
    kept = tuple(size for i, size in enumerate(shape) if not site.option("shrink_axis_mask") >> i & 1)
    site.need(math.prod(shape) > 0, f"it selects nothing: {list(shape)}", "a slice that is not empty")
    site.output_shape_is(kept)
    starts, steps = tuple(axis.start for axis in axes), tuple(axis.step for axis in axes)
    return StridedSlice(**site.names, shapes=(source.shape,), shape=shape, begin=starts, strides=steps)


def _axis_range(site: Site, axis: int, size: int, begin: int, end: int, stride: int) -> range:
    """The indices that one axis selects."""
    masked = {name: bool(site.option(name) >> axis & 1) for name in ("begin_mask", "end_mask", "shrink_axis_mask")}
    first = None if masked["begin_mask"] else begin
    if masked["shrink_axis_mask"]:
        index = (0 if first is None else first) + (size if begin < 0 and first is not None else 0)
        if not 0 <= index < size:
            raise RefusalError(f"index {begin} is outside axis {axis} of size {size}", "an index inside its axis")
        return range(index, index + 1)
    return range(size)[slice(first, None if masked["end_mask"] else end, stride)]
