"""LOGISTIC and TANH of one 8-bit code in gemmlowp's fixed point, as tflite-micro computes them.

Raw values are 32-bit integers; "Qa" has ``a`` integer bits, so that its unit is ``2**(31 - a)``. Source: gemmlowp
fixedpoint.h; tflite-micro reference/integer_ops/logistic.h and tanh.h.
"""

from __future__ import annotations

import math

from accelsim.numerics import INT32, mbqm_int, rdbpot_int, srdhm_int
from accelsim.quant import encode_multiplier

INPUT_INTEGER_BITS = 4
LARGEST_SHIFT = 30
"""More than this no int32 is shifted left by."""
ONE = INT32.max
"""1 in Q0, as near as it goes."""
EXP_MINUS_EIGHTH = round(math.exp(-1 / 8) * 2**31)
ONE_THIRD = round(2**31 / 3)
EXP_MINUS_POWERS = tuple(round(math.exp(-(2.0**k)) * 2**31) for k in range(-2, 5))
"""exp(-2**k) in Q0 for k = -2 .. 4."""
FORTY_EIGHT_SEVENTEENTHS = round(48 / 17 * 2**29)
MINUS_THIRTY_TWO_SEVENTEENTHS = round(-32 / 17 * 2**29)
THREE_HALVES = 3 << 27
"""1.5 in Q3."""
HALF_ROOT_OF_TWO = round(math.sqrt(0.5) * 2**31)
"""In Q2: the first guess of 1/d is 48/17 - 32/17 d."""


def logistic_code(code: int, *, s_in: float, z_in: int) -> int:
    """Code of 1/(1+exp(-x)) with scale 1/256 and zero point -128."""
    raw = _input_raw(code - z_in, s_in)
    if isinstance(raw, bool):
        return 127 if raw else -128
    positive = _one_over_one_plus(_exp_on_negative(-abs(raw), INPUT_INTEGER_BITS))
    value = 1 << 30 if raw == 0 else positive if raw > 0 else ONE - positive
    return min(max(rdbpot_int(value, 23) - 128, -128), 127)


def tanh_code(code: int, *, s_in: float, z_in: int) -> int:
    """Code of tanh(x) with scale 1/128 and zero point 0."""
    raw = _input_raw(code - z_in, s_in)
    if isinstance(raw, bool):
        return 127 if raw else -128
    # tanh(x) = (1 - e) / (1 + e), e = exp(-2x): the raw value of x in Q4 is that of 2x in Q5.
    size = _one_minus_over_one_plus(_exp_on_negative(-abs(raw), INPUT_INTEGER_BITS + 1))
    value = 0 if raw == 0 else size if raw > 0 else -size
    return min(max(rdbpot_int(value, 24), -128), 127)


def _input_raw(steps: int, s_in: float) -> int | bool:
    """``steps * s_in`` in Q4; True above and False below what Q4 holds."""
    real = s_in * 2.0 ** (31 - INPUT_INTEGER_BITS)
    if math.frexp(real)[1] > LARGEST_SHIFT:  # one step leaves Q4, and the kernel takes zero for a value below
        return steps > 0
    multiplier, shift = encode_multiplier(real)
    radius = math.floor(((1 << INPUT_INTEGER_BITS) - 1) * 2.0 ** (31 - INPUT_INTEGER_BITS - shift))
    if abs(steps) >= radius:
        return steps > 0
    return mbqm_int(steps, multiplier, shift)


def _saturating_shift(x: int, bits: int) -> int:
    return min(max(x << bits, INT32.min), INT32.max)


def _exp_near_eighth(a: int) -> int:
    """exp(a) for a in [-1/4, 0) in Q0: Taylor series of degree 4 about -1/8."""
    x = a + (1 << 28)
    x2 = srdhm_int(x, x)
    x3, x4 = srdhm_int(x2, x), srdhm_int(x2, x2)
    tail = srdhm_int(rdbpot_int(x4, 2) + x3, ONE_THIRD) + x2
    return EXP_MINUS_EIGHTH + srdhm_int(EXP_MINUS_EIGHTH, x + rdbpot_int(tail, 1))


def _exp_on_negative(a: int, integer_bits: int) -> int:
    """exp(a) in Q0 for a <= 0 in Q(integer_bits): a quarter by series, the rest by factors exp(-2**k)."""
    if a == 0:
        return ONE
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (a & (quarter - 1)) - quarter
    result = _exp_near_eighth(_saturating_shift(rest, integer_bits))
    for k, factor in enumerate(EXP_MINUS_POWERS, -2):
        if k < integer_bits and (rest - a) >> (fraction_bits + k) & 1:
            result = srdhm_int(result, factor)
    return result


def _reciprocal(a: int) -> int:
    """2/(1+a) in Q2 for a in [0, 1] in Q0: three Newton-Raphson steps."""
    half_denominator = (a + ONE + 1) // 2
    x = FORTY_EIGHT_SEVENTEENTHS + srdhm_int(half_denominator, MINUS_THIRTY_TWO_SEVENTEENTHS)
    for _ in range(3):
        rest = (1 << 29) - srdhm_int(half_denominator, x)
        x += _saturating_shift(srdhm_int(x, rest), 2)
    return x


def _one_over_one_plus(a: int) -> int:
    """1/(1+a) in Q0."""
    return _saturating_shift(_reciprocal(a), 1)


def _one_minus_over_one_plus(a: int) -> int:
    """(1-a)/(1+a) = 2/(1+a) - 1 in Q0."""
    return _saturating_shift(_reciprocal(a) - (1 << 29), 2)


def inverse_root(x: int) -> tuple[int, int]:
    """``1 / sqrt(x)`` of an integer above 0 as ``(m, e)``: m * 2**(e-31) (LiteRT common.h, GetInvSqrtQuantizedMultiplierExp).

    ``x`` is brought to [1/4, 1) * 4 in Q3 by pairs of bits; five Newton-Raphson steps ``r * (3 - x r^2) / 2``; times sqrt(1/2).
    """
    if x == 1:
        return INT32.max, 0
    shift = 11
    while x >= 1 << 29:
        x, shift = x // 4, shift + 1
    pairs = (31 - x.bit_length()) // 2 - 1
    shift, x = shift - pairs, x << 2 * pairs
    half, root = rdbpot_int(x >> 1, 1), 1 << 28
    for _ in range(5):
        cube = _from_q9(srdhm_int(srdhm_int(root, root), root))
        root = _from_q6(srdhm_int(THREE_HALVES, root) - srdhm_int(half, cube))
    root = srdhm_int(root, HALF_ROOT_OF_TWO)
    return (root << -shift, 0) if shift < 0 else (root, -shift)


def _from_q9(raw: int) -> int:
    """Q9 as Q3, saturated."""
    return _saturating_shift(raw, 6)


def _from_q6(raw: int) -> int:
    """Q6 as Q3, saturated."""
    return _saturating_shift(raw, 3)
