"""The compiled loop over stages: each is applied to a piece of a row, so that a list costs no branch per element."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from accelsim.numba_cache import njit

Array: TypeAlias = Any
Int: TypeAlias = Any

ADD, MULTIPLY, SHIFT, LEFT, WRAP, LIMIT, TABLE = range(7)
"""Operations, in column ``OPERATION`` of a program; offsets are additions of the negative, saturation and clipping are limits."""
OPERATION, ROUNDING, LOW, HIGH, STEP = range(5)
"""Columns of a program. Of a wrap ``LOW`` holds the bits, ``HIGH`` whether there is a sign;
``STEP`` is 1 where each accumulator has an operand of its own."""
HALF_EVEN, HALF_AWAY, HALF_UP, HALF_DOWN, FLOOR, TRUNC, CEIL, AWAY = range(8)
"""Roundings in the order of :class:`accelsim.numerics.Rounding`."""
PIECE = 2048
"""Accumulators that pass through all stages together, about: 16 KiB, half of a first-level cache."""
_MOST_PLACES = 62


# For each rounding what is added to the dropped bits before they are shifted out, as masks: half of the divisor, minus one, minus one
# below zero, one above an odd floor; and the divisor less one: always, below zero, from zero on. A comparison per element would keep the
# loop from running in vectors (40 million elements per second instead of some hundred).
_MASKS = np.array(
    [
        [-1, -1, 0, 1, 0, 0, 0],  # HALF_EVEN
        [-1, 0, -1, 0, 0, 0, 0],  # HALF_AWAY
        [-1, 0, 0, 0, 0, 0, 0],  # HALF_UP
        [-1, -1, 0, 0, 0, 0, 0],  # HALF_DOWN
        [0, 0, 0, 0, 0, 0, 0],  # FLOOR
        [0, 0, 0, 0, 0, -1, 0],  # TRUNC
        [0, 0, 0, 0, -1, 0, 0],  # CEIL
        [0, 0, 0, 0, 0, 0, -1],  # AWAY
    ],
    dtype=np.int64,
)
_HALF, _LESS, _BELOW, _ODD, _ONES, _ONES_BELOW, _ONES_ABOVE = range(7)


@njit(inline="always")
def _shifted(x: Int, places: Int, masks: Array) -> Int:
    """``x / 2**places`` by the rounding of ``masks``; 63 places are 62, which is the same below 2**61."""
    s = min(np.int64(places), np.int64(_MOST_PLACES))
    kept, negative = x >> s, x >> 63
    ones = (np.int64(1) << s) - 1
    shifts = (-s) >> 63  # all ones unless nothing is shifted
    small = (masks[_LESS] + (negative & masks[_BELOW]) + (kept & masks[_ODD])) & shifts
    large = ones & (masks[_ONES] | (negative & masks[_ONES_BELOW]) | (~negative & masks[_ONES_ABOVE]))
    return kept + (((x & ones) + (((ones + 1) >> 1) & masks[_HALF]) + small + large) >> s)


@njit
def _shift_right(x: Array, places: Array, step: Int, rounding: Int) -> None:
    masks = _MASKS[rounding]
    if step == 0:
        for i in range(len(x)):
            x[i] = _shifted(x[i], places[0], masks)
    else:
        for i in range(len(x)):
            x[i] = _shifted(x[i], places[i], masks)


@njit
def _add(x: Array, operand: Array, step: Int) -> None:
    if step == 0:
        x += operand[0]
    else:
        x += operand[: len(x)]


@njit
def _multiply(x: Array, operand: Array, step: Int) -> None:
    if step == 0:
        x *= operand[0]
    else:
        x *= operand[: len(x)]


@njit
def _shift_left(x: Array, operand: Array, step: Int) -> None:
    if step == 0:
        for i in range(len(x)):
            x[i] = x[i] << operand[0]
    else:
        for i in range(len(x)):
            x[i] = x[i] << operand[i]


@njit
def _wrap(x: Array, bits: Int, signed: Int) -> None:
    unused, kept = np.int64(64 - bits), (np.int64(1) << np.int64(bits)) - 1
    if signed:
        for i in range(len(x)):
            x[i] = (x[i] << unused) >> unused
    else:
        for i in range(len(x)):
            x[i] = x[i] & kept


@njit
def _apply(x: Array, stage: Array, operand: Array, step: Int, entries: Array) -> None:
    """One stage on a piece, in place; ``operand`` has one entry for all (``step`` 0) or one for each."""
    kind = stage[OPERATION]
    if kind == ADD:
        _add(x, operand, step)
    elif kind == MULTIPLY:
        _multiply(x, operand, step)
    elif kind == SHIFT:
        _shift_right(x, operand, step, stage[ROUNDING])
    elif kind == LEFT:
        _shift_left(x, operand, step)
    elif kind == WRAP:
        _wrap(x, stage[LOW], stage[HIGH])
    elif kind == LIMIT:
        low, high = stage[LOW], stage[HIGH]
        for i in range(len(x)):
            x[i] = max(min(x[i], high), low)
    else:
        for i in range(len(x)):
            x[i] = entries[x[i] + operand[i * step]]


@njit
def staged(acc: Array, program: Array, operands: Array, entries: Array, low: Int, high: Int, out: Array) -> None:
    """A list of stages over accumulators (n,), then the layer's clamp.

    ``operands`` (stages, piece) repeats every ``piece`` accumulators; of stages whose ``STEP`` is 0 the first is meant for all.
    """
    size = operands.shape[1]
    piece = np.empty(size, dtype=np.int64)
    for start in range(0, len(acc), size):
        x = piece[: min(size, len(acc) - start)]
        for i in range(len(x)):
            x[i] = acc[start + i]
        for k in range(len(program)):
            _apply(x, program[k], operands[k], program[k, STEP], entries)
        for i in range(len(x)):
            out[start + i] = max(min(x[i], high), low)
