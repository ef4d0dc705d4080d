"""Pure-integer definitions of the requantization primitives; compiled kernels are right when they agree with these.

``m`` is a significand and ``e`` an exponent of TFLite's encoding ``M = m * 2**(e-31)``. IEEE arithmetic is done on
exact fractions, rounded to the format after each operation, so no twin depends on the host's floating-point unit.
"""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.intformat import INT8, INT32, IntFormat
from accelsim.numerics.overflow import Overflow, fit
from accelsim.numerics.rounding import Rounding, round_divide, round_shift

NVDLA_CVT = IntFormat(17)
"""What NVDLA's output converter saturates to before the output format (nvdla/hw cmod/hls/sdp/sdp_c.cpp)."""


def srdhm_int(a: int, b: int) -> int:
    """Saturating rounding doubling high multiply: ``(a*b + 2**30) >> 31`` of int32 values (gemmlowp fixedpoint.h)."""
    return min(round_shift(a * b, 31, Rounding.HALF_UP), INT32.max)


def rdbpot_int(x: int, exponent: int) -> int:
    """Rounding divide by power of two: ``x / 2**exponent``, ties away from zero (gemmlowp fixedpoint.h)."""
    return round_shift(x, exponent, Rounding.HALF_AWAY)


def _doubled(x: int, m: int, e: int) -> int:
    """The first of two roundings: ``srdhm(x << max(e, 0), m)``, where the shift wraps at 32 bits."""
    return srdhm_int(fit(x << max(e, 0), INT32, Overflow.WRAP), m)


def mbqm_int(x: int, m: int, e: int) -> int:
    """``x * M`` in two roundings, half up then half away (LiteRT internal/common.cc, MultiplyByQuantizedMultiplier)."""
    return rdbpot_int(_doubled(x, m, e), max(-e, 0))


def single_int(x: int, m: int, e: int) -> int:
    """``x * M`` rounded once, half up: ``(x*m + 2**(30-e)) >> (31-e)`` (LiteRT TFLITE_SINGLE_ROUNDING; TOSA SINGLE)."""
    return round_shift(x * m, 31 - e, Rounding.HALF_UP)


def half_up_twice_int(x: int, m: int, e: int) -> int:
    """``x * M`` in two roundings, both half up (VQRDMULH then VRSHL; ruy on x86)."""
    return round_shift(_doubled(x, m, e), max(-e, 0), Rounding.HALF_UP)


def reduced_multiplier16(m: int) -> int:
    """16-bit significand for 64-bit accumulators: ``(m + 2**15) >> 16``, at most 0x7FFF (LiteRT internal/common.cc)."""
    return round_shift(m, 16, Rounding.HALF_UP) if m < 0x7FFF0000 else 0x7FFF


def int16_int(x: int, m: int, e: int) -> int:
    """``x * m16 * 2**(e-15)`` in one rounding, half up (LiteRT internal/common.cc, int64_t overload)."""
    return round_shift(x * reduced_multiplier16(m), 15 - e, Rounding.HALF_UP)


def fixed_point_int(x: int, m: int, s: int, rounding: Rounding) -> int:
    """``x * m / 2**s`` of the exact product in one rounding; ``s`` is a plain right shift."""
    return round_shift(x * m, s, rounding)


def nvdla_cvt_int(x: int, m: int, s: int) -> int:
    """``x * m / 2**s``, half away from zero, saturated to 17 bits (nvdla/hw cmod/hls/sdp/sdp_c.cpp, output converter)."""
    return fit(fixed_point_int(x, m, s, Rounding.HALF_AWAY), NVDLA_CVT, Overflow.SATURATE)


def vta_code_int(x: int, s: int, zero_point: int, low: int, high: int) -> int:
    """Low 8 bits of ``(x >> s) + zero_point`` after a MAX and a MIN, each where the range asks for one (VTA vta.cc)."""
    value = round_shift(x, s, Rounding.FLOOR) + zero_point
    value = max(value, low) if low > INT8.min else value
    value = min(value, high) if high < INT8.max else value
    return fit(value, INT8, Overflow.WRAP)


def ieee_round(value: Fraction, *, precision: int, min_exponent: int) -> Fraction:
    """Nearest binary float, ties to even: ``precision`` significant bits, quantum at least ``2**min_exponent``.

    The exponent has no upper bound: what IEEE 754 calls infinity stays a number beyond every clamp.
    """
    if value == 0:
        return value
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    quantum = Fraction(2) ** max(exponent - precision + 1, min_exponent)
    steps = value / quantum
    return round_divide(steps.numerator, steps.denominator, Rounding.HALF_EVEN) * quantum


def float32(value: Fraction) -> Fraction:
    """Nearest IEEE 754 binary32."""
    return ieee_round(value, precision=24, min_exponent=-149)


def float64(value: Fraction) -> Fraction:
    """Nearest IEEE 754 binary64."""
    return ieee_round(value, precision=53, min_exponent=-1074)


def float32_half_even_int(x: int, scale: Fraction) -> int:
    """``rint(float32(x) * scale)``, each operation in binary32 (XNNPACK requantization.h; ORT MLAS quantize.cpp)."""
    scaled = float32(float32(Fraction(x)) * scale)
    return round_divide(scaled.numerator, scaled.denominator, Rounding.HALF_EVEN)


def xnnpack_mean_int(x: int, scale: Fraction, raw: int, zero_point: int) -> int:
    """``rint(float32(x + raw) * scale + (zero_point - float32(raw) * scale))``, each operation in binary32: ties to the even *code*.

    What LiteRT makes of MEAN and SUM for XNNPACK: sums of raw codes, of which ``raw`` is the zero points' part, then a rescaling
    whose offset is a real number (measured).
    """
    offset = float32(Fraction(zero_point) - float32(float32(Fraction(raw)) * scale))
    shifted = float32(float32(float32(Fraction(x + raw)) * scale) + offset)
    return round_divide(shifted.numerator, shifted.denominator, Rounding.HALF_EVEN)


def float64_half_away_int(x: int, s_in: Fraction, s_w: Fraction, s_out: Fraction) -> int:
    """``round(double(x) * s_in * s_w / s_out)`` from left to right in binary64 (LiteRT reference fully_connected.h)."""
    product = float64(float64(float64(Fraction(x)) * s_in) * s_w)
    scaled = float64(product / s_out)
    return round_divide(scaled.numerator, scaled.denominator, Rounding.HALF_AWAY)


def onnx_reference_int(x: int, scale: Fraction, zero_point: int) -> int:
    """``rint(double(x) * scale + zero_point)`` in binary64: a tie goes to the even *code* (onnx op_qlinear_conv.py)."""
    shifted = float64(float64(float64(Fraction(x)) * scale) + zero_point)
    return round_divide(shifted.numerator, shifted.denominator, Rounding.HALF_EVEN)
