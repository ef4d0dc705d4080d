from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.numerics import INT8, UINT8, IntFormat
from accelsim.quant import (
    QuantParameters,
    affine_parameters,
    fake_quant,
    minmax_range,
    percentile_range,
    power_of_two_parameters,
    symmetric_parameters,
)

formats = st.builds(IntFormat, st.integers(2, 16), signed=st.booleans())
peaks = st.floats(2.0**-40, 2.0**40)
ends = st.floats(-(2.0**30), 2.0**30)


def represented(parameters: QuantParameters, fmt: IntFormat) -> tuple[float, float]:
    return tuple(parameters.scale * (code - parameters.zero_point) for code in (fmt.min, fmt.max))


@settings(deadline=None)
@given(ends, ends, formats)
def test_affine_covers_the_range_to_half_a_step(a, b, fmt):
    low, high = min(a, b), max(a, b)
    parameters = affine_parameters(low, high, fmt=fmt)
    assert fmt.contains(parameters.zero_point)
    bottom, top = represented(parameters, fmt)
    slack = parameters.scale * (0.5 + 1e-6) + 1e-6 * (high - low)
    assert bottom <= min(low, 0) + slack
    assert top >= max(high, 0) - slack


@pytest.mark.parametrize(
    ("low", "high", "fmt", "expected"),
    [
        (0.0, 255.0, INT8, QuantParameters(1.0, -128)),
        (0.0, 255.0, UINT8, QuantParameters(1.0, 0)),
        (-1.0, 1.0, UINT8, QuantParameters(float(np.float32(2 / 255)), 128)),
        (-255.0, -3.0, UINT8, QuantParameters(1.0, 255)),
        (5.0, 25.5, UINT8, QuantParameters(float(np.float32(0.1)), 0)),
        (0.0, 0.0, INT8, QuantParameters(1.0, -128)),
    ],
)
def test_known_affine_parameters(low, high, fmt, expected):
    assert affine_parameters(low, high, fmt=fmt) == expected


@settings(deadline=None)
@given(ends, ends, formats)
def test_zero_is_exact(a, b, fmt):
    parameters = affine_parameters(min(a, b), max(a, b), fmt=fmt)
    assert fake_quant([0.0], scale=parameters.scale, zero_point=parameters.zero_point, fmt=fmt).item() == 0.0


@settings(deadline=None)
@given(peaks, st.integers(2, 16))
def test_symmetric_maps_the_peak_to_the_largest_code(peak, bits):
    fmt = IntFormat(bits)
    parameters = symmetric_parameters(peak, fmt=fmt)
    assert parameters.zero_point == 0
    assert parameters.scale * fmt.max == pytest.approx(peak, rel=1e-6)


@settings(deadline=None)
@given(peaks, st.integers(2, 16))
def test_power_of_two_is_the_smallest_that_covers(peak, bits):
    fmt = IntFormat(bits)
    scale = power_of_two_parameters(peak, fmt=fmt).scale
    assert math.frexp(scale)[0] == 0.5
    assert scale / 2 * fmt.max < peak <= scale * fmt.max * (1 + 1e-12)


def test_a_tensor_of_zeros_has_scale_one():
    assert symmetric_parameters(0.0, fmt=INT8) == power_of_two_parameters(0.0, fmt=INT8) == QuantParameters(1.0, 0)


def test_minmax_and_percentiles():
    x = np.concatenate([np.linspace(-1, 1, 999), [50.0]])
    assert minmax_range(x) == (-1.0, 50.0)
    assert percentile_range(x, percent=100) == minmax_range(x)
    low, high = percentile_range(x, percent=99)
    assert -1 < low < -0.9
    assert 0.9 < high < 1.1
    assert percentile_range([1.0, 2.0, 5.0], percent=50) == (2.0, 2.0)
    for percent in (49.9, 100.1):
        with pytest.raises(InputError, match="expected 50 to 100 percent"):
            percentile_range(x, percent=percent)


@pytest.mark.parametrize(
    "call",
    [
        lambda: affine_parameters(1.0, -1.0, fmt=INT8),
        lambda: affine_parameters(math.nan, 1.0, fmt=INT8),
        lambda: affine_parameters(0.0, math.inf, fmt=INT8),
        lambda: symmetric_parameters(-1.0, fmt=INT8),
        lambda: power_of_two_parameters(math.inf, fmt=INT8),
        lambda: minmax_range([]),
        lambda: minmax_range([0.0, math.nan]),
        lambda: percentile_range([1.0], percent=30),
    ],
)
def test_impossible_ranges_are_refused(call):
    with pytest.raises(InputError, match=r"range: expected"):
        call()
