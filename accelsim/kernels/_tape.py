"""One compiled call for a run of layers: records of integers over a flat memory of codes.

Calling into compiled code costs microseconds, a small layer no more; so a network is written down as a *tape*, one record per
layer, and played in one call. ``memory`` holds every tensor's codes one after another. Sums are 32-bit; only layers with a
bound that proves this exact are put on a tape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.kernels._softmax import gemmlowp
from accelsim.kernels._tile import LANES, channels_tile1, channels_tile4, pairs_tile1, pairs_tile4, pairs_tile6
from accelsim.numba_cache import njit
from accelsim.numerics.compiled import float32_half_even_rows, float64_half_away_rows, threshold_rows

SHIFT, FLOAT32, FLOAT64, LEVELS = range(4)
"""Ways to requantize; every integer scheme but one (ties to even) is a shift with the right constants."""

CONVOLUTION, DEPTHWISE, SUM, TABLE, TABLE_OF_TWO, AVERAGE_POOL, MAX_POOL, MEAN, SOFTMAX = range(9)
"""What a record does."""

(
    OPERATION, SOURCE, TARGET, SIZE,
    RULE, PARAMETERS, CHANNELS, OUT_ZERO, LOW, HIGH,
    ZERO, N, IH, IW, IC, OH, OW, OC, TOP, LEFT, UP_H, UP_W, PH, PW, STEP_H, STEP_W,
    GROUPS, SEGMENTS, SEGMENT_COUNT, STEPS, WEIGHTS, BIAS,
    KH, KW, STRIDE_H, STRIDE_W,
    SOURCE2, TABLE1, TABLE2, CODE1, CODE2,
    MULTIPLIER, LEFT_SHIFT, DIFF_MIN, BITS, LEVEL_COUNT,
) = range(46)  # fmt: skip
"""Columns of a record. Offsets count elements of the array they point into; an operation leaves what it does not use at 0."""
COLUMNS = 46

TABLE_SIDE = 256
"""Rows and columns of a table of two 8-bit codes."""
BLOCK_PIXELS = 64
"""Output pixels whose sums are held at once: with 256 channels they fill 64 KiB, well inside a second-level cache."""
BLOCK_ELEMENTS = 4096
"""Elements of an element-wise sum that are held at once: 16 KiB."""
SLACK = 64
"""Elements that tiles may read or write beyond the end of an array: unused lanes of a vector."""


@njit
def _image(r: Any, memory: Any, image: Any) -> None:
    """Codes of the source less their zero point, spread and padded, into ``image`` (n, ph, pw, ic)."""
    source, zero, ih, iw, ic, ph, pw = r[SOURCE], r[ZERO], r[IH], r[IW], r[IC], r[PH], r[PW]
    if ih == ph and iw == pw and r[TOP] == 0 and r[LEFT] == 0 and r[UP_H] == 1 and r[UP_W] == 1:
        for i in range(r[N] * ih * iw * ic):
            image[i] = memory[source + i] - zero
        return
    image[: r[N] * ph * pw * ic] = 0
    first = max(0, -(r[LEFT] // r[UP_W]))
    last = min(iw, (pw - 1 - r[LEFT]) // r[UP_W] + 1)
    run, step = (ic, r[UP_W] * ic) if r[UP_W] > 1 else ((last - first) * ic, (last - first) * ic)
    for b in range(r[N]):
        for y in range(ih):
            row = r[TOP] + y * r[UP_H]
            if row < 0 or row >= ph:
                continue
            at = source + ((b * ih + y) * iw + first) * ic
            to = ((b * ph + row) * pw + r[LEFT] + first * r[UP_W]) * ic
            for _ in range((last - first) * ic // run if run > 0 else 0):
                for i in range(run):
                    image[to + i] = memory[at + i] - zero
                at += run
                to += step


@njit
def _places(r: Any, first: int, count: int, places: Any) -> None:
    """Where in the image the windows of output pixels ``first`` to ``first + count`` begin."""
    ox, rest = first % r[OW], first // r[OW]
    oy, b = rest % r[OH], rest // r[OH]
    for i in range(count):
        places[i] = b * r[PH] * r[PW] * r[IC] + oy * r[STEP_H] + ox * r[STEP_W]
        ox += 1
        if ox == r[OW]:
            ox = 0
            oy += 1
            if oy == r[OH]:
                oy = 0
                b += 1


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
def _requantize(
    r: Any, acc: Any, integers: Any, shifts: Any, floats: Any, scales: Any, levels: Any, memory: Any, target: int
) -> None:
    """Codes of the sums ``acc``, channels innermost, by the record's rule, to ``memory`` from ``target`` on."""
    zero, low, high, channels = r[OUT_ZERO], r[LOW], r[HIGH], r[CHANNELS]
    a, b = r[PARAMETERS], r[PARAMETERS] + channels
    out = memory[target : target + acc.size]
    if r[RULE] == SHIFT:
        _shift_rows(acc, integers[a:b], shifts[3 * a : 3 * b], zero, low, high, out)
        return
    width = acc.size if channels == 1 else channels
    sums, codes = acc.reshape(acc.size // width, width), out.reshape(acc.size // width, width)
    if r[RULE] == LEVELS:
        ends = a + channels * r[LEVEL_COUNT]
        rows = levels[a:ends].reshape(channels, r[LEVEL_COUNT])
        threshold_rows(sums, rows, levels[ends : ends + channels], levels[ends + channels : ends + 2 * channels], codes)
        return
    if r[RULE] == FLOAT32:
        float32_half_even_rows(sums, floats[a:b], integers[:0], zero, low, high, codes)
    else:
        float64_half_away_rows(sums, scales[a:b], integers[:0], zero, low, high, codes)


@njit
def _block_of_channels(
    depthwise: bool,
    x: int,
    w: int,
    segments: int,
    count: int,
    steps: int,
    bias: int,
    sums: int,
    places: Any,
    pixels: int,
    row: int,
) -> None:
    """16 channels of a block of pixels, six or four pixels at a time; rows of sums are ``row`` apart and ascend."""
    m = 0
    while m + 6 <= pixels and not depthwise:
        p0, p1, p2, p3, p4, p5 = places[m], places[m + 1], places[m + 2], places[m + 3], places[m + 4], places[m + 5]
        r0, r3 = m * row, (m + 3) * row
        r1, r2, r4, r5 = r0 + row, r0 + 2 * row, r3 + row, r3 + 2 * row
        pairs_tile6(x, w, segments, count, steps, bias, sums, p0, p1, p2, p3, p4, p5, r0, r1, r2, r3, r4, r5)
        m += 6
    while m + 4 <= pixels:
        p0, p1, p2, p3 = places[m], places[m + 1], places[m + 2], places[m + 3]
        r0 = m * row
        if depthwise:
            channels_tile4(
                x, w, segments, count, steps, bias, sums, p0, p1, p2, p3, r0, r0 + row, r0 + 2 * row, r0 + 3 * row
            )
        else:
            pairs_tile4(
                x, w, segments, count, steps, bias, sums, p0, p1, p2, p3, r0, r0 + row, r0 + 2 * row, r0 + 3 * row
            )
        m += 4
    while m < pixels:
        if depthwise:
            channels_tile1(x, w, segments, count, steps, bias, sums, places[m], m * row)
        else:
            pairs_tile1(x, w, segments, count, steps, bias, sums, places[m], m * row)
        m += 1


@njit
def _sums(r: Any, image: Any, weights: Any, segments: Any, biases: Any, places: Any, pixels: int, sums: Any) -> None:
    """Sums (pixels, oc) of one block. A tile writes 16 channels; lanes past the last channel land where a later tile writes."""
    oc, groups = r[OC], r[GROUPS]
    depthwise = r[OPERATION] == DEPTHWISE
    per_group = oc // groups
    blocks = (per_group + LANES - 1) // LANES
    per_block = r[SEGMENT_COUNT] * r[STEPS] * LANES * (1 if depthwise else 2)
    x, segment_address = image.ctypes.data, segments[r[SEGMENTS] :].ctypes.data
    count, steps = r[SEGMENT_COUNT], r[STEPS]
    if groups == 1:
        for b in range(blocks - 1, -1, -1):
            w = weights[r[WEIGHTS] + b * per_block :].ctypes.data
            bias = biases[r[BIAS] + b * LANES :].ctypes.data
            source = x + 2 * b * LANES if depthwise else x
            out = sums.ctypes.data + 4 * b * LANES
            _block_of_channels(depthwise, source, w, segment_address, count, steps, bias, out, places, pixels, oc)
        return
    for m in range(pixels):
        for group in range(groups):
            for b in range(blocks):
                index = group * blocks + b
                w = weights[r[WEIGHTS] + index * per_block :].ctypes.data
                bias = biases[r[BIAS] + index * LANES :].ctypes.data
                column = m * oc + group * per_group + b * LANES
                place = places[m] + group * (r[IC] // groups)
                pairs_tile1(x, w, segment_address, count, steps, bias, sums.ctypes.data, place, column)


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
def play(records: Any, memory: Any, arrays: Any) -> None:
    """Carry out ``records`` in order on ``memory`` (int16, flat).

    ``arrays`` = weights (int16), segment offsets and levels (int64), biases and code tables (int32), factors (int32) and shifts (int64) of
    the shift rule, factors of the float32 and float64 rules; then scratch: image (int16), sums (int32), pixel offsets (int64).
    """
    weights, segments, tables, integers, shifts, floats, scales, image, scratch, places = arrays
    for k in range(records.shape[0]):
        r = records[k]
        operation, size, target = r[OPERATION], r[SIZE], r[TARGET]
        if operation <= DEPTHWISE:
            _image(r, memory, image)
            pixels, oc = r[N] * r[OH] * r[OW], r[OC]
            for first in range(0, pixels, BLOCK_PIXELS):
                count = min(BLOCK_PIXELS, pixels - first)
                _places(r, first, count, places)
                _sums(r, image, weights, segments, tables, places, count, scratch)
                _requantize(
                    r, scratch[: count * oc], integers, shifts, floats, scales, segments, memory, target + first * oc
                )
        elif operation == SUM:
            for first in range(0, size, BLOCK_ELEMENTS):
                sums = scratch[: min(BLOCK_ELEMENTS, size - first)]
                _sum_of_two(r, first, memory, tables, sums)
                _requantize(r, sums, integers, shifts, floats, scales, segments, memory, target + first)
        elif operation == TABLE:
            for i in range(size):
                memory[target + i] = tables[r[TABLE1] - r[CODE1] + memory[r[SOURCE] + i]]
        elif operation == TABLE_OF_TWO:
            _table_of_two(r, memory, tables)
        elif operation == MEAN:
            _mean(r, memory, scratch[:size])
            _requantize(r, scratch[:size], integers, shifts, floats, scales, segments, memory, target)
        elif operation == SOFTMAX:
            classes = r[IC]
            x = memory[r[SOURCE] : r[SOURCE] + size].reshape(size // classes, classes)
            out = memory[target : target + size].reshape(size // classes, classes)
            gemmlowp(x, r[MULTIPLIER], r[LEFT_SHIFT], r[DIFF_MIN], r[BITS], r[LOW], r[HIGH], out)
        else:
            _pool(r, memory, scratch)
