"""The integer-only IEEE 754 arithmetic of the float schemes against the floating-point unit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.numerics import Rounding, round_divide
from accelsim.numerics.twins import float32, float32_half_even_int, float64, float64_half_away_int

int64s = st.integers(-(2**63), 2**63 - 1)
singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
doubles = st.floats(allow_nan=False, allow_infinity=False)
scales = st.floats(2.0**-60, 2.0**60, width=32)


def exactly(x: float) -> Fraction:
    return Fraction(float(x))


@settings(deadline=None)
@given(int64s)
def test_integers_convert_as_the_processor_does(x):
    assert float32(Fraction(x)) == exactly(np.int64(x).astype(np.float32))
    assert float64(Fraction(x)) == exactly(np.int64(x).astype(np.float64))


@settings(deadline=None)
@given(doubles.filter(lambda x: abs(x) < 3.4e38))
def test_doubles_narrow_to_singles_as_the_processor_does(x):
    with np.errstate(under="ignore"):
        assert float32(exactly(x)) == exactly(np.float32(x))


@settings(deadline=None)
@given(singles, singles)
def test_single_products_are_correctly_rounded_down_to_subnormals(a, b):
    with np.errstate(all="ignore"):
        product = np.float32(a) * np.float32(b)
    if np.isfinite(product):
        assert float32(exactly(a) * exactly(b)) == exactly(product)


@settings(deadline=None)
@given(doubles, doubles)
def test_double_products_and_quotients_are_correctly_rounded(a, b):
    with np.errstate(all="ignore"):
        product, quotient = np.float64(a) * b, np.float64(a) / b
    if np.isfinite(product):
        assert float64(exactly(a) * exactly(b)) == exactly(product)
    if b and np.isfinite(quotient):
        assert float64(exactly(a) / exactly(b)) == exactly(quotient)


@settings(deadline=None)
@given(singles)
def test_a_representable_value_is_left_alone(x):
    assert float32(exactly(x)) == float64(exactly(x)) == exactly(x)


def test_ties_go_to_the_even_significand():
    assert float32(Fraction(2**24 + 1)) == 2**24
    assert float32(Fraction(2**24 + 3)) == 2**24 + 4
    assert float64(Fraction(2**53 + 1)) == 2**53
    assert float32(Fraction(1, 2**150)) == 0
    assert float32(Fraction(3, 2**150)) == Fraction(1, 2**148)


@settings(deadline=None)
@given(st.integers(-(2**31), 2**31 - 1), scales)
def test_float32_requantization_is_two_single_operations(x, scale):
    scaled = np.int32(x).astype(np.float32) * np.float32(scale)
    assert scaled.dtype == np.float32
    assert float32_half_even_int(x, exactly(scale)) == int(np.rint(scaled))


@settings(deadline=None)
@given(int64s, scales, scales, scales)
def test_float64_requantization_is_four_double_operations(x, s_in, s_w, s_out):
    scaled = np.int64(x).astype(np.float64) * s_in * s_w / s_out
    nearest = round_divide(*exactly(scaled).as_integer_ratio(), Rounding.HALF_AWAY)
    assert float64_half_away_int(x, exactly(s_in), exactly(s_w), exactly(s_out)) == nearest


def test_the_order_of_operations_is_part_of_the_scheme():
    rng = np.random.default_rng(3)
    x, (s_in, s_w, s_out) = (
        rng.integers(1, 2**31, 2000),
        rng.uniform(0.001, 1, (3, 2000)).astype(np.float32).astype(float),
    )
    left_to_right = x.astype(float) * s_in * s_w / s_out
    folded = x.astype(float) * (s_in * s_w / s_out)
    assert (left_to_right != folded).any()
    for i in np.flatnonzero(left_to_right != folded)[:50]:
        factors = [exactly(s[i]) for s in (s_in, s_w)]
        product = float64(float64(float64(Fraction(int(x[i]))) * factors[0]) * factors[1])
        assert float64(product / exactly(s_out[i])) == exactly(left_to_right[i])
