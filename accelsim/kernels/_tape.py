"""One compiled call for a run of layers: records of integers over a flat memory of codes.

Calling into compiled code costs as much as a small layer; so a network is written down as a *tape*, one record per layer, and
played in one call. ``memory`` holds every tensor's codes one after another: bytes, signed and unsigned ones alike, or int16 where a
tensor is wider. Sums are 32-bit; only layers with a bound that proves this exact are put on a tape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import carray

from accelsim.kernels._products import (
    BLOCK,
    CLAMPED,
    FLIP,
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
    Scratch,
    _copy,
    block_sums,
    fill_image,
)
from accelsim.kernels._registers import pointer, translate
from accelsim.kernels._softmax import gemmlowp
from accelsim.numba_cache import inlined, inner, njit
from accelsim.numerics.compiled import float32_half_even_rows, float64_half_away_rows, threshold_rows

SHIFT, FLOAT32, FLOAT64, LEVELS = range(4)
"""Ways to requantize; every integer scheme but one (ties to even) is a shift with the right constants."""

SUM, TABLE, TABLE_OF_TWO, AVERAGE_POOL, MAX_POOL, MEAN, SOFTMAX = range(CLAMPED, CLAMPED + 7)
"""What a record does besides the ways to multiply; no clamped sums are put on a tape."""

(
    SIZE,
    RULE, PARAMETERS, CHANNELS, OUT_ZERO, LOW, HIGH,
    KH, KW, STRIDE_H, STRIDE_W,
    SOURCE2, FLIP2, TABLE_AT, CODE1, CODE2, FACTOR1, FACTOR2, OFFSET, RIGHT_SHIFT,
    MULTIPLIER, LEFT_SHIFT, DIFF_MIN, BITS, LEVEL_COUNT,
) = range(SLOTS, SLOTS + 25)  # fmt: skip
"""Columns of a record beside those of :mod:`accelsim.kernels._products`, which pools and means share where they have the same.
``FLIP2``, as ``FLIP``, is of ``SOURCE2``; ``CODE1`` and ``CODE2`` are the flipped codes that tables begin with."""
COLUMNS = SLOTS + 25

TABLE_SIDE = 256
"""Entries of a row of a table of two 8-bit codes."""


class Constants(NamedTuple):
    """What records point into: weights (int16), segment offsets and levels (int64), starts of sums (int32), factors (int32) and shifts
    (int64) of the shift rule, factors of the float32 and float64 rules, and tables of codes, of the type of the memory."""

    weights: Any
    segments: Any
    starts: Any
    integers: Any
    shifts: Any
    floats: Any
    scales: Any
    codes: Any


def frame_of(constants: Constants, scratch: Scratch, records: Any, moves: Any) -> Any:
    """Addresses and sizes of all these arrays, for :func:`play`: to hand each of them over would take longer than small networks do."""
    arrays = (*constants, *scratch, records, moves)
    return np.array([(array.ctypes.data, array.size) for array in arrays], dtype=np.int64)


@inlined
def _at(frame: Any, i: int, kind: Any) -> Any:
    """The array of ``kind`` that a frame has at ``i``, kept alive by who made the frame."""
    return carray(pointer(frame[i, 0]), (frame[i, 1],), kind)


@inlined
def _opened(frame: Any, memory: Any) -> Any:
    """The constants and the scratch of a frame."""
    scales = _at(frame, 6, np.float64)
    constants = Constants(
        _at(frame, 0, np.int16),
        _at(frame, 1, np.int64),
        _at(frame, 2, np.int32),
        _at(frame, 3, np.int32),
        _at(frame, 4, np.int64),
        _at(frame, 5, np.float32),
        scales.reshape(scales.size // 3, 3),
        _at(frame, 7, memory.dtype),
    )
    image, small = _at(frame, 8, np.int16), _at(frame, 9, np.uint8)
    return constants, Scratch(image, small, _at(frame, 10, np.int32), _at(frame, 11, np.int64))


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
    offset, negative, shift = shifts, shifts[channels:], shifts[2 * channels :]
    for first in range(0, acc.size, channels):
        sums, codes = acc[first : first + channels], out[first:]
        for c in range(sums.size):
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
        _shift_rows(acc, integers[a:b], constants.shifts[3 * a :], zero, low, high, out)
        return
    # One parameter for all: one long row. Several: rows of them, then what is left of the last.
    width = acc.size if channels == 1 else channels
    if r[RULE] == LEVELS:
        sums, codes = acc.reshape(acc.size // width, width), out.reshape(acc.size // width, width)
        ends = a + channels * r[LEVEL_COUNT]
        rows = levels[a:ends].reshape(channels, r[LEVEL_COUNT])
        threshold_rows(sums, rows, levels[ends : ends + channels], levels[ends + channels :], codes)
        return
    if r[RULE] == FLOAT64:
        sums, codes = acc.reshape(acc.size // width, width), out.reshape(acc.size // width, width)
        float64_half_away_rows(sums, constants.scales[a:b], integers[:0], zero, low, high, codes)
        return
    rest = acc.size % width
    for first, size in ((0, acc.size - rest), (acc.size - rest, rest)):
        if size > 0:
            row = min(size, width)
            sums = acc[first : first + size].reshape(size // row, row)
            codes = out[first : first + size].reshape(size // row, row)
            factors = constants.floats[a : a + min(row, channels)]
            float32_half_even_rows(sums, factors, integers[:0], zero, low, high, codes)


@inlined
def _sum_of_two(r: Any, memory: Any) -> None:
    """``(a * FACTOR1 + b * FACTOR2 + OFFSET) >> RIGHT_SHIFT`` for the codes a, b of two tensors, clamped; all fits 32 bits."""
    size = r[SIZE]
    left, right, out = memory[r[SOURCE] :], memory[r[SOURCE2] :], memory[r[TARGET] :]
    flip, flip2, factor, factor2 = np.int32(r[FLIP]), np.int32(r[FLIP2]), np.int32(r[FACTOR1]), np.int32(r[FACTOR2])
    offset, shift, zero = np.int32(r[OFFSET]), np.int32(r[RIGHT_SHIFT]), np.int32(r[OUT_ZERO])
    low, high = np.int32(r[LOW]), np.int32(r[HIGH])
    for i in range(size):
        a, b = np.int32(np.int32(left[i]) ^ flip), np.int32(np.int32(right[i]) ^ flip2)
        total = np.int32(np.int32(np.int32(a * factor) + np.int32(b * factor2)) + offset)
        out[i] = max(min(np.int32((total >> shift) + zero), high), low)


@inlined
def _table(r: Any, memory: Any, codes: Any) -> None:
    """``table[a]`` for the codes a of a tensor."""
    size, flip, first, done = r[SIZE], r[FLIP], r[CODE1], 0
    source, out, table = memory[r[SOURCE] :], memory[r[TARGET] :], codes[r[TABLE_AT] :]
    if memory.itemsize == 1:  # then it has 256 entries
        at, to = np.int64(source.ctypes.data), np.int64(out.ctypes.data)
        done = translate(np.int64(table.ctypes.data), at, np.int64(flip), to, np.int64(size))
    for i in range(done, size):
        out[i] = table[(np.int64(source[i]) ^ flip) - first]


@inlined
def _table_of_two(r: Any, memory: Any, codes: Any) -> None:
    """``table[a, b]`` for the codes a, b of two tensors."""
    size, flip, flip2, first = r[SIZE], r[FLIP], r[FLIP2], r[CODE1] * TABLE_SIDE + r[CODE2]
    left, right, out, table = memory[r[SOURCE] :], memory[r[SOURCE2] :], memory[r[TARGET] :], codes[r[TABLE_AT] :]
    for i in range(size):
        a, b = np.int64(left[i]) ^ flip, np.int64(right[i]) ^ flip2
        out[i] = table[a * TABLE_SIDE + b - first]


@inner
def _add_codes(row: Any, source: Any, flip: int) -> None:
    bits = np.int32(flip)
    for i in range(row.size):
        row[i] = np.int32(row[i] + np.int32(np.int32(source[i]) ^ bits))


@inner
def _raise_to(row: Any, source: Any, flip: int) -> None:
    bits = np.int32(flip)
    for i in range(row.size):
        row[i] = max(row[i], np.int32(np.int32(source[i]) ^ bits))


@inlined
def _mean(r: Any, memory: Any, sums: Any) -> None:
    """Sum over the pixels of each image, less the zero points, for (n, c) outputs."""
    pixels, c = r[IH] * r[IW], r[IC]
    for b in range(r[N]):
        row = sums[b * c : (b + 1) * c]
        row[:] = -r[ZERO] * pixels
        for p in range(pixels):
            _add_codes(row, memory[r[SOURCE] + (b * pixels + p) * c :], r[FLIP])


@inner
def _put(row: Any, count: int, r: Any, out: Any) -> None:
    """Rounded means of ``count`` codes, half away from zero, or maxima (0), as clamped codes; flipped codes are ``FLIP`` too large."""
    flip, low, high = r[FLIP], r[LOW], r[HIGH]
    if count == 0:
        for i in range(row.size):
            out[i] = max(min(np.int64(row[i]) - flip, high), low)
        return
    # Exact: the quotient of two integers below 2^53 comes no nearer to the next integer than its own rounding reaches.
    more, half, by = flip * count, np.float64(count // 2), np.float64(count)
    for i in range(row.size):
        value = np.float64(np.int64(row[i]) - more)
        size = np.int64((abs(value) + half) / by)
        out[i] = max(min(size if value > 0 else -size, high), low)


@inner
def _pool(r: Any, memory: Any, sums: Any) -> None:
    """Windows of codes: rounded mean, half away from zero, or maximum; then the clamp."""
    c, average, flip = r[IC], r[OPERATION] == AVERAGE_POOL, r[FLIP]
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
                        source = memory[r[SOURCE] + ((b * r[IH] + y) * r[IW] + x) * c :]
                        if average:
                            _add_codes(row, source, flip)
                        else:
                            _raise_to(row, source, flip)
                _put(row, (y1 - y0) * (x1 - x0) if average else 0, r, memory[to:])
                to += c


@inlined
def _softmax(r: Any, memory: Any, image: Any) -> None:
    """Rows of codes by way of 16-bit ones: what is compiled for these is enough. Differences of codes do not tell what is flipped."""
    size, classes = r[SIZE], r[IC]
    x, out = image[:size], image[size : 2 * size]
    for i in range(size):
        x[i] = memory[r[SOURCE] + i] ^ r[FLIP]
    shape = size // classes, classes
    gemmlowp(x.reshape(shape), r[MULTIPLIER], r[LEFT_SHIFT], r[DIFF_MIN], r[BITS], r[LOW], r[HIGH], out.reshape(shape))
    for i in range(size):
        memory[r[TARGET] + i] = out[i]


@inlined
def _multiply(r: Any, memory: Any, constants: Any, scratch: Any) -> None:
    """A product, by blocks, so that sums are still in a near cache when they are requantized."""
    panels, pixels, oc = Panels(constants.weights, constants.segments, constants.starts), r[N] * r[OH] * r[OW], r[OC]
    fill_image(r, memory, scratch)
    for first in range(0, pixels, r[BLOCK]):
        count = min(r[BLOCK], pixels - first)
        block_sums(r, memory, panels, first, count, scratch)
        _requantize(r, scratch.sums[: count * oc], constants, memory, r[TARGET] + first * oc)


@inlined
def _carry_out(r: Any, memory: Any, constants: Any, scratch: Any) -> None:
    operation = r[OPERATION]
    if operation < CLAMPED:
        _multiply(r, memory, constants, scratch)
    elif operation == SUM:
        _sum_of_two(r, memory)
    elif operation == TABLE:
        _table(r, memory, constants.codes)
    elif operation == TABLE_OF_TWO:
        _table_of_two(r, memory, constants.codes)
    elif operation == MEAN:
        sums = scratch.sums[: r[SIZE]]
        _mean(r, memory, sums)
        _requantize(r, sums, constants, memory, r[TARGET])
    elif operation == SOFTMAX:
        _softmax(r, memory, scratch.image)
    else:
        _pool(r, memory, scratch.sums)


@inlined
def _move(memory: Any, moves: Any, inference: int, out: int) -> None:
    """The codes of one inference from the arrays of inputs to the memory, or from there to those of what is kept."""
    for m in range(moves.shape[0]):
        address, offset, size = moves[m, 0], moves[m, 1], moves[m, 2]
        if moves[m, 3] == out:
            host = carray(pointer(address + inference * size * memory.itemsize), (size,), memory.dtype)
            if out:
                _copy(memory[offset:], 0, 0, host)
            else:
                _copy(host, 0, 0, memory[offset : offset + size])


@njit
def play(memory: Any, frame: Any, count: int) -> None:
    """Carry out the records of :func:`frame_of` in order on ``memory`` (uint8 or int16, flat), ``count`` times, with its arrays.

    Its moves say what to bring before each time and to take away after it: rows (address of an array (count, elements) of the
    memory's type, offset in memory, elements, 1 to take away).
    """
    # Views that own nothing: counting who refers to an array takes longer than some layers, and threads would wait for each other.
    memory = carray(pointer(np.int64(memory.ctypes.data)), memory.shape, memory.dtype)
    constants, scratch = _opened(frame, memory)
    all_records, all_moves = _at(frame, 12, np.int64), _at(frame, 13, np.int64)
    records = all_records.reshape(all_records.size // COLUMNS, COLUMNS)
    moves = all_moves.reshape(all_moves.size // 4, 4)
    for inference in range(count):
        _move(memory, moves, inference, 0)
        for k in range(records.shape[0]):
            _carry_out(records[k], memory, constants, scratch)
        _move(memory, moves, inference, 1)
