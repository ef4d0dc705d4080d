from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import ConfigError, InputError
from accelsim.numerics import INT8, INT16, UINT8, IntFormat, Rounding, round_divide
from accelsim.quant import dequantize, fake_quant, quantize

scales = st.floats(2.0**-20, 2.0**10, width=32)
reals = st.floats(-(2.0**20), 2.0**20, width=32)
formats = st.builds(IntFormat, st.integers(2, 32), signed=st.booleans())


def code_by_definition(x: float, scale: float, zero_point: int, fmt: IntFormat, rounding: Rounding) -> int:
    """One float32 division, then exact integers."""
    quotient = Fraction(float(np.float32(x) / np.float32(scale)))
    rounded = round_divide(quotient.numerator, quotient.denominator, rounding)
    return min(max(rounded + zero_point, fmt.min), fmt.max)


@settings(deadline=None)
@given(reals, scales, formats, st.sampled_from(list(Rounding)), st.data())
def test_codes_follow_the_definition_in_every_rounding(x, scale, fmt, rounding, data):
    zero_point = data.draw(st.integers(fmt.min, fmt.max))
    code = quantize([x], scale=scale, zero_point=zero_point, fmt=fmt, rounding=rounding)
    assert code.dtype == fmt.dtype
    assert code.tolist() == [code_by_definition(x, scale, zero_point, fmt, rounding)]


@pytest.mark.parametrize("rounding", Rounding)
def test_ties_and_their_float32_neighbours(rounding):
    halves = np.arange(-9, 10, dtype=np.float32) / 2
    near = np.concatenate([np.nextafter(halves, np.float32(s)) for s in (-np.inf, np.inf)] + [halves])
    expected = [code_by_definition(x, 1.0, 3, INT8, rounding) for x in near]
    assert quantize(near, scale=1.0, zero_point=3, fmt=INT8, rounding=rounding).tolist() == expected


def test_ties_differ_between_litert_and_onnx():
    x = np.array([-1.5, -0.5, 0.5, 1.5, 2.5])
    assert quantize(x, scale=1.0, zero_point=1, fmt=INT8).tolist() == [-1, 0, 2, 3, 4]
    even = quantize(x, scale=1.0, zero_point=1, fmt=INT8, rounding=Rounding.HALF_EVEN)
    assert even.tolist() == [-1, 1, 1, 3, 3]


@settings(deadline=None)
@given(formats, scales, st.data())
def test_codes_in_range_survive_the_round_trip(fmt, scale, data):
    reach = min(fmt.max, 2**22)
    zero_point = data.draw(st.integers(max(fmt.min, -reach), reach))
    code = data.draw(st.integers(max(fmt.min, zero_point - 2**22), min(fmt.max, zero_point + 2**22)))
    real = dequantize([code], scale=scale, zero_point=zero_point)
    assert real.dtype == np.float32
    assert quantize(real, scale=scale, zero_point=zero_point, fmt=fmt).tolist() == [code]


@settings(deadline=None)
@given(st.floats(-100, 100, width=32), st.integers(-128, 127))
def test_fake_quant_is_within_half_a_step_unless_it_saturates(x, zero_point):
    scale = 0.25
    faked = fake_quant([x], scale=scale, zero_point=zero_point, fmt=INT8).item()
    low, high = scale * (-128 - zero_point), scale * (127 - zero_point)
    assert low <= faked <= high
    assert abs(faked - min(max(x, low), high)) <= scale / 2


@settings(deadline=None)
@given(st.floats(-100, 100, width=32), scales)
def test_fake_quant_twice_is_fake_quant(x, scale):
    once = fake_quant([x], scale=scale, zero_point=-7, fmt=INT8)
    assert fake_quant(once, scale=scale, zero_point=-7, fmt=INT8).tolist() == once.tolist()


@settings(deadline=None)
@given(st.lists(reals, min_size=2, max_size=10), scales)
def test_quantization_is_monotone(values, scale):
    codes = quantize(sorted(values), scale=scale, zero_point=0, fmt=INT16).astype(int)
    assert (np.diff(codes) >= 0).all()


@pytest.mark.parametrize("fmt", [INT8, UINT8, IntFormat(4), IntFormat(32), IntFormat(32, signed=False)])
def test_infinities_and_huge_values_saturate(fmt):
    codes = quantize([-np.inf, -3e38, 3e38, np.inf], scale=1e-3, zero_point=1, fmt=fmt)
    assert codes.tolist() == [fmt.min, fmt.min, fmt.max, fmt.max]


def test_zero_has_the_zero_point_as_its_code():
    assert quantize([0.0, -0.0], scale=0.3, zero_point=-128, fmt=INT8).tolist() == [-128, -128]


def test_scales_per_channel_broadcast():
    x = np.ones((2, 3), np.float32)
    codes = quantize(x, scale=np.array([0.5, 0.25, 0.125]), zero_point=np.array([0, 1, 2]), fmt=INT8)
    assert codes.tolist() == [[2, 5, 10]] * 2
    back = dequantize(codes, scale=np.array([0.5, 0.25, 0.125]), zero_point=np.array([0, 1, 2]))
    assert back.tolist() == x.tolist()
    assert quantize(x, scale=np.array([[0.5], [0.25]]), zero_point=0, fmt=INT8).tolist() == [[2] * 3, [4] * 3]


def test_division_is_in_float32():
    scale = np.float32(0.1)
    x = np.nextafter(np.arange(1, 100, dtype=np.float32) * scale, np.float32(0))
    single, double = np.floor(x / scale), np.floor(x.astype(float) / float(scale))
    assert (single != double).any()
    codes = quantize(x, scale=scale, zero_point=0, fmt=INT8, rounding=Rounding.FLOOR)
    assert np.array_equal(codes, single)


def test_nan_is_refused_and_located():
    x = np.zeros((2, 3))
    x[1, 2] = np.nan
    with pytest.raises(InputError, match=r"index \(1, 2\) is NaN") as caught:
        quantize(x, scale=1.0, zero_point=0, fmt=INT8)
    assert caught.value.data["index"] == (1, 2)
    with pytest.raises(InputError, match="NaN"):
        fake_quant(x, scale=1.0, zero_point=0, fmt=INT8)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 1e-60])
def test_impossible_scales_are_refused(scale):
    with pytest.raises(ConfigError, match="positive finite"):
        quantize([1.0], scale=scale, zero_point=0, fmt=INT8)
    with pytest.raises(ConfigError, match="positive finite"):
        dequantize([1], scale=scale, zero_point=0)


@pytest.mark.parametrize("zero_point", [128, -129, 0.5])
def test_impossible_zero_points_are_refused(zero_point):
    with pytest.raises(ConfigError, match="zero point: expected integers of int8"):
        quantize([1.0], scale=1.0, zero_point=zero_point, fmt=INT8)


def test_other_misuse_is_refused():
    with pytest.raises(ConfigError, match="32 bits or fewer"):
        quantize([1.0], scale=1.0, zero_point=0, fmt=IntFormat(33))
    with pytest.raises(InputError, match="integer codes"):
        dequantize([1.5], scale=1.0, zero_point=0)
