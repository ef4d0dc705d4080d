"""One multiplication and one shift, against each scheme's definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.kernels._tape import _shift_rows
from accelsim.numerics import INT32, SCHEMES, Family, Requant, ShiftForm, requantize_int, shift_form

WITH_FORM = (
    "tflite_double",
    "single",
    "half_up_twice",
    "tflite_int16",
    "shift_half_up",
    "shift_floor",
    "xnnpack_rndnu",
    "ethosu_truncate",
    "single_8",
    "single_16",
    "single_31",
)
relaxed = settings(deadline=None, max_examples=150)


def apply(form: ShiftForm, x: int, channel: int = 0) -> int:
    product = x * int(form.factor[channel])
    negative = int(form.negative[channel]) if product < 0 else 0
    return (product + int(form.offset[channel]) - negative) >> int(form.shift[channel])


@st.composite
def requants(draw: st.DrawFn, scheme: str, channels: int = 1) -> Requant:
    rule = SCHEMES[scheme]
    lowest, highest = rule.multipliers if rule.family is Family.FIXED_POINT else (-(2**31) + 1, 2**31 - 1)
    factor = st.just(1) if rule.family is Family.POWER_OF_TWO else st.integers(lowest, highest)
    multipliers = draw(st.lists(factor, min_size=channels, max_size=channels))
    shifts = draw(st.lists(st.integers(*rule.exponents), min_size=channels, max_size=channels))
    zero, a, b = (
        draw(st.integers(-128, 127)),
        draw(st.integers(-(2**31), 2**31 - 1)),
        draw(st.integers(-(2**31), 2**31 - 1)),
    )
    return Requant(scheme, np.array(multipliers), np.array(shifts), zero, min(a, b), max(a, b))


@pytest.mark.parametrize("scheme", WITH_FORM)
@relaxed
@given(st.data())
def test_the_form_equals_the_scheme(scheme: str, data: st.DataObject) -> None:
    requant = data.draw(requants(scheme))
    bound = data.draw(st.sampled_from([2**7, 2**20, 2**31 - 1]))
    form = shift_form(requant, bound=bound)
    if form is None:
        assert int(requant.shift[0]) > 0 or int(requant.shift[0]) == -31
        return
    near = [
        tie // max(abs(int(form.factor[0])), 1) for tie in (1 << int(form.shift[0]), (1 << int(form.shift[0])) >> 1)
    ]
    values = data.draw(st.lists(st.integers(-bound, bound), min_size=5, max_size=5))
    for x in [*values, 0, 1, -1, bound, -bound, *(min(v, bound) for v in near), *(max(-v, -bound) for v in near)]:
        expected = requantize_int(x, requant)
        assert min(max(apply(form, x) + requant.zero_point, requant.clamp_min), requant.clamp_max) == expected, x


@pytest.mark.parametrize("scheme", WITH_FORM)
@settings(relaxed, max_examples=40)
@given(st.data())
def test_the_compiled_loop_equals_the_scheme(scheme: str, data: st.DataObject) -> None:
    channels = data.draw(st.integers(1, 5))
    requant = data.draw(requants(scheme, channels))
    bound = 2**15
    form = shift_form(requant, bound=bound)
    if form is None:
        return
    values = data.draw(st.lists(st.integers(-bound, bound), min_size=3 * channels, max_size=3 * channels))
    acc, out = np.array(values, dtype=np.int32), np.zeros(3 * channels, dtype=np.int64)
    shifts = np.concatenate([form.offset, form.negative, form.shift])
    _shift_rows(
        acc, form.factor.astype(np.int32), shifts, requant.zero_point, requant.clamp_min, requant.clamp_max, out
    )
    assert out.tolist() == [requantize_int(x, requant, i % channels) for i, x in enumerate(values)]


@pytest.mark.parametrize("scheme", ["tflite_double", "half_up_twice"])
def test_ties_of_the_first_and_the_second_rounding(scheme: str) -> None:
    """All products near a tie of either rounding, on both sides of zero."""
    requant = Requant(scheme, np.array([2**30]), np.array([-3]), 0, INT32.min, INT32.max)
    form = shift_form(requant, bound=2**20)
    assert form is not None
    assert [apply(form, x) for x in range(-200, 201)] == [requantize_int(x, requant) for x in range(-200, 201)]


@pytest.mark.parametrize("scheme", ["shift_half_even", "nvdla_cvt", "vta_shift"])
def test_ties_to_even_and_inner_saturation_have_no_form(scheme: str) -> None:
    requant = Requant(scheme, np.ones(1, np.int32), np.array([4]), 0, -128, 127)
    assert shift_form(requant, bound=1000) is None


@pytest.mark.parametrize("scheme", ["tflite_double", "half_up_twice"])
def test_a_left_shift_that_may_wrap_has_no_form(scheme: str) -> None:
    requant = Requant(scheme, np.array([2**30]), np.array([4]), 0, -128, 127)
    assert shift_form(requant, bound=2**27 - 1) is not None
    assert shift_form(requant, bound=2**27) is None


def test_accumulators_beyond_32_bits_have_no_form() -> None:
    requant = Requant("tflite_int16", np.array([2**30]), np.array([-4]), 0, -128, 127)
    assert shift_form(requant, bound=2**31) is None
