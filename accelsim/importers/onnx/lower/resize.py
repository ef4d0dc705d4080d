"""Resize to the nearest row and column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import ResizeNearest
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.lower.shape import moved
from accelsim.importers.onnx.network import Codes, Shape

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
SCALES, SIZES = 2, 3
LARGEST = 2**20
HALF_WIDTH = 1e-6
"""So near to a half, ONNX Runtime 1.31 takes a coordinate for one (found by experiment: between 9.5e-7 and 1.9e-6)."""


def lower_resize(node: NodeContext) -> None:
    """X, roi, scales, sizes: constant scales or sizes that leave batch and channels alone."""
    source = node.codes(0)
    node.image(source)
    mode = node.attributes.get("mode", "nearest")
    node.need(mode == "nearest", f"its mode is {mode!r}", "nearest")
    policy = node.attributes.get("keep_aspect_ratio_policy", "stretch")
    node.need(policy == "stretch", f"its keep_aspect_ratio_policy is {policy!r}", "stretch")
    shape, scales = _factors(node, source)
    node.need(
        shape[:2] == source.shape[:2] and min(shape) > 0 and max(shape) < LARGEST,
        f"it turns shape {list(source.shape)} into {list(shape)}",
        "a shape that differs in rows and columns only",
    )
    if shape == source.shape:  # ONNX Runtime then copies, whatever the scales are
        scales = (np.float32(1),) * 4
    rows, columns = (_index(node, source.shape[i], shape[i], scales[i]) for i in (2, 3))
    out = moved(node, source, shape)
    node.net.layers.append(ResizeNearest(**node.fields(source, out), rows=rows, columns=columns))


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
    """Input index of every output index, in float32 as ONNX Runtime computes it."""
    place = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    nearest = node.attributes.get("nearest_mode", "round_prefer_floor")
    node.need(place in PLACES, f"its coordinate_transformation_mode is {place!r}", ", ".join(PLACES))
    node.need(nearest in NEAREST, f"its nearest_mode is {nearest!r}", ", ".join(NEAREST))
    every = np.arange(out, dtype=np.float32)
    at = every if scale == 1 else PLACES[str(place)](every, scale, size, out)
    index: NDArray[np.int64] = np.clip(NEAREST[str(nearest)](at.astype(np.float64)).astype(np.int64), 0, size - 1)
    return index


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
