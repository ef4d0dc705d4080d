"""Every compiled scheme against its pure-integer twin, at the edges and at random."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import AccumulatorOverflowError
from accelsim.numerics import (
    INT32,
    SCHEMES,
    Family,
    IntFormat,
    Requant,
    mbqm_int,
    multiply,
    multiply_by_quantized_multiplier,
    rdbpot_int,
    reduced_multiplier16,
    requantize,
    requantize_int,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    srdhm_int,
)

INT32_MIN, INT32_MAX = INT32.min, INT32.max
SIGNIFICANDS = [2**30, 2**30 + 1, 0x5A5A5A5A, 0x7FFEFFFF, 0x7FFF0000, 2**31 - 1, 0, 1]
NEGATIVE_SIGNIFICANDS = [-(2**30), -(2**31) + 1, -(2**31)]
INTEGER = [name for name, scheme in SCHEMES.items() if scheme.family is Family.INTEGER]
SHIFTS = [name for name, scheme in SCHEMES.items() if scheme.family is Family.POWER_OF_TWO and not scheme.is_whole]
WIDE_CLAMP = (INT32_MIN, INT32_MAX)


def edges(bits: int) -> list[int]:
    """Ends of the range, 0, and every power of two with its neighbours, both signs."""
    powers = {v for k in range(bits - 1) for v in ((1 << k) - 1, 1 << k, (1 << k) + 1, 3 << max(k - 1, 0))}
    fmt = IntFormat(bits)
    return sorted(v for p in powers | {-fmt.min, fmt.max} for v in (p, -p) if fmt.contains(v))


def codes(accs: list[int], requant: Requant) -> list[int]:
    wide = requant.rule.wide > 32
    return requantize(np.array(accs, np.int64 if wide else np.int32).reshape(-1, 1), requant).ravel().tolist()


def exponents(name: str) -> range:
    low, high = SCHEMES[name].exponents
    return range(low, high + 1)


@pytest.mark.parametrize("name", INTEGER)
@pytest.mark.parametrize("clamp", [(-128, 127), WIDE_CLAMP], ids=["int8", "int32"])
def test_integer_schemes_equal_their_twins_at_every_edge(name, clamp):
    accs = edges(SCHEMES[name].wide)[:: 1 if name == "tflite_double" else 2]
    for e in exponents(name):
        for m in SIGNIFICANDS:
            requant = Requant(name, [m], [e], -3, *clamp)
            assert codes(accs, requant) == [requantize_int(a, requant) for a in accs], (m, e)


@pytest.mark.parametrize("name", INTEGER)
def test_negative_significands_and_unclamped_products_equal_the_twins(name):
    rule = SCHEMES[name]
    accs = edges(rule.wide)[::3]
    for e in exponents(name):
        for m in NEGATIVE_SIGNIFICANDS + SIGNIFICANDS[:3]:
            unclamped = Requant(name, [m], [e], 0, *WIDE_CLAMP)
            expected = [rule.twin(a, unclamped, 0) for a in accs]
            assert multiply(np.array(accs, np.int64), m, e, name).tolist() == expected, (m, e)


@pytest.mark.parametrize("name", SHIFTS)
def test_shift_schemes_equal_their_twins_at_every_edge(name):
    accs = edges(64)
    for shift in exponents(name):
        requant = Requant(name, [1], [shift], 5, *WIDE_CLAMP)
        assert codes(accs, requant) == [requantize_int(a, requant) for a in accs], shift
        fitting = [a for a in accs if IntFormat(64 + min(shift, 0)).contains(a)]
        expected = [SCHEMES[name].twin(a, requant, 0) for a in fitting]
        assert multiply(fitting, 1, shift, name).tolist() == expected, shift


@pytest.mark.parametrize("name", SHIFTS)
def test_a_left_shift_out_of_int64_is_an_error(name):
    assert multiply([2**32 - 1], 1, -31, name).tolist() == [2**63 - 2**31]
    with pytest.raises(AccumulatorOverflowError, match="expected int33 accumulators"):
        multiply([2**32], 1, -31, name)


FLOAT32_SCALES = [2.0**-32, 2.0**-8, 0.001, 1 / 3, 0.5, 1.0, 1.5, 255.99998, 2.0**-149, 3.4e38, 0.0, -0.75]


@pytest.mark.parametrize("zero_point", [0, -3, 128])
def test_float32_scheme_equals_its_twin_at_every_edge(zero_point):
    for scale in np.array(FLOAT32_SCALES, np.float32):
        for clamp in ((-128, 127), (0, 255), WIDE_CLAMP):
            requant = Requant("float32_half_even", [scale], [0], zero_point, *clamp)
            accs = edges(64 if clamp == (-128, 127) else 32)
            assert codes(accs, requant) == [requantize_int(a, requant) for a in accs], (scale, clamp)


FLOAT64_SCALES = [
    (0.5, 0.25, 1.0),
    (0.1, 0.02, 0.7),
    (1 / 255, 1 / 127, 3.0),
    (1e-38, 1e-38, 3e38),
    (3e38, 3e38, 1e-38),
]


@pytest.mark.parametrize("zero_point", [0, -128])
def test_float64_scheme_equals_its_twin_at_every_edge(zero_point):
    for scales in FLOAT64_SCALES:
        for clamp in ((-128, 127), WIDE_CLAMP):
            requant = Requant("float64_half_away", [scales], [0], zero_point, *clamp)
            accs = edges(64)
            assert codes(accs, requant) == [requantize_int(a, requant) for a in accs], (scales, clamp)


int32s = st.integers(INT32_MIN, INT32_MAX)
significands = st.integers(2**30, 2**31 - 1) | st.integers(-(2**31), 2**31 - 1)


@st.composite
def requants(draw):
    name = draw(st.sampled_from(list(SCHEMES)))
    rule = SCHEMES[name]
    channels = draw(st.integers(1, 4))
    shift = st.integers(*rule.exponents)
    scale = st.floats(2.0**-40, 2.0**8, width=32)
    element = {
        Family.INTEGER: significands,
        Family.FLOAT32: scale,
        Family.SCALES: st.tuples(scale, scale, scale),
        Family.RAW_SUM: st.tuples(scale, st.integers(-(2**20), 2**20)),
        Family.POWER_OF_TWO: st.just(1),
        Family.FIXED_POINT: st.integers(*rule.multipliers),
        Family.FLOAT64: scale,
    }[rule.family]
    multiplier = np.array(draw(st.lists(element, min_size=channels, max_size=channels)), rule.family.dtype)
    low, high = sorted((draw(st.integers(-32768, 32767)), draw(st.integers(-32768, 32767))))
    shifts = draw(st.lists(shift, min_size=channels, max_size=channels))
    return Requant(name, multiplier, np.array(shifts), draw(st.integers(-32768, 32767)), low, high)


@settings(max_examples=300, deadline=None)
@given(requants(), st.data())
def test_any_scheme_equals_its_twin_per_channel(requant, data):
    reach = 1 << (requant.rule.wide - 1)
    channels = len(requant.multiplier)
    value = int32s | st.integers(-reach, reach - 1)
    rows = data.draw(st.lists(st.lists(value, min_size=channels, max_size=channels), min_size=1, max_size=5))
    got = requantize(np.array(rows, np.int64), requant)
    assert got.tolist() == [[requantize_int(a, requant, c) for c, a in enumerate(row)] for row in rows]


@settings(deadline=None)
@given(int32s, int32s)
def test_high_multiply_equals_its_twin(a, b):
    assert saturating_rounding_doubling_high_mul(a, b) == srdhm_int(a, b)


def test_high_multiply_saturates_for_the_square_of_the_minimum_only():
    assert srdhm_int(INT32_MIN, INT32_MIN) == INT32_MAX
    assert saturating_rounding_doubling_high_mul(INT32_MIN, INT32_MIN) == INT32_MAX
    assert srdhm_int(INT32_MIN, INT32_MIN + 1) == INT32_MAX
    assert srdhm_int(INT32_MIN, INT32_MAX) == -INT32_MAX


@settings(deadline=None)
@given(int32s, st.integers(0, 31))
def test_divide_by_power_of_two_equals_its_twin(x, exponent):
    assert rounding_divide_by_pot(x, exponent) == rdbpot_int(x, exponent)


@settings(deadline=None)
@given(int32s, significands, st.integers(-31, 30))
def test_tflite_multiply_equals_its_twin(x, m, e):
    assert multiply_by_quantized_multiplier(x, m, e) == mbqm_int(x, m, e)


def gemmlowp_high_multiply(a: int, b: int) -> int:
    """The nudge and C division of gemmlowp fixedpoint.h, instead of the closed form used by the twin."""
    product = a * b
    nudge = 2**30 if product >= 0 else 1 - 2**30
    quotient = abs(product + nudge) // 2**31
    return quotient if product + nudge >= 0 else -quotient


def gemmlowp_divide_by_pot(x: int, exponent: int) -> int:
    """The mask and threshold of gemmlowp fixedpoint.h."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


