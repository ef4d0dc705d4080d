from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.numerics import Rounding, round_divide, round_shift

modes = st.sampled_from(list(Rounding))


def by_definition(x: Fraction, mode: Rounding) -> int:
    """Each mode from its textbook definition: list the admissible neighbours, choose by distance, then by the rule."""
    low, high = math.floor(x), math.ceil(x)
    toward_zero, away = (low, high) if x >= 0 else (high, low)
    directed = {
        Rounding.FLOOR: low,
        Rounding.CEIL: high,
        Rounding.TRUNC: toward_zero,
        Rounding.AWAY: away,
    }
    if mode in directed:
        return directed[mode]
    if x - low != high - x:
        return low if x - low < high - x else high
    even = low if low % 2 == 0 else high
    return {Rounding.HALF_EVEN: even, Rounding.HALF_AWAY: away, Rounding.HALF_UP: high, Rounding.HALF_DOWN: low}[mode]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        #                       -2.5 -1.75 -1.5 -1.25 -0.5  0  0.5 1.25 1.5 1.75 2.5
        (Rounding.HALF_EVEN, [-2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2]),
        (Rounding.HALF_AWAY, [-3, -2, -2, -1, -1, 0, 1, 1, 2, 2, 3]),
        (Rounding.HALF_UP, [-2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3]),
        (Rounding.HALF_DOWN, [-3, -2, -2, -1, -1, 0, 0, 1, 1, 2, 2]),
        (Rounding.FLOOR, [-3, -2, -2, -2, -1, 0, 0, 1, 1, 1, 2]),
        (Rounding.CEIL, [-2, -1, -1, -1, 0, 0, 1, 2, 2, 2, 3]),
        (Rounding.TRUNC, [-2, -1, -1, -1, 0, 0, 0, 1, 1, 1, 2]),
        (Rounding.AWAY, [-3, -2, -2, -2, -1, 0, 1, 2, 2, 2, 3]),
    ],
)
def test_every_mode_on_quarters(mode, expected):
    quarters = [-10, -7, -6, -5, -2, 0, 2, 5, 6, 7, 10]
    assert [round_shift(q, 2, mode) for q in quarters] == expected
    assert [round_divide(q, 4, mode) for q in quarters] == expected


@settings(deadline=None)
@given(st.integers(), st.integers().filter(bool), modes)
def test_division_follows_the_definition(numerator, denominator, mode):
    assert round_divide(numerator, denominator, mode) == by_definition(Fraction(numerator, denominator), mode)


@settings(deadline=None)
@given(st.integers(), st.integers(-70, 70), modes)
def test_shift_follows_the_definition(value, shift, mode):
    assert round_shift(value, shift, mode) == by_definition(value / Fraction(2) ** shift, mode)


@settings(deadline=None)
@given(st.integers(), st.integers(1, 2**80), modes)
def test_rounding_moves_less_than_one_and_at_most_half_when_nearest(numerator, denominator, mode):
    error = abs(round_divide(numerator, denominator, mode) - Fraction(numerator, denominator))
    assert error < 1
    if mode.startswith("half"):
        assert error <= Fraction(1, 2)


@settings(deadline=None)
@given(st.integers(), st.integers(1, 2**40))
def test_mirror_images(numerator, denominator):
    pairs = [
        (Rounding.FLOOR, Rounding.CEIL),
        (Rounding.HALF_UP, Rounding.HALF_DOWN),
        *((mode, mode) for mode in (Rounding.TRUNC, Rounding.AWAY, Rounding.HALF_AWAY, Rounding.HALF_EVEN)),
    ]
    for mode, mirror in pairs:
        assert round_divide(-numerator, denominator, mode) == -round_divide(numerator, denominator, mirror)


def test_a_divisor_of_zero_is_refused():
    with pytest.raises(ZeroDivisionError):
        round_divide(1, 0, Rounding.FLOOR)


def test_modes_are_read_from_their_names():
    assert Rounding("half_even") is Rounding.HALF_EVEN
    assert round_shift(3, 1, "half_even") == 2
    with pytest.raises(ValueError, match="nearest"):
        round_shift(3, 1, "nearest")


def test_qonnx_half_up_is_half_away_here():
    # qonnx get_quant: HALF_UP(-2.5) = -3, HALF_UP(2.5) = 3.
    assert [round_shift(v, 1, Rounding.HALF_AWAY) for v in (-5, 5)] == [-3, 3]
    assert [round_shift(v, 1, Rounding.HALF_UP) for v in (-5, 5)] == [-2, 3]
