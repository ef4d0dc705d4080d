"""Reductions of whole axes: means and sums, largest and smallest codes and where they stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from accelsim.graph import ArgMax, ArgMin, Layer, Mean, ReduceMax, ReduceMin
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.formulas import Quantization, dequantize
from accelsim.importers.onnx.lower.shape import moved
from accelsim.importers.onnx.lower.window import APPROXIMATION, mean_requant
from accelsim.importers.onnx.network import Codes, Pending, Shape, Target, stored_axis, stored_shape
from accelsim.numerics import INT64


def lower_reduce_mean(node: NodeContext) -> None:
    """DequantizeLinear -> ReduceMean or ReduceSum -> QuantizeLinear."""
    source, axes = node.codes(0), axes_of(node)
    if not axes:
        return
    node.approximate(APPROXIMATION)
    kept, shape = shapes_of(node, source, axes)
    known, scheme = source.known, node.rules.scheme("MEAN")

    def emit(target: Target) -> None:
        def layer(fields: dict[str, Any]) -> Layer:
            mean = Mean(**fields, source_operator=node.op.upper(), input_zero_point=known.zero_point)
            count = mean.count if node.op == "ReduceMean" else 1
            return replace(mean, requant=mean_requant(scheme, known, target, count))

        to = target.quantization
        _reduced(node, source, axes, Codes(target.name, shape, to.format, to), kept, layer)

    node.result(Pending(shape, emit, f"a {node.op}"))


def lower_reduce_extreme(node: NodeContext) -> None:
    """ReduceMax or ReduceMin of codes: order is kept by every positive scale."""
    source, axes = node.codes(0), axes_of(node)
    if not axes:
        return
    kept, shape = shapes_of(node, source, axes)
    kind = ReduceMax if node.op == "ReduceMax" else ReduceMin
    _reduced(node, source, axes, moved(node, source, shape), kept, lambda fields: kind(**fields))


def lower_arg_extreme(node: NodeContext) -> None:
    """ArgMax or ArgMin of codes, which are as far apart as what they stand for: an int64 index, without a scale."""
    source = node.codes(0)
    node.need(bool(source.shape), "its input is a number", "at least one axis")
    known, axis = source.quantization, node.axis(len(source.shape), 0)
    node.need(
        known is None or _tells_apart(known),
        f"codes of scale {known and known.scale} stand for equal numbers",
        "a scale at which float32 tells all codes apart",
    )
    last = bool(node.integer("select_last_index", 0))
    kept, shape = shapes_of(node, source, (axis,))
    kind = ArgMax if node.op == "ArgMax" else ArgMin
    out = node.net.make(node.output_name, shape, INT64, None)
    _reduced(node, source, (axis,), out, kept, lambda fields: kind(**fields, last=last))
    node.result(out)


def _tells_apart(known: Quantization) -> bool:
    """Whether no two codes stand for one float32 number."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool((np.diff(dequantize(known.codes, known)) > 0).all())


def axes_of(node: NodeContext) -> tuple[int, ...]:
    """From input 1, or the attribute of older opsets; none given means all, or none if ``noop_with_empty_axes``.

    Without axes, the result is the operand.
    """
    rank = len(node.codes(0).shape)
    given = node.integers(1, "axes") if node.optional(1) is not None else node.attributes.get("axes", ())
    node.need(isinstance(given, tuple), f"its axes are {given!r}", "a list of axes")
    assert isinstance(given, tuple)
    axes = tuple(sorted({int(axis) % rank for axis in given if -rank <= axis < rank}))
    node.need(len(axes) == len(given), f"its axes are {given} for {rank} axes", "each axis once")
    every = () if node.integer("noop_with_empty_axes", 0) else tuple(range(rank))
    if not (axes or every):
        node.result(node.value(0))
    return axes or every


def shapes_of(node: NodeContext, source: Codes, axes: tuple[int, ...]) -> tuple[Shape, Shape]:
    """The result's shape with the axes kept as 1, and as the node wants it."""
    kept = tuple(1 if i in axes else size for i, size in enumerate(source.shape))
    dropped = tuple(size for i, size in enumerate(source.shape) if i not in axes)
    return kept, kept if node.integer("keepdims", 1) else dropped


def _reduced(
    node: NodeContext,
    source: Codes,
    axes: tuple[int, ...],
    out: Codes,
    kept: Shape,
    make: Callable[[dict[str, Any]], Layer],
) -> None:
    """The layer, and a reshape where axes are dropped."""

    def layer(output: str) -> Layer:
        return make({**reduced_fields(node, source, axes, kept), "output": output})

    node.net.from_kept(out, kept, node, layer)


def reduced_fields(node: NodeContext, source: Codes, axes: tuple[int, ...], kept: Shape) -> dict[str, Any]:
    """The fields that all reductions share, without an output."""
    rank = len(source.shape)
    return {
        "name": node.layer_name, "inputs": (source.tensor,), "shapes": (source.stored,), "shape": stored_shape(kept),
        "axes": tuple(sorted(stored_axis(axis, rank) for axis in axes)),
    }  # fmt: skip
