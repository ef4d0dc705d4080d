"""RESIZE_NEAREST_NEIGHBOR, RESIZE_BILINEAR."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import ResizeBilinear, ResizeNearest, Taps
from accelsim.importers.tflite.context import ACTIVATION_TYPES, NodeContext
from accelsim.importers.tflite.file import TfliteTensor
from accelsim.numerics import Rounding

FRACTION_BITS = 16
WEIGHT_BITS, FAST_WEIGHT_BITS = 10, 11
"""Of RESIZE_BILINEAR in LiteRT's own kernels, and in XNNPACK."""


def lower_resize_nearest_neighbor(node: NodeContext) -> ResizeNearest:
    """Rows and columns of input 1, a constant."""
    source, size, align, half = _resized(node)
    fixed = node.rules.has_optimized_kernels and source.type == "INT8" and not (align or half)
    rows, columns = (
        _fixed_index(source.shape[i + 1], size[i])
        if fixed
        else _index(source.shape[i + 1], size[i], align=align, half=half)
        for i in (0, 1)
    )
    return ResizeNearest(**node.fields(source), rows=rows, columns=columns)


def _resized(node: NodeContext) -> tuple[TfliteTensor, list[int], bool, bool]:
    """The image, rows and columns of input 1, whether corners are aligned, and whether pixels are centred."""
    source = node.moved(ACTIVATION_TYPES)
    size = node.integers(1, "size")
    fine = len(source.shape) == 4 and len(size) == 2 and min(*source.shape, *size) > 0
    node.need(fine, f"it resizes shape {list(source.shape)} to {size}", "an image and two sizes of at least 1")
    node.output_shape_is((source.shape[0], *size, source.shape[3]))
    align, half = (bool(node.option(name)) for name in ("align_corners", "half_pixel_centers"))
    node.need(not (align and half), "it aligns corners and centres pixels", "one of the two")
    return source, size, align, half


def lower_resize_bilinear(node: NodeContext) -> ResizeBilinear:
    """Rows and columns of input 1, a constant: in XNNPACK, which takes 8 bits, weights of 11 bits, else of 10."""
    source, size, align, half = _resized(node)
    fast = node.rules.is_xnnpack and source.type == "INT8"
    of = _fast_taps if fast else _taps
    rows, columns = (of(source.shape[i + 1], size[i], align=align, half=half) for i in (0, 1))
    outside = any(taps.low[-1] >= source.shape[i + 1] for i, taps in enumerate((rows, columns)))
    node.need(
        not outside,
        f"it resizes {source.shape[1:3]} to {size}, where the runtime reads behind the image",
        "other sizes",
    )
    return ResizeBilinear(
        **node.fields(source),
        rows=rows,
        columns=columns,
        fraction_bits=FAST_WEIGHT_BITS if fast else WEIGHT_BITS,
        rounding=Rounding.HALF_UP if fast else Rounding.HALF_AWAY,
    )


def _taps(size: int, out: int, *, align: bool, half: bool) -> Taps:
    """Places with 10 fractional bits (LiteRT reference resize_bilinear.h, ResizeBilinearInteger; tflite-micro has the same)."""
    aligned = int(align and out > 1)
    one, steps = 1 << WEIGHT_BITS, out - aligned
    ratio = (one * (size - aligned) + steps // 2) // steps
    at = np.arange(out, dtype=np.int64) * ratio + (ratio // 2 - one // 2 if half else 0)
    low = np.maximum(at // one, 0)
    return Taps(low=low, high=np.clip(-(-at // one), 0, size - 1), weight=at - one * low)


def _fast_taps(size: int, out: int, *, align: bool, half: bool) -> Taps:
    """Places in float32, weights of 11 bits (XNNPACK indirection.c, xnn_indirection_init_resize_bilinear2d_hwc_q11)."""
    aligned, one = int(align and out != 1), np.float32(1 << FAST_WEIGHT_BITS)
    ratio = np.float32(size - aligned) / np.float32(out - aligned)
    at = np.arange(out, dtype=np.float32) * ratio
    if half:
        at = np.clip(at + (np.float32(0.5) * ratio - np.float32(0.5)), np.float32(0), np.float32(size - 1))
    low = at.astype(np.int64)
    weight = np.rint((at - low.astype(np.float32)) * one).astype(np.int64)
    return Taps(low=low, high=np.minimum(low + 1, size - 1), weight=weight)


def _index(size: int, out: int, *, align: bool, half: bool) -> NDArray[np.int64]:
    """Input index of every output index, in float32 (LiteRT reference resize_nearest_neighbor.h)."""
    aligned = align and out > 1
    scale = np.float32(size - aligned) / np.float32(out - aligned)
    at = (np.arange(out, dtype=np.float32) + np.float32(0.5 if half else 0)) * scale
    nearest = np.floor(at.astype(np.float64) + 0.5) if align else np.floor(at)
    index: NDArray[np.int64] = np.clip(nearest.astype(np.int64), 0, size - 1)
    return index


def _fixed_index(size: int, out: int) -> NDArray[np.int64]:
    """The same with a ratio of 16 fractional bits, one step too large (LiteRT optimized resize_nearest_neighbor.h, 8 bits)."""
    ratio = (size << FRACTION_BITS) // out + 1
    index: NDArray[np.int64] = np.minimum(np.arange(out, dtype=np.int64) * ratio >> FRACTION_BITS, size - 1)
    return index
