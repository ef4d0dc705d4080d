"""Reductions of whole axes: means and sums, largest and smallest codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from accelsim.graph import Layer, Mean, ReduceMax, ReduceMin
from accelsim.importers.onnx.lower.shape import moved
from accelsim.importers.onnx.lower.window import mean_requant
from accelsim.importers.onnx.network import Codes, Pending, Shape, Target, stored_axis, stored_shape
from accelsim.importers.onnx.site import Site

APPROXIMATION = (
    "an exact integer sum and one multiplier; ONNX Runtime sums dequantized codes in float32, and codes near a tie may "
    "differ by one"
)


def lower_reduce_mean(site: Site) -> None:
    """DequantizeLinear -> ReduceMean or ReduceSum -> QuantizeLinear."""
    source = site.codes(0)
    axes = _axes(site, len(source.shape))
    if not axes:
        site.result(site.value(0))
        return
    site.approximate(APPROXIMATION)
    kept, shape = _shapes(site, source, axes)
    known, scheme = source.known, site.rules.scheme("MEAN")

    def emit(target: Target) -> None:
        def layer(fields: dict[str, Any]) -> Layer:
            mean = Mean(**fields, source_operator=site.node.op.upper(), input_zero_point=known.zero_point)
            count = mean.count if site.node.op == "ReduceMean" else 1
            return replace(mean, requant=mean_requant(scheme, known, target, count))

        to = target.quantization
        _reduced(site, source, axes, Codes(target.name, shape, to.format, to), kept, layer)

    site.result(Pending(shape, emit, f"a {site.node.op}"))


def lower_reduce_extreme(site: Site) -> None:
    """ReduceMax or ReduceMin of codes: order is kept by every positive scale."""
    source = site.codes(0)
    axes = _axes(site, len(source.shape))
    if not axes:
        site.result(site.value(0))
        return
    kept, shape = _shapes(site, source, axes)
    kind = ReduceMax if site.node.op == "ReduceMax" else ReduceMin
    _reduced(site, source, axes, moved(site, source, shape), kept, lambda fields: kind(**fields))


def _axes(site: Site, rank: int) -> tuple[int, ...]:
    """From input 1, or the attribute of older opsets; none given means all, or none if ``noop_with_empty_axes``."""
    given = site.integers(1, "axes") if site.optional(1) is not None else site.node.attributes.get("axes", ())
    site.need(isinstance(given, tuple), f"its axes are {given!r}", "a list of axes")
    assert isinstance(given, tuple)
    axes = tuple(sorted({int(axis) % rank for axis in given if -rank <= axis < rank}))
    site.need(len(axes) == len(given), f"its axes are {given} for {rank} axes", "each axis once")
    every = () if site.integer("noop_with_empty_axes", 0) else tuple(range(rank))
    return axes or every


def _shapes(site: Site, source: Codes, axes: tuple[int, ...]) -> tuple[Shape, Shape]:
    """The result's shape with the axes kept as 1, and as the node wants it."""
    kept = tuple(1 if i in axes else size for i, size in enumerate(source.shape))
    dropped = tuple(size for i, size in enumerate(source.shape) if i not in axes)
    return kept, kept if site.integer("keepdims", 1) else dropped


def _reduced(
    site: Site, source: Codes, axes: tuple[int, ...], out: Codes, kept: Shape, make: Callable[[dict[str, Any]], Layer]
) -> None:
    """The layer, and a reshape where axes are dropped."""
    rank = len(source.shape)
    whole = (
        out if out.shape == kept else Codes(site.net.fresh(f"{out.tensor}/kept"), kept, out.format, out.quantization)
    )
    fields = {
        "name": site.layer_name, "inputs": (source.tensor,), "output": whole.tensor, "shapes": (source.stored,),
        "shape": stored_shape(kept), "axes": tuple(sorted(stored_axis(axis, rank) for axis in axes)),
    }  # fmt: skip
    site.net.layers.append(make(fields))
    if whole is not out:
        site.net.make(whole.tensor, kept, out.format, out.quantization)
        site.net.reshaped(f"{site.layer_name} reshape", whole, out, site.node.op.upper())
