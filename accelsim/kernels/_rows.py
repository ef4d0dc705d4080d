"""Numba loops of layers that work row by row: ``x`` and ``out`` are (rows, elements)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from accelsim.numba_cache import njit

RECIPROCAL_BITS = 61
"""The reciprocal of a root in [2^30, 2^31) is 2^61 // root: 31 bits."""
LANES, SUM_LANES, TAIL = 8, 4, 4
"""Lanes of a float32 and of a float64 vector of 256 bits, and of what the compiler makes of the elements left over."""


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


@njit
def fused(a: Any, b: Any, c: Any) -> Any:
    """``a * b + c`` of float32 numbers, rounded once.

    The product is exact in float64. Where the sum is not, its last bit is set to odd towards what was lost, so that the second
    rounding cannot fall on a tie that is none (Boldo and Melquiond, "Emulation of a FMA", 2008).
    """
    product, addend = np.float64(a) * np.float64(b), np.float64(c)
    total = product + addend
    back = total - product
    lost = (product - (total - back)) + (addend - back)
    if lost != 0.0 and not _is_odd(total):
        total = np.nextafter(total, np.inf if lost > 0.0 else -np.inf)
    return np.float32(total)


@njit
def _is_odd(x: Any) -> bool:
    """Whether the last of the 53 bits of the significand is set; ``x`` is a normal number."""
    fraction, _ = math.frexp(x)
    return bool(np.int64(fraction * 2.0**53) % 2 != 0)


@njit
def _mean_and_variance(x: Any) -> tuple[Any, Any]:
    """Of a row of at least LANES: a float64 sum in 4 lanes, fused squares in 8, the lanes added by halves."""
    n = len(x)
    sums, squares = np.zeros(SUM_LANES, np.float64), np.zeros(LANES, np.float32)
    whole = n - n % SUM_LANES
    for i in range(whole):
        sums[i % SUM_LANES] += np.float64(x[i])
    total = (sums[0] + sums[2]) + (sums[1] + sums[3])
    for i in range(whole, n):
        total += np.float64(x[i])
    mean = np.float32(total / np.float64(n))
    whole = n - n % LANES
    for i in range(whole):
        difference = x[i] - mean
        squares[i % LANES] = fused(difference, difference, squares[i % LANES])
    for half in (4, 2, 1):
        for i in range(half):
            squares[i] += squares[i + half]
    variance = squares[0]
    unfused = whole + (n - whole) // TAIL * TAIL
    for i in range(whole, n):
        difference = x[i] - mean
        if i < unfused:
            variance += np.float32(difference * difference)
        else:
            variance = fused(difference, difference, variance)
    return mean, np.float32(variance / np.float32(n))


@njit
def _running_mean_and_variance(x: Any) -> tuple[Any, Any]:
    """Of a row of fewer (Welford, Technometrics 4(3), 1962)."""
    mean, squares = np.float32(0), np.float32(0)
    for i in range(len(x)):
        difference = x[i] - mean
        mean += np.float32(difference / np.float32(i + 1))
        squares += np.float32(difference * np.float32(x[i] - mean))
    return mean, np.float32(squares / np.float32(len(x)))


@njit
def float_layer_norm(x: Any, gamma: Any, beta: Any, scales: Any, codes: Any, out: Any) -> None:
    """``scales`` = (input, output, epsilon), ``codes`` = (zero points of both, least, most), ``beta`` empty for none; see
    :class:`accelsim.graph.FloatLayerNorm`."""
    s_in, s_out, epsilon = scales
    z_in, z_out, low, high = codes
    n = x.shape[1]
    row = np.empty(n, np.float32)
    least, most = np.float32(low - z_out), np.float32(high - z_out)
    for r in range(x.shape[0]):
        for i in range(n):
            row[i] = s_in * np.float32(x[r, i] - z_in)
        mean, variance = _mean_and_variance(row) if n >= LANES else _running_mean_and_variance(row)
        root = np.sqrt(np.float32(variance + epsilon))
        reciprocal = np.float32(np.float32(1) / root)
        for i in range(n):
            difference = row[i] - mean
            if n < LANES:
                y = np.float32(np.float32(difference / root) * gamma[i])
                y = y + beta[i] if len(beta) else y
            else:
                y = np.float32(difference * reciprocal)
                y = fused(y, gamma[i], beta[i]) if len(beta) else np.float32(y * gamma[i])
            code = np.rint(min(max(np.float32(y / s_out), least), most))
            out[r, i] = np.int64(code) + z_out
