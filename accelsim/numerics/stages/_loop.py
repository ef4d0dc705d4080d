"""The compiled loop over stages: each is applied to a piece of a row, so that a list costs no branch per element."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from accelsim.numba_cache import njit

Array: TypeAlias = Any
Int: TypeAlias = Any

ADD, MULTIPLY, SHIFT, LEFT, WRAP, LIMIT, TABLE = range(7)
"""Operations, in column ``OPERATION`` of a program; offsets are additions of the negative, saturation and clipping are limits."""
OPERATION, ROUNDING, LOW, HIGH = range(4)
"""Columns of a program. Of a wrap ``LOW`` holds the bits, ``HIGH`` whether there is a sign."""
HALF_EVEN, HALF_AWAY, HALF_UP, HALF_DOWN, FLOOR, TRUNC, CEIL, AWAY = range(8)
"""Roundings in the order of :class:`accelsim.numerics.Rounding`."""
PIECE = 2048
"""Elements of a row that pass through all stages together: 16 KiB, half of a first-level cache."""
_MOST_PLACES = 62


@njit(inline="always")
def _up(rounding: Int, kept: Int, rest: Int, half: Int, x: Int) -> Any:
    """Whether the floor ``kept`` is one too low, ``rest`` being what the shift dropped; ``half`` is 0 for a shift of 0."""
    tie, more = rest == half and half > 0, rest > half
    if rounding == HALF_UP:
        return tie or more
    if rounding == HALF_AWAY:
        return more or (tie and x > 0)
    if rounding == HALF_EVEN:
        return more or (tie and (kept & 1) == 1)
    if rounding == HALF_DOWN:
        return more
    if rounding == CEIL:
        return rest > 0
    if rounding == TRUNC:
        return rest > 0 and x < 0
    if rounding == AWAY:
        return rest > 0 and x > 0
    return False


@njit
def _shift_right(x: Array, places: Array, step: Int, rounding: Int) -> None:
    for i in range(len(x)):
        s = np.int64(min(places[i * step], _MOST_PLACES))
        kept = x[i] >> s
        rest, half = x[i] - (kept << s), (np.int64(1) << s) >> 1
        x[i] = kept + np.int64(_up(rounding, kept, rest, half, x[i]))


@njit
def _wrap(x: Array, bits: Int, signed: Int) -> None:
    unused = np.int64(64 - bits)
    for i in range(len(x)):
        if signed:
            x[i] = (x[i] << unused) >> unused
        else:
            x[i] = x[i] & ((np.int64(1) << bits) - 1)


@njit
def _apply(x: Array, stage: Array, operand: Array, step: Int, entries: Array) -> None:
    """One stage on a piece, in place; ``operand`` has one entry for all (``step`` 0) or one for each."""
    kind = stage[OPERATION]
    if kind == ADD:
        for i in range(len(x)):
            x[i] += operand[i * step]
    elif kind == MULTIPLY:
        for i in range(len(x)):
            x[i] *= operand[i * step]
    elif kind == SHIFT:
        _shift_right(x, operand, step, stage[ROUNDING])
    elif kind == LEFT:
        for i in range(len(x)):
            x[i] = x[i] << operand[i * step]
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
def staged_rows(acc: Array, program: Array, operands: Array, entries: Array, low: Int, high: Int, out: Array) -> None:
    """A list of stages over a block (rows, channels), then the layer's clamp; ``operands`` is (stages, channels) or (stages, 1)."""
    step = 0 if operands.shape[1] == 1 else 1
    piece = np.empty(PIECE, dtype=np.int64)
    for r in range(acc.shape[0]):
        for start in range(0, acc.shape[1], PIECE):
            stop = min(start + PIECE, acc.shape[1])
            x = piece[: stop - start]
            x[:] = acc[r, start:stop]
            for k in range(program.shape[0]):
                _apply(x, program[k], operands[k, start * step :], step, entries)
            for i in range(len(x)):
                out[r, start + i] = max(min(x[i], high), low)
