"""Numba loops behind :mod:`accelsim.kernels.mac`: one tile of a MAC layer, zero point already subtracted, step by step.

They define what register tiles must equal, and run where those cannot: sums or codes too wide, clamps in between. Operands are
16-bit, or 64-bit where they do not fit: ``x`` (n, rows, columns, channels), ``w`` (kh, kw, ic, oc). ``row`` is scratch for the
sums of one pixel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.graph.compiled import input_row
from accelsim.numba_cache import njit

INT64_MAX = 2**63 - 1


class Plan(NamedTuple):
    """Geometry of a layer; where a tile of it, its weights and its input block begin; how its sums are clamped, if they are.

    Without arguments a matrix product: a kernel of one tap. A sum takes ``group`` products at once.
    """

    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    upsample_h: int = 1
    upsample_w: int = 1
    ih: int = 1
    iw: int = 1
    oc_per_group: int = 2**31
    ic_per_group: int = 2**31
    output_y: int = 0
    output_x: int = 0
    output_channel: int = 0
    source_y: int = 0
    source_x: int = 0
    source_channel: int = 0
    weight_y: int = 0
    weight_x: int = 0
    weight_channel: int = 0
    clamped: int = 0
    group: int = 1
    low: int = 0
    high: int = 0


@njit
def _inside(source: int, origin: int, size: int) -> int:
    """``source`` in coordinates of its block; -1 for what is not in it."""
    return source - origin if origin <= source < origin + size else -1


@njit
def _row(plan: Any, oy: int, ky: int, size: int) -> int:
    """Row of the input block for a row of sums and a row of weights; -1 where there is none."""
    out, tap, p = plan.output_y + oy, plan.weight_y + ky, plan
    row = input_row(out, tap, p.stride_h, p.dilation_h, p.pad_top, p.upsample_h, p.ih)
    return _inside(row, p.source_y, size)


@njit
def _column(plan: Any, ox: int, kx: int, size: int) -> int:
    """As :func:`_row`, for columns."""
    out, tap, p = plan.output_x + ox, plan.weight_x + kx, plan
    column = input_row(out, tap, p.stride_w, p.dilation_w, p.pad_left, p.upsample_w, p.iw)
    return _inside(column, p.source_x, size)


@njit
def _first_channel(plan: Any, c: int) -> Any:
    """Channel of the input block that meets the first weight of output channel ``c`` of the tile."""
    return (
        (plan.output_channel + c) // plan.oc_per_group * plan.ic_per_group + plan.weight_channel - plan.source_channel
    )


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
def _pixel(row: Any, x: Any, oy: int, ox: int, first: Any, w: Any, plan: Any) -> None:
    """All products of one pixel into ``row``, in the order ky, kx, channel."""
    narrow, low, high = row.itemsize == 4, plan.low, plan.high
    for ky in range(w.shape[0]):
        y = _row(plan, oy, ky, x.shape[0])
        if y < 0:
            continue
        for kx in range(w.shape[1]):
            column = _column(plan, ox, kx, x.shape[1])
            if column < 0:
                continue
            if plan.clamped and narrow:
                _step_narrow(row, x[y, column], first, w[ky, kx], low, high)
            elif plan.clamped:
                _step(row, x[y, column], first, w[ky, kx], low, high)
            elif narrow:
                _add_narrow(row, x[y, column], first, w[ky, kx])
            else:
                _add(row, x[y, column], first, w[ky, kx])


@njit
def accumulate(sums: Any, x: Any, w: Any, plan: Any, row: Any) -> None:
    """Add all products of the tile to ``sums`` (n, oh, ow, oc), clamped to [low, high] after each if so planned or else modulo 2^64.

    A ``row`` of int32 promises that the products of one pixel (or a clamped sum and one product) fit it; else it is int64.
    """
    channels, clamped, low, high = sums.shape[3], plan.clamped, plan.low, plan.high
    first = np.empty(channels, dtype=np.int64)
    for c in range(channels):
        first[c] = _first_channel(plan, c)
    for n in range(sums.shape[0]):
        for oy in range(sums.shape[1]):
            for ox in range(sums.shape[2]):
                out = sums[n, oy, ox]
                for c in range(channels):
                    row[c] = min(max(out[c], low), high) if clamped else 0
                _pixel(row, x[n], oy, ox, first, w, plan)
                for c in range(channels):
                    out[c] = row[c] if clamped else out[c] + row[c]
