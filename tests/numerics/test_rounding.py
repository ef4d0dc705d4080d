from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import ConfigError
from accelsim.numerics import Rounding, round_divide, round_divide_array, round_shift, round_shift_array

modes = st.sampled_from(list(Rounding))
int64s = st.integers(-(2**63), 2**63 - 1)
EDGES = sorted(
    {s * v for v in (0, 1, 2, 3, 2**31, 2**62 - 1, 2**62, 2**62 + 1, 2**63 - 1) for s in (-1, 1)} | {-(2**63)}
)


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
    assert round_shift_array(quarters, 2, mode).tolist() == expected
    assert round_divide_array(quarters, 4, mode).tolist() == expected


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


@pytest.mark.parametrize("mode", Rounding)
def test_array_shift_equals_the_twin_at_the_edges_of_int64(mode):
    for shift in range(63):
        near = [v for k in EDGES for v in (k - (1 << shift) // 2, k, k + 1) if -(2**63) <= v < 2**63]
        assert round_shift_array(near, shift, mode).tolist() == [round_shift(v, shift, mode) for v in near]


@settings(deadline=None)
@given(st.lists(st.tuples(int64s, st.integers(0, 62)), min_size=1, max_size=20), modes)
def test_array_shift_equals_the_twin(pairs, mode):
    values, shifts = zip(*pairs, strict=True)
    expected = [round_shift(v, s, mode) for v, s in pairs]
    assert round_shift_array(values, np.array(shifts), mode).tolist() == expected


@settings(deadline=None)
@given(st.lists(st.tuples(int64s, st.integers(1, 2**63 - 1)), min_size=1, max_size=20), modes)
def test_array_division_equals_the_twin(pairs, mode):
    values, divisors = zip(*pairs, strict=True)
    expected = [round_divide(n, d, mode) for n, d in pairs]
    assert round_divide_array(values, np.array(divisors), mode).tolist() == expected


def test_shifts_broadcast_against_values():
    values = np.arange(-6, 6).reshape(4, 3)
    shifted = round_shift_array(values, np.array([0, 1, 2]), Rounding.FLOOR)
    assert shifted.dtype == np.int64
    assert np.array_equal(shifted, values >> np.array([0, 1, 2]))
    assert np.array_equal(round_shift_array(values.T, 1, Rounding.FLOOR), values.T >> 1)


def test_empty_and_scalar_arrays_keep_their_shape():
    assert round_shift_array(np.empty((0, 3), np.int64), 1, Rounding.FLOOR).shape == (0, 3)
    assert round_shift_array(7, 1, Rounding.CEIL).shape == ()
    assert round_shift_array(7, 1, Rounding.CEIL) == 4


@pytest.mark.parametrize("shift", [-1, 63, [0, 64]])
def test_a_shift_out_of_range_is_refused(shift):
    with pytest.raises(ConfigError, match="expected 0 to 62"):
        round_shift_array([1, 2], shift, Rounding.FLOOR)


def test_a_divisor_below_one_is_refused():
    with pytest.raises(ConfigError, match="denominators of 1 or more"):
        round_divide_array([1], 0, Rounding.FLOOR)
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
