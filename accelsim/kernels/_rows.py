"""Numba loops of layers that work row by row: ``x`` and ``out`` are (rows, elements)."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import njit

RECIPROCAL_BITS = 61
"""The reciprocal of a root in [2^30, 2^31) is 2^61 // root: 31 bits."""


@njit
def float_table_softmax(x: Any, table: Any, factor: Any, zero_point: int, low: int, high: int, out: Any) -> None:
    """Sums rounded to float32 one by one, products and quotients not; see :class:`accelsim.graph.FloatTableSoftmax`."""
    last = len(table) - 1
    for i in range(x.shape[0]):
        most = x[i].max()
        total = np.float32(0)
        for j in range(x.shape[1]):
            total += table[last - (most - x[i, j])]
        for j in range(x.shape[1]):
            share = np.float64(table[last - (most - x[i, j])]) * factor / np.float64(total)
            out[i, j] = min(max(np.int64(np.rint(share)) + zero_point, low), high)


@njit
def integer_root(value: int) -> int:
    """Largest integer whose square is at most ``value`` (1 to 2^62 - 1), by Newton's iteration from above (arXiv 2101.01321)."""
    guess = 2**31
    while True:
        better = (guess + value // guess) >> 1
        if better >= guess:
            return guess
        guess = better


@njit
def layer_norm(x: Any, multiplier: Any, bias: Any, numbers: Any, out: Any) -> None:
    """``numbers`` = (epsilon, variance shift, normalized bits, output shift, least, most); see :class:`accelsim.graph.LayerNorm`."""
    epsilon, variance_shift, bits, output_shift, low, high = numbers
    n = x.shape[1]
    half = (np.int64(1) << output_shift) >> 1
    for i in range(x.shape[0]):
        total, squares = np.int64(0), np.int64(0)
        for j in range(n):
            value = np.int64(x[i, j])
            total += value
            squares += value * value
        # n^2 times the variance, and n times each difference below: exact, without a rounded mean.
        spread = n * squares - total * total
        reciprocal, shift = np.int64(0), np.int64(1)
        if spread > 0:
            scaled, doublings = (spread << variance_shift) + epsilon, variance_shift >> 1
            # By fours, whose root doubles, until the root has its 31 bits.
            while scaled < (np.int64(1) << 60):
                scaled, doublings = scaled << 2, doublings + 1
            reciprocal = (np.int64(1) << RECIPROCAL_BITS) // integer_root(scaled)
            shift = RECIPROCAL_BITS - bits - doublings
        for j in range(n):
            difference = n * np.int64(x[i, j]) - total
            normalized = (difference * reciprocal + (np.int64(1) << (shift - 1))) >> shift
            code = (normalized * multiplier[j] + bias[j] + half) >> output_shift
            out[i, j] = min(max(code, low), high)
