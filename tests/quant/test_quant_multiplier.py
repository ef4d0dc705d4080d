from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import ConfigError, ModelError
from accelsim.numerics import SCHEMES, Family, Rounding, reduced_multiplier16, requantize, round_divide
from accelsim.quant import (
    convolution_multipliers,
    dense_multiplier_per_tensor,
    encode_multiplier,
    encode_multipliers,
    float32_multiplier,
    power_of_two_shift,
    requant_from_scales,
)

scales = st.floats(2.0**-20, 2.0**4, width=32)


def encode_by_definition(real: float) -> tuple[int, int]:
    """LiteRT's QuantizeMultiplier in exact integers."""
    if real == 0:
        return 0, 0
    fraction, exponent = math.frexp(real)
    m = round_divide(*(Fraction(fraction) * 2**31).as_integer_ratio(), Rounding.HALF_AWAY)
    if abs(m) == 2**31:
        m, exponent = m // 2, exponent + 1
    if exponent < -31:
        return 0, 0
    return (math.copysign(2**31 - 1, m), 30) if exponent > 30 else (m, exponent)


@pytest.mark.parametrize(
    ("real", "encoded"),
    [
        (0.0, (0, 0)),
        (0.5, (2**30, 0)),
        (1.0, (2**30, 1)),
        (0.75, (3 * 2**29, 0)),
        (2.0**-32, (2**30, -31)),
        (2.0**-33, (0, 0)),
        (2.0**-40, (0, 0)),
        (1 - 2.0**-40, (2**30, 1)),
        (2.0**29, (2**30, 30)),
        (2.0**30, (2**31 - 1, 30)),
        (-0.5, (-(2**30), 0)),
        (0.5 + 2.0**-32, (2**30 + 1, 0)),
        (-0.5 - 2.0**-32, (-(2**30) - 1, 0)),
        (5e-324, (0, 0)),
    ],
)
def test_known_encodings(real, encoded):
    assert encode_multiplier(real) == encoded


@settings(deadline=None)
@given(st.floats(-(2.0**33), 2.0**33, allow_nan=False))
def test_encoding_follows_the_definition(real):
    assert encode_multiplier(real) == encode_by_definition(real)


@settings(deadline=None)
@given(st.floats(2.0**-32, 2.0**29))
def test_encoding_is_normalised_and_within_half_a_unit_in_32_bits(real):
    m, e = encode_multiplier(real)
    assert 2**30 <= m < 2**31
    error = abs(Fraction(m) * Fraction(2) ** (e - 31) - Fraction(real))
    assert error <= Fraction(2) ** (e - 32)


@settings(deadline=None)
@given(st.lists(st.floats(0, 2.0**20), min_size=1, max_size=8))
def test_arrays_encode_element_by_element(reals):
    m, e = encode_multipliers(reals)
    assert m.dtype == e.dtype == np.int32
    assert list(zip(m.tolist(), e.tolist(), strict=True)) == [encode_multiplier(real) for real in reals]


@pytest.mark.parametrize("real", [math.nan, math.inf, -math.inf])
def test_a_multiplier_that_is_no_number_is_refused(real):
    with pytest.raises(ModelError, match="finite"):
        encode_multiplier(real)


@settings(deadline=None)
@given(scales, st.lists(scales, min_size=1, max_size=5), scales)
def test_convolution_ratio_is_taken_in_double(s_in, s_w, s_out):
    expected = [float(s_in) * float(w) / float(s_out) for w in s_w]
    assert convolution_multipliers(s_in, s_w, s_out).tolist() == expected


@settings(deadline=None)
@given(scales, scales, scales)
def test_dense_ratio_rounds_its_product_to_float32(s_in, s_w, s_out):
    expected = float(np.float32(np.float32(s_in) * np.float32(s_w))) / float(s_out)
    assert dense_multiplier_per_tensor(s_in, s_w, s_out) == expected


@settings(deadline=None)
@given(scales, scales, scales)
def test_float32_ratio_is_two_rounded_operations(s_in, s_w, s_out):
    product = np.float32(s_in) * np.float32(s_w)
    expected = np.float32(product / np.float32(s_out))
    factor = float32_multiplier(s_in, [s_w, s_w], s_out)
    assert factor.dtype == np.float32
    assert factor.tolist() == [float(expected)] * 2