@settings(deadline=None)
@given(int32s, int32s, st.integers(0, 31))
def test_twins_equal_the_statements_of_gemmlowp(a, b, exponent):
    if (a, b) != (INT32_MIN, INT32_MIN):
        assert srdhm_int(a, b) == gemmlowp_high_multiply(a, b)
    assert rdbpot_int(a, exponent) == gemmlowp_divide_by_pot(a, exponent)


def test_a_left_shift_wraps_at_32_bits():
    # 2**30 << 1 is INT32_MIN; times 0.5 (m = 2**30, e = 0 after the shift) it is -2**30, not 2**30.
    assert mbqm_int(2**30, 2**30, 1) == -(2**30)
    assert multiply([2**30], 2**30, 1, "single").tolist() == [2**30]


@pytest.mark.parametrize(
    ("m", "reduced"), [(2**30, 0x4000), (0x7FFEFFFF, 0x7FFF), (0x7FFF0000, 0x7FFF), (2**31 - 1, 0x7FFF)]
)
def test_reduced_multiplier(m, reduced):
    assert reduced_multiplier16(m) == reduced


def test_known_values_tell_the_schemes_apart():
    # -1.5 and 2.5, exactly; m = 2**30 and e = 0 halve, and a shift by one does the same.
    # With e = -1 the quarters -0.75 and 1.25 show gemmlowp's double rounding: 5/4 -> 3/2 -> 2.
    odd = np.array([[-3], [5]], np.int32)

    def scaled(name, multiplier, shift):
        return requantize(odd, Requant(name, multiplier, [shift], 0, -128, 127)).ravel().tolist()

    half = np.array([0.5], np.float32)
    assert scaled("tflite_double", [2**30], 0) == [-1, 3]
    assert scaled("tflite_double", [2**30], -1) == [-1, 2]
    assert scaled("single", [2**30], 0) == [-1, 3]
    assert scaled("single", [2**30], -1) == [-1, 1]
    assert scaled("float32_half_even", half, 0) == [-2, 2]
    assert scaled("float64_half_away", [[0.5, 1.0, 1.0]], 0) == [-2, 3]
    assert scaled("shift_half_up", [1], 1) == [-1, 3]
    assert scaled("shift_half_even", [1], 1) == [-2, 2]
    assert scaled("shift_floor", [1], 1) == [-2, 2]


def test_two_half_up_roundings_differ_from_gemmlowp_on_negative_ties_only():
    accs = np.arange(-4096, 4096, dtype=np.int32)
    gemmlowp, half_up = (multiply(accs, 2**30, -4, name) for name in ("tflite_double", "half_up_twice"))
    differing = gemmlowp != half_up
    assert differing.any()
    assert (accs[differing] < 0).all()
    assert (half_up[differing] - gemmlowp[differing] == 1).all()


def test_float_rounding_happens_twice():
    # 2**24 + 1 is no float32 value; it becomes 2**24 before it is scaled.
    requant = Requant("float32_half_even", np.array([1.0], np.float32), [0], 0, *WIDE_CLAMP)
    assert requantize_int(2**24 + 1, requant) == 2**24
    assert requantize(np.array([[2**24 + 1]], np.int32), requant).item() == 2**24
    exact = Fraction(2**24 + 1)
    assert round(exact) == 2**24 + 1
