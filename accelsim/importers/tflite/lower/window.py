"""Pools, means, and extremes with their places."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from accelsim.graph import ArgMax, ArgMin, AveragePool2D, MaxPool2D, Mean, ReduceMax, ReduceMin
from accelsim.importers.tflite.context import (
    ACTIVATION_TYPES,
    FORMATS,
    NodeContext,
    round_half_away,
    scale_of,
    view,
    zero_point_of,
)
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.rules import INDEX_TYPES
from accelsim.importers.tflite.window import window
from accelsim.numerics import Folding, Requant, scheme_named
from accelsim.quant import divided_multiplier, encode_multiplier, folded_factors, requant_from_scales


def lower_average_pool(node: NodeContext) -> AveragePool2D:
    """Mean of raw codes, half away from zero; input and output share scale and zero point."""
    return AveragePool2D(**_pool_fields(node))


def lower_max_pool(node: NodeContext) -> MaxPool2D:
    """Maximum of codes; input and output share scale and zero point."""
    return MaxPool2D(**_pool_fields(node))


def _pool_fields(node: NodeContext) -> dict[str, Any]:
    source = node.moved(ACTIVATION_TYPES)
    node.need(
        len(source.shape) == 4 and min(source.shape) > 0,
        f"its input has shape {list(source.shape)}",
        "4 dimensions, none 0",
    )
    n, h, w, c = source.shape
    kernel = node.option("filter_h"), node.option("filter_w")
    rows, columns = window(node, (h, w), kernel)
    low, high = node.clamp()
    node.output_shape_is((n, rows.size, columns.size, c))
    return {
        **node.fields(source),
        "kernel": kernel,
        "stride": (rows.stride, columns.stride),
        "pad": (rows.before, columns.before),
        "clamp_min": low,
        "clamp_max": high,
    }


def lower_mean(node: NodeContext) -> Mean:
    """Sum over axes; of MEAN ``1/count`` is folded into the multiplier (LiteRT reference/reduce.h, QuantizedMeanOrSum)."""
    source = node.activation(0)
    node.result((source.type,))
    axes, shape = _reduced(node, source)
    count = math.prod(source.shape[axis] for axis in axes)
    zero, requant = _sum_rule(node, count) if node.op == "SUM" else _mean_rule(node, axes, count)
    return Mean(
        **node.names, shapes=(view(source.shape),), shape=shape, axes=axes, input_zero_point=zero, requant=requant,
        source_operator="REDUCESUM" if node.op == "SUM" else "MEAN",
    )  # fmt: skip


def lower_reduce_extreme(node: NodeContext) -> ReduceMax | ReduceMin:
    """Largest or smallest code along axes."""
    source = node.moved(ACTIVATION_TYPES)
    axes, shape = _reduced(node, source)
    kind = ReduceMax if node.op == "REDUCE_MAX" else ReduceMin
    return kind(**node.names, shapes=(view(source.shape),), shape=shape, axes=axes)


def lower_arg_extreme(node: NodeContext) -> ArgMax | ArgMin:
    """Index of the first largest or smallest code along an axis, which is dropped; no runtime has it of 16 bits."""
    source = node.activation(0, ("INT8",))
    given = node.integers(1, "axis")
    node.need(len(given) == 1 and source.elements > 0, f"its axis is {given}", "one axis of an input that is not empty")
    axis = node.axis_of(given[0], len(source.shape))
    wanted = INDEX_TYPES.get(node.option("output_type"))
    node.need(
        node.output.type == wanted,
        f"its output_type is {wanted}, its output {node.output.type}",
        "INT32 or INT64 in both",
    )
    node.output_shape_is((*source.shape[:axis], *source.shape[axis + 1 :]))
    shape = view(source.shape)
    kept = tuple(1 if i == axis else size for i, size in enumerate(shape))
    kind = ArgMax if node.op == "ARG_MAX" else ArgMin
    return kind(**node.names, shapes=(shape,), shape=kept, axes=(axis,))


def _reduced(node: NodeContext, source: TfliteTensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes, and the shape with 1 in their place; the output has it, or lacks them."""
    axes = _axes(node, source)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(source.shape))
    dropped = tuple(size for axis, size in enumerate(source.shape) if axis not in axes)
    node.output_shape_is(shape if node.option("keep_dims") else dropped)
    return axes, shape


