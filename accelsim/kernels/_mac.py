"""Numba loops behind :mod:`accelsim.kernels.mac`: one tile of a MAC layer, zero point already subtracted.

``plan`` is the flat int64 record that :func:`accelsim.kernels.mac.tile_plan` builds. Operands are 16-bit, or 64-bit where they
do not fit: ``x`` (n, rows, columns, channels), ``w`` (kh, kw, ic, oc). ``row`` is scratch for the sums of one pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.graph.compiled import input_row
from accelsim.numba_cache import njit

INT64_MAX = 2**63 - 1


@njit
def _inside(source: int, origin: int, size: int) -> int:
    """``source`` in coordinates of its block; -1 for what is not in it."""
    return source - origin if origin <= source < origin + size else -1


@njit
def _row(plan: Any, oy: int, ky: int, size: int) -> int:
    """Row of the input block for a row of sums and a row of weights; -1 where there is none."""
    return _inside(input_row(plan[12] + oy, plan[14] + ky, plan[0], plan[2], plan[4], plan[6], plan[8]), plan[16], size)


@njit
def _column(plan: Any, ox: int, kx: int, size: int) -> int:
    """As :func:`_row`, for columns."""
    return _inside(input_row(plan[13] + ox, plan[15] + kx, plan[1], plan[3], plan[5], plan[7], plan[9]), plan[17], size)


@njit
def _first_channel(plan: Any, c: int) -> Any:
    """Channel of the input block that meets the first weight of output channel ``c`` of the tile."""
    return (plan[18] + c) // plan[10] * plan[11] + plan[19] - plan[20]


@njit
def _add_narrow(row: Any, x: Any, first: Any, w: Any) -> None:
    """Products of one pixel and one tap, in 32 bits; where all channels meet the same code it is read once."""
    for i in range(w.shape[0]):
        if first[0] == first[-1]:
            code = np.int32(x[first[0] + i])
            for c in range(row.size):
                row[c] = np.int32(row[c] + np.int32(code * np.int32(w[i, c])))
        else:
            for c in range(row.size):
                row[c] = np.int32(row[c] + np.int32(np.int32(x[first[c] + i]) * np.int32(w[i, c])))


@njit
def _add(row: Any, x: Any, first: Any, w: Any) -> None:
    """As :func:`_add_narrow`, modulo 2^64."""
    for i in range(w.shape[0]):
        for c in range(row.size):
            row[c] += np.int64(x[first[c] + i]) * np.int64(w[i, c])


@njit
def _step_narrow(row: Any, x: Any, first: Any, w: Any, low: int, high: int) -> None:
    """As :func:`_add_narrow`, with the clamp after each product."""
    least, most = np.int32(low), np.int32(high)
    for i in range(w.shape[0]):
        if first[0] == first[-1]:
            code = np.int32(x[first[0] + i])
            for c in range(row.size):
                row[c] = min(max(np.int32(row[c] + np.int32(code * np.int32(w[i, c]))), least), most)
        else:
            for c in range(row.size):
                product = np.int32(np.int32(x[first[c] + i]) * np.int32(w[i, c]))
                row[c] = min(max(np.int32(row[c] + product), least), most)


@njit
def _step(row: Any, x: Any, first: Any, w: Any, low: int, high: int) -> None:
    """As :func:`_step_narrow` in 64 bits, which a sum may overflow: then it stops at the end that the product points to."""
    for i in range(w.shape[0]):
        for c in range(row.size):
            product = np.int64(x[first[c] + i]) * np.int64(w[i, c])
            total = row[c] + product
            if ((row[c] ^ total) & (product ^ total)) < 0:
                total = (product >> 63) ^ INT64_MAX
            row[c] = min(max(total, low), high)


@njit
def _pixel(
    row: Any, x: Any, oy: int, ox: int, first: Any, w: Any, plan: Any, clamped: bool, narrow: bool, low: int, high: int
) -> None:
    """All products of one pixel into ``row``, in the order ky, kx, channel."""
    for ky in range(w.shape[0]):
        y = _row(plan, oy, ky, x.shape[0])
        if y < 0:
            continue
        for kx in range(w.shape[1]):
            column = _column(plan, ox, kx, x.shape[1])
            if column < 0:
                continue
            if clamped and narrow:
                _step_narrow(row, x[y, column], first, w[ky, kx], low, high)
            elif clamped:
                _step(row, x[y, column], first, w[ky, kx], low, high)
            elif narrow:
                _add_narrow(row, x[y, column], first, w[ky, kx])
            else:
                _add(row, x[y, column], first, w[ky, kx])


@njit
def accumulate(sums: Any, x: Any, w: Any, plan: Any, row: Any, clamped: bool, low: int, high: int) -> None:
    """Add all products of the tile to ``sums`` (n, oh, ow, oc), clamped to [low, high] after each or else modulo 2^64.

    A ``row`` of int32 promises that the products of one pixel (or a clamped sum and one product) fit it; else it is int64.
    """
    channels, narrow = sums.shape[3], row.itemsize == 4
    first = np.empty(channels, dtype=np.int64)
    for c in range(channels):
        first[c] = _first_channel(plan, c)
    for n in range(sums.shape[0]):
        for oy in range(sums.shape[1]):
            for ox in range(sums.shape[2]):
                out = sums[n, oy, ox]
                for c in range(channels):
                    row[c] = min(max(out[c], low), high) if clamped else 0
                _pixel(row, x[n], oy, ox, first, w, plan, clamped, narrow, low, high)
                for c in range(channels):
                    out[c] = row[c] if clamped else out[c] + row[c]
