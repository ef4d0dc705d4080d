"""Numba kernel of the default mapper's candidates: a few sizes per axis of a MAC layer's tiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.graph import Axis
from accelsim.graph.compiled import span
from accelsim.hardware import Array, Loops
from accelsim.numba_cache import inner, tiered

STEPS = 200
"""Of the interpreter for the candidates of a layer, or so."""
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


@inner
def part_sizes(size: int, unit: int) -> Any:
    """(sizes, how many): ``size`` cut into 1, 2, 3, 4, 6, 8, ... equal parts, parts above ``unit`` rounded up to a multiple of it; 1 and
    ``unit``: ascending."""
    found, count = np.empty(MOST_SIZES, dtype=np.int64), 0
    divisor, thrice = 1, 3
    for step in range(MOST_SIZES):
        if step == 0:
            part = 1
        elif step == 1:
            part = min(size, unit)
        elif divisor <= size:  # powers of two as far as there is something to cut
            part = -(-size // divisor)
            divisor *= 2
        elif thrice <= min(size, 24):  # and thrice them
            part = -(-size // thrice)
            thrice *= 2
        else:
            break
        if step > 1 and part >= unit:
            part = min(size, -(-part // unit) * unit)
        at = count
        while at > 0 and found[at - 1] >= part:
            at -= 1
        if at < count and found[at] == part:
            continue
        for k in range(count, at, -1):
            found[k] = found[k - 1]
        found[at] = part
        count += 1
    return found, count


@tiered(lambda layer, *rest: STEPS)
def candidates_of(layer: Loops, rows: Axis, columns: Axis, array: Array) -> Candidates:
    """(oh, ow, n), (kh, kw) and (oc, ic, groups).

    Rows are cut before columns, kernel rows before kernel columns; several groups, and several images, stand in a tile only whole.
    Plain loops over single elements: slices and array expressions took seconds to compile.
    """
    (heights, tall), (widths, wide), (images, several) = (
        part_sizes(layer.oh, 1), part_sizes(layer.ow, 1), part_sizes(layer.n, 1)
    )  # fmt: skip
    pixels = np.empty((tall + wide + several - 2, 3), dtype=np.int64)
    for p in range(len(pixels)):
        narrow, more = p - tall, p - tall - wide + 2
        pixels[p, 0] = heights[p] if narrow < 0 else 1 if more < 1 else layer.oh
        pixels[p, 1] = widths[narrow] if narrow >= 0 and more < 1 else layer.ow
        pixels[p, 2] = images[more] if more >= 1 else 1
    (outputs, out), (inputs, deep), (together, groups) = (
        part_sizes(layer.oc, array.cols), part_sizes(layer.ic, array.rows * array.products), part_sizes(layer.groups, 1)
    )  # fmt: skip
    channels = np.empty((out * deep + groups - 1, 3), dtype=np.int64)
    for c in range(len(channels)):
        grouped = c - out * deep + 1
        channels[c, 0] = layer.oc if grouped >= 1 else outputs[c // deep]
        channels[c, 1] = layer.ic if grouped >= 1 else inputs[c % deep]
        channels[c, 2] = together[grouped] if grouped >= 1 else 1
    # Whole kernels, single rows, single taps; where the kernel has one row or one column two of them are the same.
    high, broad = layer.kh > 1, layer.kw > 1
    taps = np.ones((1 + int(high) + int(broad), 2), dtype=np.int64)
    taps[len(taps) - 1, 0], taps[len(taps) - 1, 1] = layer.kh, layer.kw
    if broad and high:
        taps[1, 1] = layer.kw
    under = Candidates(
        pixels, taps, channels,
        np.empty((len(pixels), len(taps)), dtype=np.int64), np.empty((len(pixels), len(taps)), dtype=np.int64),
    )  # fmt: skip
    for p in range(len(pixels)):
        for t in range(len(taps)):
            under.rows[p, t] = span(rows, pixels[p, 0], taps[t, 0])
            under.columns[p, t] = span(columns, pixels[p, 1], taps[t, 1])
    return under
