"""Indices picked along axes: Resize to the nearest row and column or between them, Gather, Tile, Expand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Concat, ResizeBilinear, ResizeNearest, Taps
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.lower.shape import moved
from accelsim.importers.onnx.network import Codes, Pending, Real, Shape, Target, stored_axis

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
ROI, SCALES, SIZES = 1, 2, 3
LARGEST = 2**20
MOST_RUNS = 256
"""Ascending runs of indices, each a layer of its own."""
HALF_WIDTH = 1e-6
"""So near to a half, ONNX Runtime 1.31 takes a coordinate for one (found by experiment: between 9.5e-7 and 1.9e-6)."""


def lower_resize(node: NodeContext) -> None:
    """X, roi, scales, sizes: constant scales or sizes that leave batch and channels alone."""
    source = node.codes(0)
    node.image(source)
    mode = node.attributes.get("mode", "nearest")
    node.need(mode in ("nearest", "linear"), f"its mode is {mode!r}", "nearest, linear")
    policy = node.attributes.get("keep_aspect_ratio_policy", "stretch")
    node.need(policy == "stretch", f"its keep_aspect_ratio_policy is {policy!r}", "stretch")
    # Of other modes and places; the sizes go before the scales.
    node.ignore("cubic_coeff_a", "extrapolation_value", inputs=(ROI, SCALES))
    shape, scales = _factors(node, source)
    node.need(
        shape[:2] == source.shape[:2] and min(shape) > 0 and max(shape) < LARGEST,
        f"it turns shape {list(source.shape)} into {list(shape)}",
        "a shape that differs in rows and columns only",
    )
    if shape == source.shape:  # ONNX Runtime then copies, whatever the scales are
        scales = (np.float32(1),) * 4
    if mode == "linear":
        _linear(node, source, shape, scales)
        return
    node.ignore("antialias", "exclude_outside")
    rows, columns = (_index(node, source.shape[i], shape[i], scales[i]) for i in (2, 3))
    out = moved(node, source, shape)
    node.net.layers.append(ResizeNearest(**node.fields(source, out), rows=rows, columns=columns))


def _linear(node: NodeContext, source: Codes, shape: Shape, scales: tuple[np.float32, ...]) -> None:
    """Between DequantizeLinear and QuantizeLinear; of codes themselves ONNX Runtime cuts the fraction off."""
    node.rules.need_onnxruntime("a linear Resize")
    node.need(
        isinstance(node.value(0), Real),
        "it is linear and of codes",
        "a DequantizeLinear before it and a QuantizeLinear behind it",
    )
    node.ignore("nearest_mode")
    rows, columns = (_taps(node, source.shape[i], shape[i], scales[i]) for i in (2, 3))
    known = source.known

    def emit(target: Target) -> None:
        made, to = Codes(target.name, shape, target.quantization.format), target.quantization
        node.net.layers.append(
            ResizeBilinear(
                **node.fields(source, made), rows=rows, columns=columns, rule="dequantized", input_scale=known.scale,
                input_zero_point=known.zero_point, output_scale=to.scale, output_zero_point=to.zero_point, clamp_min=target.low,
                clamp_max=target.high,
            )
        )  # fmt: skip

    node.result(Pending(shape, emit, "a linear Resize"))


def _taps(node: NodeContext, size: int, out: int, scale: np.float32) -> Taps:
    """As ONNX Runtime has them (upsample.cc, SetupUpsampleBilinear): what lies outside is at the border, half of each of two equal taps."""
    at = np.clip(_at(node, size, out, scale), np.float32(0), np.float32(size - 1))
    low = at.astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    weight = np.where(low == high, np.float32(0.5), at - low.astype(np.float32))
    return Taps(low=low, high=high, weight=weight.astype(np.float32))


def _factors(node: NodeContext, source: Codes) -> tuple[Shape, tuple[np.float32, ...]]:
    """Output shape and scale of every axis; sizes go before scales, and give scales in float32 (ONNX Runtime upsample.cc)."""
    axes = _axes(node)
    if _given(node, SIZES):
        sizes = node.integers(SIZES, "sizes")
        node.need(len(sizes) == len(axes), f"it has {len(sizes)} sizes", f"{len(axes)} sizes")
        shape = list(source.shape)
        for axis, size in zip(axes, sizes, strict=True):
            shape[axis] = size
        return tuple(shape), tuple(np.float32(o) / np.float32(i) for o, i in zip(shape, source.shape, strict=True))
    given = node.array(SCALES, "scales").reshape(-1)
    fine = given.dtype == np.float32 and len(given) == len(axes) and bool((np.isfinite(given) & (given > 0)).all())
    node.need(fine, f"its scales are {given.tolist()} ({given.dtype})", f"{len(axes)} positive float32 numbers")
    scales = [np.float32(1)] * 4
    for axis, scale in zip(axes, given, strict=True):
        scales[axis] = np.float32(min(scale, LARGEST))
    sizes = tuple(math.floor(np.float32(size) * scale) for size, scale in zip(source.shape, scales, strict=True))
    return sizes, tuple(scales)


def _given(node: NodeContext, position: int) -> bool:
    value = node.optional(position)
    return value is not None and not (isinstance(value, np.ndarray) and value.size == 0)


def _axes(node: NodeContext) -> tuple[int, ...]:
    given = node.attributes.get("axes", (0, 1, 2, 3))
    axes = tuple(int(a) % 4 for a in given if isinstance(a, int) and -4 <= a < 4) if isinstance(given, tuple) else ()
    node.need(bool(axes) and axes == tuple(dict.fromkeys(axes)), f"its axes are {given!r}", "each axis once")
    return axes


def _index(node: NodeContext, size: int, out: int, scale: np.float32) -> NDArray[np.int64]:
    """Input index of every output index."""
    nearest = node.attributes.get("nearest_mode", "round_prefer_floor")
    at = _at(node, size, out, scale)
    node.need(nearest in NEAREST, f"its nearest_mode is {nearest!r}", ", ".join(NEAREST))
    index: NDArray[np.int64] = np.clip(NEAREST[str(nearest)](at.astype(np.float64)).astype(np.int64), 0, size - 1)
    return index


def _at(node: NodeContext, size: int, out: int, scale: np.float32) -> Floats:
    """Where every output index lies in the input, in float32 as ONNX Runtime computes it."""
    place = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    node.need(place in PLACES, f"its coordinate_transformation_mode is {place!r}", ", ".join(PLACES))
    every = np.arange(out, dtype=np.float32)
    return every if scale == 1 else PLACES[str(place)](every, scale, size, out)


def _half_pixel(x: Floats, scale: np.float32, size: int, out: int) -> Floats:
    return (x + np.float32(0.5)) / scale - np.float32(0.5)


def _align_corners(x: Floats, scale: np.float32, size: int, out: int) -> Floats:
    return np.zeros_like(x) if out == 1 else x * np.float32(size - 1) / np.float32(out - 1)


PLACES: Mapping[str, Callable[[Floats, np.float32, int, int], Floats]] = MappingProxyType(
    {
        "half_pixel": _half_pixel,
        "pytorch_half_pixel": lambda x, s, size, out: _half_pixel(x, s, size, out) if out > 1 else np.zeros_like(x),
        "asymmetric": lambda x, s, size, out: x / s,
        "align_corners": _align_corners,
    }
)
"""Where an output index lies in the input (ONNX operator specification, Resize)."""

NEAREST: Mapping[str, Callable[[Doubles], Doubles]] = MappingProxyType(
    {
        "round_prefer_floor": lambda x: np.ceil(x - 0.5 - HALF_WIDTH),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5 + HALF_WIDTH),
        "floor": np.floor,
        "ceil": np.ceil,
    }
)
"""Which of its neighbours is taken."""


def lower_gather(node: NodeContext) -> None:
    """Constant indices along ``axis``, negative ones from its end; the axes of the indices stand in its place."""
    source = node.codes(0)
    node.need(bool(source.shape), "its input is a number", "at least one axis")
    axis, given = node.axis(len(source.shape), 0), node.array(1, "indices")
    size = source.shape[axis]
    inside = given.dtype.kind == "i" and given.size > 0 and bool(((given >= -size) & (given < size)).all())
    node.need(
        inside, f"its indices are {given.reshape(-1)[:8].tolist()} of {size}", f"int32 or int64, {-size} to {size - 1}"
    )
    indices = given.reshape(-1).astype(np.int64) % size
    shape = (*source.shape[:axis], *given.shape, *source.shape[axis + 1 :])
    _picked(node, source, {axis: indices}, shape)


def lower_tile(node: NodeContext) -> None:
    """As many copies along each axis as the constant input 1 says."""
    source, repeats = node.codes(0), node.integers(1, "repeats")
    node.need(
        len(repeats) == len(source.shape) and all(1 <= r < LARGEST for r in repeats),
        f"its repeats are {repeats} for {len(source.shape)} axes",
        "one of at least 1 for each axis",
    )
    pairs = zip(source.shape, repeats, strict=True)
    picks = {i: np.tile(np.arange(size), times) for i, (size, times) in enumerate(pairs) if times > 1}
    _picked(node, source, picks, tuple(size * times for size, times in zip(source.shape, repeats, strict=True)))


def lower_expand(node: NodeContext) -> None:
    """Broadcast to the constant shape of input 1."""
    source, given = node.codes(0), node.integers(1, "shape")
    shape = node.broadcast(source.shape, given)
    node.need(
        len(shape) == len(source.shape) and max(shape, default=0) < LARGEST, f"its shape is {given}", "as many axes"
    )
    pairs = zip(source.shape, shape, strict=True)
    picks = {i: np.zeros(out, np.int64) for i, (size, out) in enumerate(pairs) if size < out}
    _picked(node, source, picks, shape)


def _picked(node: NodeContext, source: Codes, picks: Mapping[int, NDArray[np.int64]], shape: Shape) -> None:
    """Indices along ONNX axes, one axis after another; the result is told as ``shape``, which may have other axes."""
    whole = tuple(len(picks.get(i, range(size))) for i, size in enumerate(source.shape))
    node.need(math.prod(whole) < LARGEST**2 // 2, f"its output has shape {list(whole)}", "fewer elements")
    out = moved(node, source, shape)
    at, steps = source, list(picks.items()) or [(0, np.arange(source.shape[0]))]
    for i, (axis, indices) in enumerate(steps):
        reached = (*at.shape[:axis], len(indices), *at.shape[axis + 1 :])
        is_last = i == len(steps) - 1
        name = node.layer_name if is_last else f"{node.layer_name} axis {axis}"
        if is_last and shape == reached:
            _pick(node, at, axis, indices, out, name)
            return
        made = node.net.make(node.net.fresh(f"{out.tensor}/picked"), reached, source.format, source.quantization)
        _pick(node, at, axis, indices, made, name)
        at = made
    node.net.reshaped(f"{node.layer_name} reshape", at, out, node.op.upper())


def _pick(node: NodeContext, source: Codes, axis: int, indices: NDArray[np.int64], out: Codes, name: str) -> None:
    """One layer per ascending run of indices, and what joins them."""
    runs = np.split(indices, np.flatnonzero(np.diff(indices) < 0) + 1)
    node.need(len(runs) <= MOST_RUNS, f"its indices are {len(runs)} ascending runs", f"at most {MOST_RUNS}")
    at, stored = stored_axis(axis, len(source.shape)), source.stored
    before, after = math.prod(stored[:at]), math.prod(stored[at + 1 :])
    names = []
    for i, run in enumerate(runs):
        shape = tuple(len(run) if j == axis else size for j, size in enumerate(source.shape))
        made = out if len(runs) == 1 else node.net.make(
            node.net.fresh(f"{out.tensor}/run {i}"), shape, source.format, source.quantization
        )  # fmt: skip
        node.net.layers.append(
            ResizeNearest(
                name=name if len(runs) == 1 else f"{name} run {i}", inputs=(source.tensor,), output=made.tensor,
                shapes=((before, stored[at], 1, after),), shape=(before, len(run), 1, after), rows=run,
                columns=np.zeros(1, np.int64),
            )
        )  # fmt: skip
        names.append(made.tensor)
    if len(runs) > 1:
        shapes = tuple(node.net.tensors[each].shape for each in names)
        node.net.layers.append(
            Concat(
                name=name,
                inputs=tuple(names),
                output=out.tensor,
                shapes=shapes,
                shape=node.net.tensors[out.tensor].shape,
                axis=at,
            )
        )
