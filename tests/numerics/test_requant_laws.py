"""Laws of the requantization schemes: closed forms, error bounds, and how often two of them disagree."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.numerics import INT32, SCHEMES, Requant, Rounding, mbqm_int, multiply, requantize, round_divide
from accelsim.numerics.twins import half_up_twice_int, int16_int, single_int

int32s = st.integers(INT32.min, INT32.max)
normal = st.integers(2**30, 2**31 - 1)


def closed_form(x: int, m: int, e: int) -> int:
    """gemmlowp's two roundings as one shift; also TOSA's DOUBLE_ROUND."""
    shift = 31 - e
    nudge = 0 if shift <= 31 else (2**30 if x >= 0 else -(2**30))
    return (x * m + (1 << (shift - 1)) + nudge) >> shift


@settings(deadline=None)
@given(int32s, normal, st.integers(-31, 0))
def test_double_rounding_has_a_closed_form(x, m, e):
    assert mbqm_int(x, m, e) == closed_form(x, m, e)


@settings(deadline=None)
@given(st.data(), normal, st.integers(1, 30))
def test_the_closed_form_holds_for_left_shifts_that_do_not_wrap(data, m, e):
    reach = 2 ** (31 - e)
    x = data.draw(st.integers(-reach, reach - 1))
    assert mbqm_int(x, m, e) == closed_form(x, m, e)


def test_the_closed_form_holds_on_a_million_values():
    rng = np.random.default_rng(7)
    x = rng.integers(INT32.min, INT32.max, size=1_000_000, endpoint=True)
    for e in (-1, -7, -15, -31):
        m, shift = int(rng.integers(2**30, 2**31)), 31 - e
        nudged = x * m + (1 << (shift - 1)) + np.where(x >= 0, 2**30, -(2**30))
        assert np.array_equal(multiply(x, m, e, "tflite_double"), nudged >> shift)


@pytest.mark.parametrize("right", range(1, 10))
def test_double_rounding_differs_from_exact_at_the_documented_rate(right):
    rng = np.random.default_rng(right)
    count, rate = 1_000_000, 2.0 ** -(right + 1)
    x = rng.integers(-(2**24), 2**24, size=count).astype(np.int32)
    m = 2**30 + int(rng.integers(2**29)) * 2 + 1
    differing = multiply(x, m, -right, "tflite_double") != multiply(x, m, -right, "single")
    assert abs(differing.mean() - rate) < 6 * math.sqrt(rate / count)


@settings(deadline=None)
@given(int32s, normal, st.integers(-31, 30))
def test_one_rounding_is_within_half(x, m, e):
    exact = x * m * Fraction(2) ** (e - 31)
    assert abs(single_int(x, m, e) - exact) <= Fraction(1, 2)


@settings(deadline=None)
@given(int32s, normal, st.integers(-31, 0))
def test_two_roundings_are_within_half_and_the_first_rounding(x, m, e):
    exact = x * m * Fraction(2) ** (e - 31)
    bound = Fraction(1, 2) + Fraction(2) ** (e - 1)
    assert abs(mbqm_int(x, m, e) - exact) <= bound
    assert abs(half_up_twice_int(x, m, e) - exact) <= bound


@settings(deadline=None)
@given(int32s, normal, st.integers(-31, 0))
def test_all_integer_schemes_agree_within_one(x, m, e):
    values = {mbqm_int(x, m, e), single_int(x, m, e), half_up_twice_int(x, m, e)}
    assert max(values) - min(values) <= 1


@settings(deadline=None)
@given(st.integers(-(2**47), 2**47 - 1), normal, st.integers(-31, 7))
def test_the_16_bit_multiplier_is_off_by_its_relative_error(x, m, e):
    exact = x * m * Fraction(2) ** (e - 31)
    assert abs(int16_int(x, m, e) - exact) <= Fraction(1, 2) + abs(exact) * Fraction(1, 2**14)


@settings(deadline=None)
@given(st.integers(-(2**31), 2**31 - 2), normal, st.integers(-31, 0))
def test_schemes_are_monotone(x, m, e):
    for scheme in (mbqm_int, single_int, half_up_twice_int, int16_int):
        assert scheme(x, m, e) <= scheme(x + 1, m, e)


@settings(deadline=None)
@given(int32s, st.integers(0, 31), st.integers(-128, 127))
def test_a_power_of_two_multiplier_is_a_shift(x, shift, zero_point):
    def code(scheme, multiplier, exponent):
        return requantize([x], Requant(scheme, multiplier, [exponent], zero_point, -128, 127)).tolist()

    half_up = code("shift_half_up", [1], shift)
    assert half_up == code("single", [2**30], 1 - shift)
    exact = round_divide(x, 1 << shift, Rounding.HALF_EVEN)
    assert code("shift_half_even", [1], shift) == [min(max(exact + zero_point, -128), 127)]


@settings(deadline=None)
@given(st.integers(-(2**24), 2**24), st.integers(0, 31))
def test_float_and_shift_schemes_agree_on_power_of_two_scales(x, shift):
    scale = np.array([2.0**-shift], np.float32)
    by_float = requantize([x], Requant("float32_half_even", scale, [0], 0, -(2**31), 2**31 - 1))
    by_shift = requantize([x], Requant("shift_half_even", [1], [shift], 0, -(2**31), 2**31 - 1))
    assert by_float.tolist() == by_shift.tolist()


def halving(name):
    """Multiplier and shift of a half, in the scheme's own encoding."""
    rule = SCHEMES[name]
    if rule.family == "fixed_point":
        top = rule.significand_bits - 1
        return [2**top], [top + 1]
    parameters = {
        "float32": np.array([0.5], np.float32),
        "float64": np.array([0.5]),
        "scales": [[0.5, 1.0, 1.0]],
        "raw_sum": [[0.5, 40.0]],
        "integer": [2**30],
    }
    return parameters.get(rule.family, [1]), [1] if rule.family == "power_of_two" else [0]


@pytest.mark.parametrize("name", [name for name, rule in SCHEMES.items() if not rule.parity])
def test_the_zero_point_is_added_after_rounding(name):
    multiplier, shift = halving(name)
    accs = np.arange(-99, 100, dtype=np.int32)
    plain = requantize(accs, Requant(name, multiplier, shift, 0, -128, 127))
    odd = requantize(accs, Requant(name, multiplier, shift, 7, -128, 127))
    assert np.array_equal(odd, plain + 7)


@pytest.mark.parametrize("name", SCHEMES)
def test_zero_gives_the_zero_point(name):
    multiplier, shift = halving(name)
    requant = Requant(name, multiplier, shift, -9, -128, 127)
    assert requantize(np.zeros((2, 3), np.int32), requant).tolist() == [[-9] * 3] * 2
