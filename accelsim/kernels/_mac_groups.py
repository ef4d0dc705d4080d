"""Numba loops for adder trees: groups of consecutive products summed exactly, then one addition to the accumulator.

Arguments as in :mod:`accelsim.kernels._mac`. Products of a tile are numbered kernel row, kernel column, channel, those on padding
and on inserted zeros included; product ``p`` belongs to group ``p // size``. The sum of a group is held in two parts, so that
it is exact whatever its products: ``part[0]`` sums their low 32 bits, ``part[1]`` the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.kernels._mac import INT64_MAX, _add_narrow, _column, _first_channel, _row
from accelsim.numba_cache import njit

LOW_BITS = 0xFFFFFFFF
HIGH_MAX = 2**31 - 1
"""Largest upper part of a 64-bit integer; the smallest is ``-HIGH_MAX - 1``."""


@njit
def _sum_of(total: Any, low_part: Any, high_part: Any) -> Any:
    """``total + high_part * 2^32 + low_part``, and whether that left 64 bits; then the end of the range stands for it."""
    low = (total & LOW_BITS) + low_part
    high = (total >> 32) + high_part + (low >> 32)
    if high > HIGH_MAX:
        return np.int64(INT64_MAX), True
    if high < -HIGH_MAX - 1:
        return np.int64(-INT64_MAX - 1), True
    return (high << 32) + (low & LOW_BITS), False


@njit
def _flush(row: Any, part: Any, low: int, high: int) -> None:
    """One addition: the sums of a group into the clamped sums ``row``."""
    for c in range(row.size):
        total, _ = _sum_of(row[c], part[0, c], part[1, c])
        row[c] = min(max(total, low), high)
    part[:] = 0


@njit
def _flush_narrow(row: Any, part: Any, low: int, high: int) -> None:
    """As :func:`_flush` where everything fits 32 bits."""
    least, most = np.int32(low), np.int32(high)
    for c in range(row.size):
        row[c] = min(max(np.int32(row[c] + part[0, c]), least), most)
        part[0, c] = 0


@njit
def _gather(part: Any, x: Any, first: Any, w: Any) -> None:
    """Products of one pixel and one tap into the sums of their group."""
    for i in range(w.shape[0]):
        for c in range(w.shape[1]):
            product = np.int64(x[first[c] + i]) * np.int64(w[i, c])
            part[0, c] += product & LOW_BITS
            part[1, c] += product >> 32


@njit
def _pixel(row: Any, part: Any, x: Any, oy: int, ox: int, first: Any, w: Any, plan: Any) -> None:
    """All groups of one pixel into ``row``; a group of nothing but padding changes nothing."""
    narrow, channels, size, low, high = row.itemsize == 4, w.shape[2], plan.group, plan.low, plan.high
    p, end = 0, 0  # the next product, and the first of the next group
    for ky in range(w.shape[0]):
        y = _row(plan, oy, ky, x.shape[0])
        for kx in range(w.shape[1]):
            column = _column(plan, ox, kx, x.shape[1])
            stop = p + channels
            while p < stop:
                if y < 0 or column < 0:
                    p = stop
                    break
                # A group is added when the first product beyond it comes: its own end may lie in padding, which is passed over.
                if p >= end:
                    if narrow:
                        _flush_narrow(row, part, low, high)
                    else:
                        _flush(row, part, low, high)
                    end = (p // size + 1) * size
                i = p - stop + channels
                count = min(end, stop) - p
                if narrow:
                    _add_narrow(part[0], x[y, column, i:], first, w[ky, kx, i : i + count])
                else:
                    _gather(part, x[y, column, i:], first, w[ky, kx, i : i + count])
                p += count
    if narrow:
        _flush_narrow(row, part, low, high)
    else:
        _flush(row, part, low, high)


@njit
def accumulate_groups(sums: Any, x: Any, w: Any, plan: Any, row: Any, part: Any) -> None:
    """Add the tile to ``sums`` (n, oh, ow, oc) in groups of products, clamped to [low, high] after each.

    ``row`` (oc) and ``part`` (2, oc) are scratch: of int32 where a clamped sum and a group always fit it together (then
    ``part[1]`` is not used), else of int64.
    """
    channels, low, high = sums.shape[3], plan.low, plan.high
    first = np.empty(channels, dtype=np.int64)
    for c in range(channels):
        first[c] = _first_channel(plan, c)
    part[:] = 0
    for n in range(sums.shape[0]):
        for oy in range(sums.shape[1]):
            for ox in range(sums.shape[2]):
                out = sums[n, oy, ox]
                for c in range(channels):
                    row[c] = min(max(out[c], low), high)
                _pixel(row, part, x[n], oy, ox, first, w, plan)
                for c in range(channels):
                    out[c] = row[c]


@njit
def first_outside(sums: Any, x: Any, w: Any, plan: Any) -> int:
    """Flat index of the first sum that lies outside [low, high] at its start or after an addition, or -1."""
    index = 0
    for n in range(sums.shape[0]):
        for oy in range(sums.shape[1]):
            for ox in range(sums.shape[2]):
                for c in range(sums.shape[3]):
                    channels = x[n, :, :, _first_channel(plan, c) :]
                    if _leaves(sums[n, oy, ox, c], channels, w[:, :, :, c], oy, ox, plan):
                        return index
                    index += 1
    return -1


@njit
def _leaves(total: Any, x: Any, w: Any, oy: int, ox: int, plan: Any) -> bool:
    """Whether one sum leaves [low, high] at its start or after the addition of any group; ``x`` begins with its first channel."""
    size, low, high = plan.group, plan.low, plan.high
    if total < low or total > high:
        return True
    low_part, high_part, p, end = np.int64(0), np.int64(0), 0, size
    for ky in range(w.shape[0]):
        y = _row(plan, oy, ky, x.shape[0])
        for kx in range(w.shape[1]):
            column = _column(plan, ox, kx, x.shape[1])
            if y < 0 or column < 0:
                p += w.shape[2]
                continue
            for i in range(w.shape[2]):
                if p >= end:
                    total, over = _sum_of(total, low_part, high_part)
                    if over or total < low or total > high:
                        return True
                    low_part, high_part, end = np.int64(0), np.int64(0), (p // size + 1) * size
                product = np.int64(x[y, column, i]) * np.int64(w[ky, kx, i])
                low_part += product & LOW_BITS
                high_part += product >> 32
                p += 1
    total, over = _sum_of(total, low_part, high_part)
    return bool(over or total < low or total > high)