def _sum_rule(node: NodeContext, count: int) -> tuple[int, Requant]:
    """The input zero point, and ``s_in / s_out`` in the form of the runtime (measured with LiteRT 2.3.0)."""
    source = node.input(0)
    scheme = node.rules.sum_scheme(source.type)
    if scheme_named(scheme).folding is Folding.FLOAT32:
        return zero_point_of(source), _float_mean(node, count, scheme, np.float32(1))
    fmt = FORMATS[node.output.type]
    requant = requant_from_scales(
        scheme, s_in=scale_of(source), s_w=1.0, s_out=scale_of(node.output), zero_point=zero_point_of(node.output),
        clamp_min=fmt.min, clamp_max=fmt.max,
    )  # fmt: skip
    return zero_point_of(source), requant


def _axes(node: NodeContext, source: TfliteTensor) -> tuple[int, ...]:
    """The axes, from 0 up, each once."""
    rank, given = len(source.shape), node.integers(1, "axes")
    axes = tuple(sorted({axis + rank if axis < 0 else axis for axis in given}))
    node.need(
        bool(axes) and all(0 <= axis < rank for axis in axes) and source.elements > 0,
        f"its axes are {given} for shape {list(source.shape)}",
        "axes of an input that is not empty",
    )
    return axes


def _mean_rule(node: NodeContext, axes: tuple[int, ...], count: int) -> tuple[int, Requant]:
    """The input zero point that the layer subtracts, and its Requant."""
    source = node.input(0)
    over_image = len(source.shape) == 4 and axes == (1, 2) and bool(node.option("keep_dims"))
    if over_image and node.rules.has_image_mean(source.type):
        return 0, _image_mean(node, count)
    scheme = node.rules.scheme("MEAN", source.type)
    if scheme_named(scheme).folding is Folding.FLOAT32:
        return zero_point_of(source), _float_mean(node, count, scheme, np.float32(1) / np.float32(count))
    return zero_point_of(source), _folded_mean(node, count, scheme)


def _mean_requant(node: NodeContext, scheme: str, multiplier: Any, shift: int, zero_point: int) -> Requant:
    fmt = FORMATS[node.output.type]
    return Requant(scheme, np.array([multiplier]), np.array([shift], np.int32), zero_point, fmt.min, fmt.max)


def _folded_mean(node: NodeContext, count: int, scheme: str) -> Requant:
    """``s_in / s_out`` encoded first, then divided by ``count``, truncating."""
    encoded = divided_multiplier(scale_of(node.input(0)) / scale_of(node.output), count)
    return _mean_requant(node, scheme, *encoded, zero_point_of(node.output))


def _image_mean(node: NodeContext, count: int) -> Requant:
    """LiteRT's own kernel for (1, 2): raw codes times ``s_in / (count * s_out)``, the zero points in one rounded term.

    Source: LiteRT optimized/integer_ops/mean.h; every operation in float32.
    """
    s_in, s_out = np.float32(scale_of(node.input(0))), np.float32(scale_of(node.output))
    offset = round_half_away(float(np.float32(zero_point_of(node.input(0))) * s_in / s_out))
    multiplier, exponent = encode_multiplier(float(s_in / (np.float32(count) * s_out)))
    scheme = node.rules.image_mean_scheme(node.input(0).shape[3])
    return _mean_requant(node, scheme, multiplier, exponent, zero_point_of(node.output) - offset)


def _float_mean(node: NodeContext, count: int, scheme: str, share: np.floating[Any]) -> Requant:
    """``(s_in / s_out) * share`` in float32 (XNNPACK), of sums of ``count`` codes; :func:`xnnpack_mean_int` leaves their zero points in."""
    s_in, s_out = np.float32(scale_of(node.input(0))), np.float32(scale_of(node.output))
    raw = count * zero_point_of(node.input(0))
    node.need(int(np.float32(raw)) == raw, f"the zero points of its {count:,} codes are no float32", "fewer codes")
    multiplier, shift = folded_factors(scheme_named(scheme), s_in / s_out * share, raw=raw)
    fmt = FORMATS[node.output.type]
    return Requant(scheme, multiplier, shift, zero_point_of(node.output), fmt.min, fmt.max)
