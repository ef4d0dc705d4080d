"""One compiled call for a run of layers: records of integers over a flat memory of codes.

Calling into compiled code costs microseconds, a small layer no more; so a network is written down as a *tape*, one record per
layer, and played in one call. ``memory`` holds every tensor's codes one after another. Sums are 32-bit; only layers with a
bound that proves this exact are put on a tape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.kernels._products import (
    BLOCK_PIXELS,
    CLAMPED,
    IC,
    IH,
    IW,
    LEFT,
    OC,
    OH,
    OPERATION,
    OW,
    SLOTS,
    SOURCE,
    TARGET,
    TOP,
    ZERO,
    N,
    Panels,
    block_sums,
    fill_image,
)
from accelsim.kernels._softmax import gemmlowp
from accelsim.numba_cache import njit
from accelsim.numerics.compiled import float32_half_even_rows, float64_half_away_rows, threshold_rows

SHIFT, FLOAT32, FLOAT64, LEVELS = range(4)
"""Ways to requantize; every integer scheme but one (ties to even) is a shift with the right constants."""

SUM, TABLE, TABLE_OF_TWO, AVERAGE_POOL, MAX_POOL, MEAN, SOFTMAX = range(CLAMPED, CLAMPED + 7)
"""What a record does besides the ways to multiply; no clamped sums are put on a tape."""

(
    SIZE,
    RULE, PARAMETERS, CHANNELS, OUT_ZERO, LOW, HIGH,
    KH, KW, STRIDE_H, STRIDE_W,
    SOURCE2, TABLE1, TABLE2, CODE1, CODE2,
    MULTIPLIER, LEFT_SHIFT, DIFF_MIN, BITS, LEVEL_COUNT,
) = range(SLOTS, SLOTS + 21)  # fmt: skip
"""Columns of a record beside those of :mod:`accelsim.kernels._products`, which pools and means share where they have the same."""
COLUMNS = SLOTS + 21

TABLE_SIDE = 256
"""Rows and columns of a table of two 8-bit codes."""
BLOCK_ELEMENTS = 4096
"""Elements of an element-wise sum that are held at once: 16 KiB."""


class Constants(NamedTuple):
    """What records point into: weights (int16), segment offsets and levels (int64), starts of sums and code tables (int32), factors
    (int32) and shifts (int64) of the shift rule, factors of the float32 and float64 rules."""

    weights: Any
    segments: Any
    tables: Any
    integers: Any
    shifts: Any
    floats: Any
    scales: Any


@njit
def _shifted(product: Any, offset: Any, negative_offset: Any, shift: Any, low: Any, high: Any) -> Any:
    """``(product + offset) >> shift`` between two bounds; ``negative_offset`` is taken away where the product is negative.

    AVX2 has no arithmetic right shift of 64-bit lanes; adding 2^63 makes a logical one do.
    """
    top = np.uint64(1 << 63)
    moved = np.uint64(product + offset - ((product >> 63) & negative_offset)) + top
    return max(min(np.int64(moved >> np.uint64(shift)) - np.int64(top >> np.uint64(shift)), high), low)


@njit
def _shift_rows(acc: Any, factors: Any, shifts: Any, zero: int, low: int, high: int, out: Any) -> None:
    """The shift rule, parameters by channel: ``shifts`` holds all offsets, then all negative offsets, then all shifts."""
    least, most, channels = low - zero, high - zero, factors.size
    if channels == 1:
        factor, offset, negative, shift = np.int64(factors[0]), shifts[0], shifts[1], shifts[2]
        for i in range(acc.size):
            out[i] = _shifted(np.int64(acc[i]) * factor, offset, negative, shift, least, most) + zero
        return
    offset, negative, shift = shifts[:channels], shifts[channels : 2 * channels], shifts[2 * channels :]
    for first in range(0, acc.size, channels):
        sums, codes = acc[first : first + channels], out[first : first + channels]
        for c in range(channels):
            product = np.int64(sums[c]) * np.int64(factors[c])
            codes[c] = _shifted(product, offset[c], negative[c], shift[c], least, most) + zero


@njit
def _requantize(r: Any, acc: Any, constants: Any, memory: Any, target: int) -> None:
    """Codes of the sums ``acc``, channels innermost, by the record's rule, to ``memory`` from ``target`` on."""
    integers, levels = constants.integers, constants.segments
    zero, low, high, channels = r[OUT_ZERO], r[LOW], r[HIGH], r[CHANNELS]
    a, b = r[PARAMETERS], r[PARAMETERS] + channels
    out = memory[target : target + acc.size]
    if r[RULE] == SHIFT:
        _shift_rows(acc, integers[a:b], constants.shifts[3 * a : 3 * b], zero, low, high, out)
        return
    width = acc.size if channels == 1 else channels  # one parameter for all: one long row
    sums, codes = acc.reshape(acc.size // width, width), out.reshape(acc.size // width, width)
    if r[RULE] == LEVELS:
        ends = a + channels * r[LEVEL_COUNT]
        rows = levels[a:ends].reshape(channels, r[LEVEL_COUNT])
        threshold_rows(sums, rows, levels[ends : ends + channels], levels[ends + channels : ends + 2 * channels], codes)
        return
    if r[RULE] == FLOAT32:
        float32_half_even_rows(sums, constants.floats[a:b], integers[:0], zero, low, high, codes)
    else:
        float64_half_away_rows(sums, constants.scales[a:b], integers[:0], zero, low, high, codes)


@njit
def _sum_of_two(r: Any, first: int, memory: Any, tables: Any, sums: Any) -> None:
    """``table1[a] + table2[b]`` for the codes a, b of two tensors from element ``first`` on."""
    a, b = r[SOURCE] + first, r[SOURCE2] + first
    left, right = r[TABLE1] - r[CODE1], r[TABLE2] - r[CODE2]
    for i in range(sums.size):
        sums[i] = tables[left + memory[a + i]] + tables[right + memory[b + i]]


@njit
def _table_of_two(r: Any, memory: Any, tables: Any) -> None:
    """``table[a, b]`` for the codes a, b of two tensors."""
    base = r[TABLE1] - r[CODE1] * TABLE_SIDE - r[CODE2]
    for i in range(r[SIZE]):
        a, b = np.int64(memory[r[SOURCE] + i]), np.int64(memory[r[SOURCE2] + i])
        memory[r[TARGET] + i] = tables[base + a * TABLE_SIDE + b]


@njit
def _mean(r: Any, memory: Any, sums: Any) -> None:
    """Sum over the pixels of each image, less the zero points, for (n, c) outputs."""
    pixels, c = r[IH] * r[IW], r[IC]
    for b in range(r[N]):
        row = sums[b * c : (b + 1) * c]
        row[:] = -r[ZERO] * pixels
        for p in range(pixels):
            at = r[SOURCE] + (b * pixels + p) * c
            for i in range(c):
                row[i] += memory[at + i]


@njit
def _pool(r: Any, memory: Any, sums: Any) -> None:
    """Windows of codes: rounded mean, half away from zero, or maximum; then the clamp."""
    c, average = r[IC], r[OPERATION] == AVERAGE_POOL
    row, to = sums[:c], r[TARGET]
    for b in range(r[N]):
        for oy in range(r[OH]):
            y0, y1 = oy * r[STRIDE_H] - r[TOP], oy * r[STRIDE_H] - r[TOP] + r[KH]
            for ox in range(r[OW]):
                x0, x1 = ox * r[STRIDE_W] - r[LEFT], ox * r[STRIDE_W] - r[LEFT] + r[KW]
                y0, y1, x0, x1 = max(y0, 0), min(y1, r[IH]), max(x0, 0), min(x1, r[IW])
                row[:] = 0 if average else -(2**31)
                for y in range(y0, y1):
                    for x in range(x0, x1):
                        at = r[SOURCE] + ((b * r[IH] + y) * r[IW] + x) * c
                        for i in range(c):
                            row[i] = row[i] + memory[at + i] if average else max(row[i], memory[at + i])
                count = (y1 - y0) * (x1 - x0)
                for i in range(c):
                    value = np.int64(row[i])
                    if average:
                        size = (abs(value) + count // 2) // count
                        value = size if value > 0 else -size
                    memory[to + i] = max(min(value, r[HIGH]), r[LOW])
                to += c


@njit
def play(records: Any, memory: Any, constants: Any, scratch: Any) -> None:
    """Carry out ``records`` in order on ``memory`` (int16, flat), with :class:`Constants` and the scratch of products."""
    panels, sums = Panels(constants.weights, constants.segments, constants.tables), scratch.sums
    for k in range(records.shape[0]):
        r = records[k]
        # Products and element-wise sums go by blocks, so that sums are still in a near cache when they are requantized.
        operation, size, target = r[OPERATION], r[SIZE], r[TARGET]
        if operation < CLAMPED:
            fill_image(r, memory, scratch)
            pixels, oc = r[N] * r[OH] * r[OW], r[OC]
            for first in range(0, pixels, BLOCK_PIXELS):
                count = min(BLOCK_PIXELS, pixels - first)
                block_sums(r, memory, panels, first, count, scratch)
                _requantize(r, sums[: count * oc], constants, memory, target + first * oc)
        elif operation == SUM:
            for first in range(0, size, BLOCK_ELEMENTS):
                block = sums[: min(BLOCK_ELEMENTS, size - first)]
                _sum_of_two(r, first, memory, constants.tables, block)
                _requantize(r, block, constants, memory, target + first)
        elif operation == TABLE:
            for i in range(size):
                memory[target + i] = constants.tables[r[TABLE1] - r[CODE1] + memory[r[SOURCE] + i]]
        elif operation == TABLE_OF_TWO:
            _table_of_two(r, memory, constants.tables)
        elif operation == MEAN:
            _mean(r, memory, sums[:size])
            _requantize(r, sums[:size], constants, memory, target)
        elif operation == SOFTMAX:
            classes = r[IC]
            x = memory[r[SOURCE] : r[SOURCE] + size].reshape(size // classes, classes)
            out = memory[target : target + size].reshape(size // classes, classes)
            gemmlowp(x, r[MULTIPLIER], r[LEFT_SHIFT], r[DIFF_MIN], r[BITS], r[LOW], r[HIGH], out)
        else:
            _pool(r, memory, sums)
