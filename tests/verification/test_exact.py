"""The exact reading against fractions, and the tolerances against their definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import ConfigError
from accelsim.numerics import SCHEMES, Family, Rounding, requantize, round_divide
from accelsim.quant import requant_from_scales
from accelsim.verification import Tolerance
from accelsim.verification.readings.exact import ExactRequant, decimal, double_rounding_rate, multipliers_of

SUMS = st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-4000, 4000), min_size=1, max_size=20)
RATIOS = st.fractions(Fraction(1, 5000), 2, max_denominator=2**20) | st.integers(1, 16).map(lambda s: Fraction(1, 2**s))


@given(SUMS, RATIOS, st.sampled_from(list(Rounding)), st.integers(-128, 127), st.booleans())
def test_codes_are_those_of_fractions(
    sums: list[int], ratio: Fraction, rounding: Rounding, zero: int, parity: bool
) -> None:
    exact = ExactRequant((ratio,), rounding, zero, -128, 127, parity)
    extra = zero if parity else 0
    expected = []
    for acc in sums:
        value = acc * ratio + extra
        code = round_divide(value.numerator, value.denominator, rounding) - extra + zero
        expected.append(min(max(code, -128), 127))
    assert exact.codes(np.array(sums, dtype=np.int64)[:, None])[:, 0].tolist() == expected


ROUND_ELSEWHERE = {"float32_half_even", "float64_half_away", "vta_shift"}
"""Schemes that round floating-point products too, or wrap."""
EXACT_SCHEMES = [name for name, rule in SCHEMES.items() if not rule.is_doubled and name not in ROUND_ELSEWHERE]


@pytest.mark.parametrize("scheme", EXACT_SCHEMES)
@given(sums=st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=30), s=st.integers(4, 12), odd=st.booleans())
def test_schemes_of_one_rounding_are_their_exact_reading(scheme: str, sums: list[int], s: int, odd: bool) -> None:
    """Scheme and exact reading of its own multiplier and tie rule give the same codes: nothing is left to explain."""
    pot = SCHEMES[scheme].family is Family.POWER_OF_TWO
    scale = 2.0**-s if pot or not odd else float(np.float32(2.0**-s * 0.7331))
    requant = requant_from_scales(scheme, s_in=1.0, s_w=scale, s_out=1.0, zero_point=3, clamp_min=-128, clamp_max=127)
    reading = ExactRequant(multipliers_of(requant), requant.rule.tie, 3, -128, 127, parity=requant.rule.parity)
    acc = np.array(sums, dtype=np.int64)[:, None]
    assert reading.codes(acc).tolist() == requantize(acc, requant).tolist()


def test_decimal_marks_what_goes_on() -> None:
    assert decimal(Fraction(-7, 2)) == "-3.5"
    assert decimal(Fraction(1, 3), digits=4) == "0.3333…"
    assert decimal(Fraction(5)) == "5"


def test_law_of_double_rounding() -> None:
    assert double_rounding_rate([-8]) == 2.0**-9
    assert double_rounding_rate([-1, 0, 3]) == pytest.approx((0.25 + 0 + 0) / 3)


@pytest.mark.parametrize("text", ["exact", "tosa", "1lsb", "2 LSB", "3"])
def test_tolerances_are_read(text: str) -> None:
    assert Tolerance.parse(text).kind in ("exact", "tosa", "lsb")


@pytest.mark.parametrize("text", ["", "close", "-1", "1.5lsb", "lsb", "0x1"])
def test_other_tolerances_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected exact, tosa, or a number of LSB"):
        Tolerance.parse(text)


def test_lsb_counts_what_is_farther() -> None:
    oracle, machine = np.array([0, 0, 0, 0]), np.array([0, 1, -2, 3])
    assert [Tolerance("lsb", n).beyond(oracle, machine, None) for n in range(4)] == [3, 2, 1, 0]
    assert Tolerance("exact").beyond(oracle, machine, None) == 3


def test_tosa_allows_either_side_of_a_near_tie_and_nothing_else() -> None:
    """Sum 101 at 1/2 is 50.5: 50 and 51 are within the bound, 52 is not; 100 is 50 and only that."""
    reading = ExactRequant((Fraction(1, 2),), Rounding.HALF_EVEN, 0, -128, 127)
    sums = np.array([[101], [101], [101], [100], [1000]])
    oracle = np.array([[50], [51], [50], [50], [127]])
    machine = np.array([[51], [50], [52], [51], [127]])
    assert Tolerance("tosa").beyond(oracle, machine, (sums, reading)) == 2
