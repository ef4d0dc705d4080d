"""RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import ResizeNearest
from accelsim.importers.tflite.context import ACTIVATION_TYPES, NodeContext

FRACTION_BITS = 16


def lower_resize_nearest_neighbor(node: NodeContext) -> ResizeNearest:
    """Rows and columns of input 1, a constant."""
    source = node.moved(ACTIVATION_TYPES)
    size = node.integers(1, "size")
    fine = len(source.shape) == 4 and len(size) == 2 and min(*source.shape, *size) > 0
    node.need(fine, f"it resizes shape {list(source.shape)} to {size}", "an image and two sizes of at least 1")
    node.output_shape_is((source.shape[0], *size, source.shape[3]))
    align, half = (bool(node.option(name)) for name in ("align_corners", "half_pixel_centers"))
    node.need(not (align and half), "it aligns corners and centres pixels", "one of the two")
    fixed = node.rules.has_optimized_kernels and source.type == "INT8" and not (align or half)
    rows, columns = (
        _fixed_index(source.shape[i + 1], size[i])
        if fixed
        else _index(source.shape[i + 1], size[i], align=align, half=half)
        for i in (0, 1)
    )
    return ResizeNearest(**node.fields(source), rows=rows, columns=columns)


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
