"""Numba kernel of the default mapper's candidates: a few sizes per axis of a MAC layer's tiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.graph import Axis
from accelsim.graph.compiled import span
from accelsim.hardware import Array, Loops
from accelsim.numba_cache import njit

MOST_SIZES = 80
"""More than an axis of 2^62 has."""


class Candidates(NamedTuple):
    """``pixels`` (P, 3): oh, ow, n; ``taps`` (T, 2): kh, kw; ``channels`` (C, 3): oc, ic, groups; ``rows``, ``columns`` (P, T):
    extents of the input under a tile."""

    pixels: Any
    taps: Any
    channels: Any
    rows: Any
    columns: Any


@njit
def part_sizes(size: int, unit: int) -> Any:
    """``size`` cut into 1, 2, 3, 4, 6, 8, ... equal parts, parts above ``unit`` rounded up to a multiple of it; 1 and ``unit``: ascending."""
    found, count = np.empty(MOST_SIZES, dtype=np.int64), 2
    found[0], found[1] = 1, min(size, unit)
    for three in range(2):
        divisor = 3 if three else 1
        # Powers of two as far as there is something to cut, thrice them up to 24.
        while divisor <= size and (not three or divisor <= 24):
            part = -(-size // divisor)
            found[count] = part if part < unit else min(size, -(-part // unit) * unit)
            count += 1
            divisor *= 2
    found = np.sort(found[:count])
    kept = 1
    for i in range(1, count):
        if found[i] != found[kept - 1]:
            found[kept] = found[i]
            kept += 1
    return found[:kept]


@njit
def candidates_of(layer: Loops, rows: Axis, columns: Axis, array: Array) -> Candidates:
    """(oh, ow, n), (kh, kw) and (oc, ic, groups).

    Rows are cut before columns, kernel rows before kernel columns; several groups, and several images, stand in a tile only whole.
    """
    heights, widths, images = part_sizes(layer.oh, 1), part_sizes(layer.ow, 1), part_sizes(layer.n, 1)
    narrow, several = len(widths) - 1, len(images) - 1
    pixels = np.ones((len(heights) + narrow + several, 3), dtype=np.int64)
    pixels[: len(heights), 0], pixels[: len(heights), 1] = heights, layer.ow
    pixels[len(heights) : len(heights) + narrow, 1] = widths[:narrow]
    pixels[len(heights) + narrow :, 0], pixels[len(heights) + narrow :, 1] = layer.oh, layer.ow
    pixels[len(heights) + narrow :, 2] = images[1:]
    taps = np.array([[1, 1], [1, layer.kw], [layer.kh, layer.kw]], dtype=np.int64)
    # Where the kernel has one column the first two are the same, where it has one row the last two.
    taps = taps[1 if layer.kw == 1 else 0 : 2 if layer.kh == 1 else 3]
    outputs, inputs = part_sizes(layer.oc, array.cols), part_sizes(layer.ic, array.rows * array.products)
    together = part_sizes(layer.groups, 1)
    channels = np.ones((len(outputs) * len(inputs) + len(together) - 1, 3), dtype=np.int64)
    for i in range(len(outputs)):
        for j in range(len(inputs)):
            channels[i * len(inputs) + j, 0], channels[i * len(inputs) + j, 1] = outputs[i], inputs[j]
    grouped = channels[len(outputs) * len(inputs) :]
    grouped[:, 0], grouped[:, 1], grouped[:, 2] = layer.oc, layer.ic, together[1:]
    shape = len(pixels), len(taps)
    under = Candidates(pixels, taps, channels, np.empty(shape, np.int64), np.empty(shape, np.int64))
    for p in range(len(pixels)):
        for t in range(len(taps)):
            under.rows[p, t] = span(rows, pixels[p, 0], taps[t, 0])
            under.columns[p, t] = span(columns, pixels[p, 1], taps[t, 1])
    return under
