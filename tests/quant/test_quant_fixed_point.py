"""Real ratios as hardware multipliers: exact definitions, ranges, and what is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import ModelError
from accelsim.numerics import SCHEMES, Family
from accelsim.quant import float32_multiplier, requant_from_scales
from accelsim.quant.fixed_point import encode_fixed_points, encode_shared_shift

CODES = {"zero_point": 0, "clamp_min": -128, "clamp_max": 127}
FIXED = [name for name, scheme in SCHEMES.items() if scheme.family is Family.FIXED_POINT]
ratios = st.floats(2.0**-20, 1.0)


def tosa_scale(real: float, bits: int) -> tuple[int, int]:
    """TOSA's computeMultiplierAndShift, statement by statement."""
    mantissa, exponent = math.frexp(real)
    scaled = Fraction(mantissa) * 2**bits + Fraction(1, 2)
    m = scaled.numerator // scaled.denominator
    if m == 2**bits:
        m, exponent = m // 2, exponent + 1
    shift = bits - exponent
    if shift > 62:
        m, shift = m >> min(31, shift - 62), 62
    return m, shift


@settings(deadline=None)
@given(st.floats(2.0**-90, 1.9), st.integers(7, 31))
def test_the_encoder_is_tosas(real, bits):
    m, s = encode_fixed_points([real], bits=bits, shifts=(2, 62))
    assert (int(m[0]), int(s[0])) == tosa_scale(real, bits)


@settings(deadline=None)
@given(ratios, st.integers(7, 31))
def test_the_significand_is_normal_and_within_half(real, bits):
    m, s = (int(v[0]) for v in encode_fixed_points([real], bits=bits, shifts=(0, 62)))
    assert 2 ** (bits - 1) <= m < 2**bits
    assert abs(Fraction(real) * 2**s - m) <= Fraction(1, 2)


@pytest.mark.parametrize("name", FIXED)
@settings(deadline=None, max_examples=20)
@given(real=ratios)
def test_every_scheme_encodes_within_its_relative_error(name, real):
    real = float(np.float32(real))
    requant = requant_from_scales(name, s_in=real, s_w=1.0, s_out=1.0, **CODES)
    value = Fraction(int(requant.multiplier[0]), 1 << int(requant.shift[0]))
    assert abs(value - Fraction(real)) <= Fraction(real) / 2**requant.rule.significand_bits


@settings(deadline=None)
@given(st.floats(2.0**-32, 255.0, width=32))
def test_rndnu_holds_the_float32_scale_exactly(scale):
    requant = requant_from_scales("xnnpack_rndnu", s_in=scale, s_w=[1.0], s_out=1.0, **CODES)
    bits = int(np.float32(scale).view(np.int32))
    assert int(requant.multiplier[0]) == (bits & 0x7FFFFF) | 0x800000
    assert int(requant.shift[0]) == 150 - (bits >> 23)


@pytest.mark.parametrize("scale", [2.0**-33, 256.0, 1e9])
def test_rndnu_refuses_scales_that_xnnpack_refuses(scale):
    with pytest.raises(ModelError, match="xnnpack_rndnu takes"):
        requant_from_scales("xnnpack_rndnu", s_in=scale, s_w=1.0, s_out=1.0, **CODES)


def test_nvdla_shares_one_shift_among_channels():
    reals = np.array([0.02, 0.01, 0.0003])
    requant = requant_from_scales("nvdla_cvt", s_in=1, s_w=[1, 1, 1], s_out=1, real=reals, **CODES)
    assert len(set(requant.shift.tolist())) == 1
    shift = int(requant.shift[0])
    assert requant.multiplier.tolist() == [round(real * 2**shift) for real in reals]
    assert 2**14 <= requant.multiplier.max() < 2**15


def test_a_channel_that_rounds_up_to_the_next_power_keeps_its_width():
    m, s = encode_shared_shift([1 - 2.0**-20, 0.25], bits=15, shifts=(0, 63))
    assert (m.tolist(), s.tolist()) == ([2**14, 2**12], [14, 14])


def test_the_onnx_reference_multiplies_by_a_float32_scale():
    s_in, s_w, s_out = 0.0235, 0.0079, 0.0513
    requant = requant_from_scales("onnx_reference", s_in=s_in, s_w=s_w, s_out=s_out, **CODES)
    assert requant.multiplier.dtype == np.float64
    assert requant.multiplier.tolist() == [float(f) for f in float32_multiplier(s_in, s_w, s_out)]


def test_zero_has_an_encoding():
    m, s = encode_fixed_points([0.0, 0.5], bits=7, shifts=(2, 62))
    assert (m.tolist(), s.tolist()) == ([0, 64], [2, 7])


@pytest.mark.parametrize("bad", [-0.5, math.nan, math.inf])
def test_ratios_that_cannot_be_are_refused(bad):
    with pytest.raises(ModelError, match="expected finite values of 0 or more"):
        encode_fixed_points([0.5, bad], bits=15, shifts=(2, 62))


def test_a_ratio_beyond_the_smallest_shift_is_refused():
    with pytest.raises(ModelError, match=r"multiplier 64\.0: a 7-bit significand .* reaches 31\.75"):
        encode_fixed_points([64.0], bits=7, shifts=(2, 62))
    m, s = encode_fixed_points([31.75], bits=7, shifts=(2, 62))
    assert (m.tolist(), s.tolist()) == ([127], [2]), "the largest that is said to be reached"


def test_shift_only_needs_powers_of_two():
    requant = requant_from_scales("vta_shift", s_in=0.5, s_w=2.0**-6, s_out=0.25, **CODES)
    assert requant.shift.tolist() == [5]
    with pytest.raises(ModelError, match="power of two"):
        requant_from_scales("vta_shift", s_in=0.3, s_w=0.5, s_out=1, **CODES)
