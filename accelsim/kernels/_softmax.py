"""Numba loops of softmax in fixed point: gemmlowp's (8 bits; LiteRT reference/softmax.h, gemmlowp fixedpoint.h) and the 16-bit tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import inner, njit
from accelsim.numerics.compiled import (
    multiply_by_quantized_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)

EXP_MINUS_EIGHTH = 1895147668
"""exp(-1/8) in Q0.31."""
ONE_THIRD = 715827883
"""1/3 in Q0.31."""
SUM_BITS = 12
"""Integer bits of the sum of exponentials, Q12.19, which stays below 4096 (LiteRT: kAccumulationIntegerBits)."""
BARREL = np.array([1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242], dtype=np.int64)
"""exp(-2^k) in Q0.31, k = -2..4."""
FORTY_EIGHT_SEVENTEENTHS = 1515870810
"""48/17 in Q2.29."""
MINUS_THIRTY_TWO_SEVENTEENTHS = -1010580540
"""-32/17 in Q2.29."""


@njit(inline="always")
def _product(a: Any, b: Any) -> Any:
    return saturating_rounding_doubling_high_mul(a, b)


@njit(inline="always")
def _shift_left(x: Any, bits: Any) -> Any:
    """``x << bits``, saturated to 32 bits."""
    return min(max(x << bits, INT32_MIN), INT32_MAX)


@njit(inline="always")
def _exp_near_eighth(a: Any) -> Any:
    """exp(a) for a in [-1/4, 0), Q0.31: fourth-order Taylor series about -1/8."""
    x = a + (1 << 28)
    x2 = _product(x, x)
    x3 = _product(x2, x)
    x4 = _product(x2, x2)
    inner = _product(rounding_divide_by_pot(x4, 2) + x3, ONE_THIRD) + x2
    return EXP_MINUS_EIGHTH + _product(EXP_MINUS_EIGHTH, x + rounding_divide_by_pot(inner, 1))


@inner
def _exp_on_negative(a: Any) -> Any:
    """exp(a) in Q0.31 for a <= 0 in Q5.26."""
    if a == 0:
        return INT32_MAX
    quarter = 1 << 24
    rest = (a & (quarter - 1)) - quarter
    result = _exp_near_eighth(_shift_left(rest, 5))
    remainder = rest - a
    for k in range(7):
        if remainder & (1 << (24 + k)):
            result = _product(result, BARREL[k])
    return result


@njit(inline="always")
def _half_sum(a: Any, b: Any) -> Any:
    total = a + b
    return (total + 1) // 2 if total >= 0 else -((1 - total) // 2)


@inner
def _one_over_one_plus(a: Any) -> Any:
    """1/(1+a) in Q0.31 for a in [0, 1): three Newton-Raphson steps from 48/17 - 32/17 d."""
    half_denominator = _half_sum(a, INT32_MAX)
    x = FORTY_EIGHT_SEVENTEENTHS + _product(half_denominator, MINUS_THIRTY_TWO_SEVENTEENTHS)
    for _ in range(3):
        rest = (1 << 29) - _product(half_denominator, x)
        x = x + _shift_left(_product(x, rest), 2)
    return _shift_left(x, 1)


@njit(inline="always")
def _leading_zeros(x: Any) -> Any:
    """Leading zeros of a positive 32-bit number."""
    count = 0
    while x < (1 << (31 - count)):
        count += 1
    return count


@njit
def gemmlowp(x: Any, multiplier: Any, left_shift: Any, diff_min: Any, bits: Any, low: Any, high: Any, out: Any) -> None:
    """Softmax of each row of ``x`` (rows, classes), codes of ``bits`` with scale 2^-bits and zero point ``low``."""
    rows, classes = x.shape
    for r in range(rows):
        top, total = np.int64(x[r, 0]), np.int64(0)
        for c in range(1, classes):
            top = max(top, np.int64(x[r, c]))
        for c in range(classes):
            difference = np.int64(x[r, c]) - top
            if difference >= diff_min:
                power = _exp_on_negative(_product(difference << left_shift, multiplier))
                total += rounding_divide_by_pot(power, SUM_BITS)
        # The sum shifted to [1, 2), less 1, has a reciprocal by Newton's method; the shift comes back with the code's scale.
        zeros = _leading_zeros(total)
        scale = _one_over_one_plus((total << zeros) - (1 << 31))
        for c in range(classes):
            difference = np.int64(x[r, c]) - top
            if difference < diff_min:
                out[r, c] = low
                continue
            value = _product(scale, _exp_on_negative(_product(difference << left_shift, multiplier)))
            code = rounding_divide_by_pot(value, SUM_BITS - zeros + 31 - bits) + low
            out[r, c] = min(max(code, low), high)


@inner
def _lookup(value: Any, table: Any) -> Any:
    """Linear interpolation in a table of 513 entries over the 16-bit range."""
    index = 256 + (value >> 7)
    slope = np.int64(table[index + 1]) - np.int64(table[index])
    return np.int64(table[index]) + ((slope * (value & 0x7F) + 64) >> 7)


@njit
def int16_lut(x: Any, multiplier: Any, left_shift: Any, exp_table: Any, reciprocal_table: Any, out: Any) -> None:
    """Softmax of each row of 16-bit codes; output in Q0.15 (LiteRT reference/softmax.h, SoftmaxInt16)."""
    rows, classes = x.shape
    for r in range(rows):
        top = np.int64(x[r].max())
        total = np.int64(0)
        for c in range(classes):
            scaled = multiply_by_quantized_multiplier(np.int64(x[r, c]) - top, multiplier, left_shift)
            out[r, c] = _lookup(min(max(scaled + 32767, -32768), 32767), exp_table)
            total += out[r, c]  # the exponentials wait in the output, which saves a second look-up
        zeros = _leading_zeros(total)
        shifted = ((total << (zeros - 1)) + (1 << 13)) >> 14
        centred = shifted - ((1 << 15) + (1 << 16))
        reciprocal = _lookup(min(max(centred, -32768), 32767), reciprocal_table)
        right = 31 - zeros
        for c in range(classes):
            code = (np.int64(out[r, c]) * reciprocal + (1 << (right - 1))) >> right
            out[r, c] = min(max(code, 0), 32767)
