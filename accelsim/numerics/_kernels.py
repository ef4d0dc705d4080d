"""Compiled twins: scalar primitives for other kernels, and one single-pass loop per requantization scheme.

Importing this module imports numba. Block kernels take ``(acc (rows, channels), multiplier, shift, zero_point, low,
high, out (rows, channels))``; parameters of length 1 serve every channel; strided views are accepted.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from accelsim.numba_cache import njit

_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1
_INT17_MAX = 2**16 - 1
_MAGIC = 6755399441055744.0
"""1.5 * 2**52: adding it to a double leaves no fraction bits, so the FPU rounds half to even."""
_MAGIC32 = 12582912.0
"""1.5 * 2**23, the same for a float32 of at most ``_MAGIC32_REACH``."""
_MAGIC32_REACH = 2**22

Array: TypeAlias = Any
"""A numpy array as numba sees it; its element type is part of the specialisation, not of the signature."""
Int: TypeAlias = Any
"""An integer as numba sees it: Python's, or a numpy scalar; arithmetic on it is in int64."""


@njit(inline="always")
def wrap32(value: Int) -> Int:
    """The low 32 bits of ``value`` as a signed number, in int64."""
    return np.int64(np.int32(value))


@njit(inline="always")
def saturating_rounding_doubling_high_mul(a: Int, b: Int) -> Int:
    """``(a*b + 2**30) >> 31`` of int32 values in int64; saturates for INT32_MIN squared (gemmlowp fixedpoint.h)."""
    # The square of INT32_MIN is the only product that reaches 2**31; a minimum instead of a branch keeps loops vector.
    return min((np.int64(a) * np.int64(b) + (np.int64(1) << 30)) >> 31, np.int64(_INT32_MAX))


@njit(inline="always")
def rounding_divide_by_pot(x: Int, exponent: Int) -> Int:
    """``x / 2**exponent``, ties away from zero, exponent 0 to 31 (gemmlowp fixedpoint.h)."""
    half = (np.int64(1) << np.int64(exponent)) >> 1
    away = np.int64(x < 0) & np.int64(exponent > 0)
    return (np.int64(x) + half - away) >> np.int64(exponent)


@njit(inline="always")
def multiply_by_quantized_multiplier(x: Int, m: Int, e: Int) -> Int:
    """``x * m * 2**(e-31)`` rounded twice, with an int32 wrap of the left shift (LiteRT internal/common.cc)."""
    left = np.int64(max(e, 0))
    high = saturating_rounding_doubling_high_mul(wrap32(np.int64(x) << left), m)
    return rounding_divide_by_pot(high, max(-e, 0))


@njit
def multiply_single(x: Int, m: Int, e: Int) -> Int:
    """``x * m * 2**(e-31)`` rounded once, half up (TFLITE_SINGLE_ROUNDING, TOSA apply_scale_32)."""
    return (np.int64(x) * np.int64(m) + (np.int64(1) << np.int64(30 - e))) >> np.int64(31 - e)


@njit
def multiply_half_up_twice(x: Int, m: Int, e: Int) -> Int:
    """``x * m * 2**(e-31)`` rounded twice, half up both times (VQRDMULH then VRSHL)."""
    left = np.int64(max(e, 0))
    right = np.int64(max(-e, 0))
    high = saturating_rounding_doubling_high_mul(wrap32(np.int64(x) << left), m)
    return (high + ((np.int64(1) << right) >> 1)) >> right


@njit
def reduce_multiplier16(m: Int) -> Int:
    """The 16-bit significand of a 32-bit one (LiteRT internal/common.cc, 64-bit accumulators)."""
    return (np.int64(m) + (1 << 15)) >> 16 if m < 0x7FFF0000 else np.int64(0x7FFF)


@njit
def multiply_int16(x: Int, m: Int, e: Int) -> Int:
    """``x * m16 * 2**(e-15)`` rounded once, half up; x below 2**47."""
    return (np.int64(x) * reduce_multiplier16(m) + (np.int64(1) << np.int64(14 - e))) >> np.int64(15 - e)


@njit
def _shift_left(x: Int, places: Int) -> Int:
    """``x * 2**places``, saturated to int64."""
    limit = np.int64(_INT64_MAX) >> np.int64(places)
    return max(min(np.int64(x), limit), -limit - 1) << np.int64(places)


@njit
def shift_half_up(x: Int, shift: Int) -> Int:
    """``x / 2**shift``, ties up; a negative shift multiplies."""
    right = np.int64(max(shift, 0))
    value = _shift_left(x, max(-shift, 0))
    kept = value >> right
    return kept + (((value - (kept << right)) << 1) >> right)


