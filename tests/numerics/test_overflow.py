from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import AccumulatorOverflowError, ConfigError
from accelsim.numerics import INT8, UINT8, IntFormat, Overflow, fit, fit_array

formats = st.builds(IntFormat, st.integers(1, 64), signed=st.booleans())
int64s = st.integers(-(2**63), 2**63 - 1)
quiet = st.sampled_from([Overflow.WRAP, Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC])


@pytest.mark.parametrize(
    ("policy", "fmt", "expected"),
    [
        #                              -300 -129 -128 -1  0  127  128  255  256
        (Overflow.WRAP, INT8, [-44, 127, -128, -1, 0, 127, -128, -1, 0]),
        (Overflow.SATURATE, INT8, [-128, -128, -128, -1, 0, 127, 127, 127, 127]),
        (Overflow.SATURATE_SYMMETRIC, INT8, [-127, -127, -127, -1, 0, 127, 127, 127, 127]),
        (Overflow.WRAP, UINT8, [212, 127, 128, 255, 0, 127, 128, 255, 0]),
        (Overflow.SATURATE, UINT8, [0, 0, 0, 0, 0, 127, 128, 255, 255]),
        (Overflow.SATURATE_SYMMETRIC, UINT8, [0, 0, 0, 0, 0, 127, 128, 255, 255]),
    ],
)
def test_policies_on_eight_bits(policy, fmt, expected):
    values = [-300, -129, -128, -1, 0, 127, 128, 255, 256]
    assert [fit(v, fmt, policy) for v in values] == expected
    assert fit_array(values, fmt, policy).tolist() == expected


@settings(deadline=None)
@given(st.integers(), formats, quiet)
def test_the_result_always_fits_and_fitting_twice_changes_nothing(value, fmt, policy):
    once = fit(value, fmt, policy)
    assert fmt.contains(once)
    assert fit(once, fmt, policy) == once


@settings(deadline=None)
@given(st.integers(), formats)
def test_wrapping_is_congruent(value, fmt):
    assert (fit(value, fmt, Overflow.WRAP) - value) % 2**fmt.bits == 0


@settings(deadline=None)
@given(st.integers(), st.integers(), formats)
def test_wrap_around_may_be_applied_once_at_the_end(a, b, fmt):
    stepwise = fit(fit(a, fmt, Overflow.WRAP) + b, fmt, Overflow.WRAP)
    assert stepwise == fit(a + b, fmt, Overflow.WRAP)


@settings(deadline=None)
@given(st.integers(), formats.filter(lambda f: f.bits < 64))
def test_values_in_range_pass_through_except_the_asymmetric_minimum(value, fmt):
    inside = fit(value, fmt, Overflow.WRAP)
    assert fit(inside, fmt, Overflow.SATURATE) == inside
    assert fit(inside, fmt, Overflow.TRAP) == inside
    assert fit(inside, fmt, Overflow.SATURATE_SYMMETRIC) == (inside if inside != fmt.min else max(fmt.min, -fmt.max))


@settings(deadline=None)
@given(st.lists(int64s, max_size=20), formats, quiet)
def test_array_equals_the_twin(values, fmt, policy):
    if (fmt.bits, fmt.signed, policy) == (64, False, Overflow.WRAP):
        with pytest.raises(ConfigError, match="63 bits or fewer"):
            fit_array(values, fmt, policy)
        return
    fitted = fit_array(np.array(values, np.int64), fmt, policy)
    assert fitted.dtype == np.int64
    assert fitted.tolist() == [fit(v, fmt, policy) for v in values]


@settings(deadline=None)
@given(st.lists(int64s, min_size=1, max_size=20), formats)
def test_trap_raises_exactly_when_a_value_does_not_fit(values, fmt):
    bad = [i for i, v in enumerate(values) if not fmt.contains(v)]
    if not bad:
        assert fit_array(values, fmt, Overflow.TRAP).tolist() == values
        return
    with pytest.raises(AccumulatorOverflowError) as caught:
        fit_array(values, fmt, Overflow.TRAP)
    assert caught.value.data == {"value": values[bad[0]], "format": fmt, "index": (bad[0],)}


def test_trap_says_where_what_and_what_to_do():
    message = r"accumulator at index \(1, 0\): 200 does not fit int8 \(-128 to 127\); widen it"
    with pytest.raises(AccumulatorOverflowError, match=message):
        fit_array([[1, 2], [200, 300]], INT8, Overflow.TRAP)
    with pytest.raises(AccumulatorOverflowError, match="-129 does not fit int8"):
        fit(-129, INT8, Overflow.TRAP)


def test_the_input_is_left_alone():
    values = np.array([300, 1], np.int64)
    for policy in (Overflow.WRAP, Overflow.SATURATE):
        fit_array(values, INT8, policy)
    kept = fit_array(values, IntFormat(16), Overflow.TRAP)
    kept[0] = 0
    assert values.tolist() == [300, 1]


def test_policies_are_read_from_their_names():
    assert fit(200, INT8, "wrap") == -56
    assert fit_array([200], INT8, "saturate").tolist() == [127]


@pytest.mark.parametrize("call", [lambda: fit(1, INT8, "clip"), lambda: fit_array([1], INT8, "clip")])
def test_an_unknown_policy_is_refused(call):
    with pytest.raises(ValueError, match="clip"):
        call()