def test_the_three_ratios_are_three_different_numbers():
    s_in, s_w, s_out = np.float32(0.0235), np.float32(0.0079), np.float32(0.0513)
    ratios = {
        encode_multiplier(float(convolution_multipliers(s_in, s_w, s_out)[0])),
        encode_multiplier(dense_multiplier_per_tensor(s_in, s_w, s_out)),
        encode_multiplier(float(float32_multiplier(s_in, s_w, s_out)[0])),
    }
    assert len(ratios) == 3


@pytest.mark.parametrize("bad", [0.0, -0.5, math.nan, math.inf, 1e-60])
def test_a_scale_that_cannot_be_is_refused_by_name(bad):
    with pytest.raises(ModelError, match="scale s_w: expected positive finite"):
        convolution_multipliers(0.5, [0.5, bad], 0.5)


@pytest.mark.parametrize("shift", [-3, 0, 1, 30])
def test_power_of_two_shift(shift):
    assert power_of_two_shift(2.0**-shift) == shift


@pytest.mark.parametrize("real", [0.0, 0.3, 3.0, -0.5])
def test_other_ratios_have_no_shift(real):
    with pytest.raises(ModelError, match="power of two"):
        power_of_two_shift(real)


def test_reduced_multiplier_is_the_one_of_the_kernels():
    assert reduced_multiplier16(2**30 + 2**15) == 2**14 + 1


POWERS = {"s_in": 0.5, "s_w": [2.0**-6, 2.0**-7, 2.0**-9], "s_out": 0.25}


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_is_built_from_scales_and_agrees_off_ties(name):
    requant = requant_from_scales(name, **POWERS, zero_point=4, clamp_min=-128, clamp_max=127)
    if name == "ethosu_truncate":
        toward_zero = requantize(np.array([[-95, 95, -255]]), requant)
        assert toward_zero.tolist() == [[2, 5, 4]]
        return
    assert requant.is_per_channel
    assert len(requant.multiplier) == 3
    exact = np.array([[-21, 3, 15], [0, 100, -128]])
    divisors = np.array([2**5, 2**6, 2**8])
    above = exact * divisors + divisors // 4
    assert requantize(above, requant).tolist() == np.clip(exact + 4, -128, 127).tolist()


@pytest.mark.parametrize("name", SCHEMES)
def test_one_weight_scale_gives_a_per_tensor_record(name):
    requant = requant_from_scales(name, s_in=0.5, s_w=0.25, s_out=0.5, zero_point=0, clamp_min=0, clamp_max=255)
    assert not requant.is_per_channel
    assert requantize([40], requant).tolist() == [10]
    assert (requant.clamp_min, requant.clamp_max) == (0, 255)


def test_a_ratio_computed_elsewhere_replaces_the_double_one():
    real = 0.1234
    clamp = {"zero_point": 0, "clamp_min": -128, "clamp_max": 127}
    requant = requant_from_scales("single", s_in=1, s_w=1, s_out=1, real=real, **clamp)
    assert (requant.multiplier[0], requant.shift[0]) == encode_multiplier(real)


def test_scales_of_the_float_scheme_keep_their_columns():
    clamp = {"zero_point": 0, "clamp_min": -128, "clamp_max": 127}
    requant = requant_from_scales("float64_half_away", s_in=0.5, s_w=[0.1, 0.2], s_out=0.75, **clamp)
    assert SCHEMES["float64_half_away"].family is Family.SCALES
    assert requant.multiplier.tolist() == [[0.5, float(np.float32(w)), 0.75] for w in (0.1, 0.2)]


def test_shift_schemes_refuse_general_scales():
    with pytest.raises(ModelError, match="power of two"):
        requant_from_scales("shift_floor", s_in=0.3, s_w=0.5, s_out=1, zero_point=0, clamp_min=-128, clamp_max=127)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ConfigError, match="did you mean"):
        requant_from_scales("singel", s_in=0.3, s_w=0.5, s_out=1, zero_point=0, clamp_min=-128, clamp_max=127)