@njit
def shift_half_away(x: Int, shift: Int) -> Int:
    """``x / 2**shift``, ties away from zero; a negative shift multiplies."""
    right = np.int64(max(shift, 0))
    value = _shift_left(x, max(-shift, 0))
    kept = value >> right
    # One less than half of the divisor below zero: there a tie stays at the floor.
    below = np.int64(value < 0) & np.int64(right > 0)
    return kept + ((value - (kept << right) + ((np.int64(1) << right) >> 1) - below) >> right)


@njit
def shift_half_even(x: Int, shift: Int) -> Int:
    """``x / 2**shift``, ties to even; a negative shift multiplies."""
    right = np.int64(max(shift, 0))
    value = _shift_left(x, max(-shift, 0))
    kept = value >> right
    # One less than half of the divisor, plus one when the kept part is odd: only then does a tie carry.
    carry = (value - (kept << right) + ((np.int64(1) << right) >> 1) - 1 + (kept & 1)) >> right
    return kept + carry * min(right, 1)


@njit
def shift_floor(x: Int, shift: Int) -> Int:
    """``x / 2**shift``, low bits dropped; a negative shift multiplies."""
    return _shift_left(x, max(-shift, 0)) >> np.int64(max(shift, 0))


@njit
def fixed_half_up(x: Int, m: Int, s: Int) -> Int:
    """``x * m / 2**s``, ties up; s from 0 to 62."""
    return (np.int64(x) * np.int64(m) + ((np.int64(1) << np.int64(s)) >> 1)) >> np.int64(s)


@njit
def nvdla_cvt(x: Int, m: Int, s: Int) -> Int:
    """``x * m / 2**s``, ties away from zero, saturated to 17 bits; products below 2**61, s from 0 to 63."""
    shift = np.int64(min(s, 62))  # a product below 2**61 gives 0 for either shift
    product = np.int64(x) * np.int64(m)
    away = np.int64(product < 0) & np.int64(shift > 0)
    return max(min((product + ((np.int64(1) << shift) >> 1) - away) >> shift, _INT17_MAX), -_INT17_MAX - 1)


@njit
def fixed_truncate(x: Int, m: Int, s: Int) -> Int:
    """``x * m / 2**s`` toward zero; s from 0 to 62."""
    product = np.int64(x) * np.int64(m)
    return (product + np.int64(product < 0) * ((np.int64(1) << np.int64(s)) - 1)) >> np.int64(s)


@njit
def vta_code(x: Int, s: Int, zp: Int, low: Int, high: Int) -> Int:
    """Low 8 bits of ``(x >> s) + zp`` after MAX where ``low`` is above -128 and MIN where ``high`` is below 127."""
    value = (np.int64(x) >> np.int64(s)) + zp
    if low > -128:
        value = max(value, np.int64(low))
    if high < 127:
        value = min(value, np.int64(high))
    return ((value + 128) & 255) - 128


@njit(inline="always")
def _put(value: Int, zero_point: Int, low: Int, high: Int) -> Int:
    """``clamp(value + zero_point, low, high)``, in the order that cannot overflow."""
    return max(min(value, high - zero_point), low - zero_point) + zero_point


# One loop per scheme, written out: a loop made by a closure over the scalar rule gave the same bits at the same speed, but
# numba cannot cache a closure on disk, so that every process compiled it again (3.5 s instead of 0.02 s).
@njit
def tflite_double_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``tflite_double`` over a block."""
    step = 0 if mult.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            value = multiply_by_quantized_multiplier(acc[r, c], mult[c * step], shift[c * step])
            out[r, c] = _put(value, zp, low, high)


@njit
def single_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``single`` over a block."""
    step = 0 if mult.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(multiply_single(acc[r, c], mult[c * step], shift[c * step]), zp, low, high)


@njit
def half_up_twice_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``half_up_twice`` over a block."""
    step = 0 if mult.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(multiply_half_up_twice(acc[r, c], mult[c * step], shift[c * step]), zp, low, high)


@njit
def tflite_int16_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``tflite_int16`` over a block."""
    step = 0 if mult.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(multiply_int16(acc[r, c], mult[c * step], shift[c * step]), zp, low, high)


@njit
def _float32_narrow(acc: Array, mult: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """The rule where every code is at most 2**22 away from the zero point: all of it in 32 bits, twice as many lanes."""
    least, most, zero = np.float32(low - zp), np.float32(high - zp), np.int32(zp)
    magic = np.float32(_MAGIC32)
    if mult.size == 1:
        factor = mult[0]
        for r in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                bounded = max(min(np.float32(acc[r, c]) * factor, most), least)
                out[r, c] = np.int32(np.int32((bounded + magic) - magic) + zero)
        return
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            bounded = max(min(np.float32(acc[r, c]) * mult[c], most), least)
            out[r, c] = np.int32(np.int32((bounded + magic) - magic) + zero)


@njit
def float32_half_even_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``float32_half_even`` over a block; ``shift`` is unused."""
    if low - zp >= -_MAGIC32_REACH and high - zp <= _MAGIC32_REACH:
        _float32_narrow(acc, mult, zp, low, high, out)
        return
    step = 0 if mult.size == 1 else 1
    least, most = np.float64(low - zp), np.float64(high - zp)
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            scaled = np.float64(np.float32(acc[r, c]) * mult[c * step])
            out[r, c] = np.int64((max(min(scaled, most), least) + _MAGIC) - _MAGIC) + zp


@njit
def float64_half_away_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``float64_half_away`` over a block; ``mult`` holds the columns s_in, s_w, s_out; ``shift`` is unused."""
    step = 0 if mult.shape[0] == 1 else 1
    least, most = np.float64(low - zp), np.float64(high - zp)
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            i = c * step
            scaled = np.float64(acc[r, c]) * mult[i, 0] * mult[i, 1] / mult[i, 2]
            near = max(min(scaled, most), least)
            whole = np.int64(near)
            rest = near - whole
            out[r, c] = whole + np.int64(rest >= 0.5) - np.int64(rest <= -0.5) + zp


@njit
def shift_half_up_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``shift_half_up`` over a block; ``mult`` is unused."""
    step = 0 if shift.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(shift_half_up(acc[r, c], shift[c * step]), zp, low, high)


@njit
def shift_half_away_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``shift_half_away`` over a block; ``mult`` is unused."""
    step = 0 if shift.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(shift_half_away(acc[r, c], shift[c * step]), zp, low, high)


@njit
def shift_half_even_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``shift_half_even`` over a block; ``mult`` is unused."""
    step = 0 if shift.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(shift_half_even(acc[r, c], shift[c * step]), zp, low, high)


@njit
def shift_floor_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``shift_floor`` over a block; ``mult`` is unused."""
    step = 0 if shift.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(shift_floor(acc[r, c], shift[c * step]), zp, low, high)


@njit
def fixed_half_up_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``xnnpack_rndnu`` and ``single_N`` over a block."""
    step = 0 if shift.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(fixed_half_up(acc[r, c], mult[c * step], shift[c * step]), zp, low, high)


@njit
def nvdla_cvt_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``nvdla_cvt`` over a block."""
    step = 0 if shift.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(nvdla_cvt(acc[r, c], mult[c * step], shift[c * step]), zp, low, high)


@njit
def ethosu_truncate_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``ethosu_truncate`` over a block."""
    step = 0 if shift.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = _put(fixed_truncate(acc[r, c], mult[c * step], shift[c * step]), zp, low, high)


@njit
def vta_shift_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``vta_shift`` over a block; ``mult`` is unused."""
    step = 0 if shift.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            out[r, c] = vta_code(acc[r, c], shift[c * step], zp, low, high)


@njit
def onnx_reference_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``onnx_reference`` over a block; ``shift`` is unused."""
    step = 0 if mult.size == 1 else 1
    least, most, zero = np.float64(low), np.float64(high), np.float64(zp)
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            shifted = np.float64(acc[r, c]) * mult[c * step] + zero
            out[r, c] = np.int64((max(min(shifted, most), least) + _MAGIC) - _MAGIC)


@njit
def xnnpack_mean_rows(acc: Array, mult: Array, shift: Array, zp: Int, low: Int, high: Int, out: Array) -> None:
    """``xnnpack_mean`` over a block; ``mult`` holds the columns factor and raw; ``shift`` is unused."""
    step = 0 if mult.shape[0] == 1 else 1
    least, most = np.float64(low), np.float64(high)
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            factor, raw = mult[c * step, 0], mult[c * step, 1]
            offset = np.float32(zp) - raw * factor
            shifted = np.float64(np.float32(acc[r, c] + np.int64(raw)) * factor + offset)
            out[r, c] = np.int64((max(min(shifted, most), least) + _MAGIC) - _MAGIC)


@njit
def threshold_rows(acc: Array, levels: Array, start: Array, step: Array, out: Array) -> None:
    """Multi-thresholds over a block: the number of levels not above each sum, found by bisection."""
    own = 0 if start.size == 1 else 1
    for r in range(acc.shape[0]):
        for c in range(acc.shape[1]):
            row, value = levels[c * own], np.int64(acc[r, c])
            below, above = 0, row.size
            while below < above:
                middle = (below + above) >> 1
                if row[middle] <= value and row[middle] != _INT64_MAX:
                    below = middle + 1
                else:
                    above = middle
            out[r, c] = start[c * own] + step[c * own] * below
