"""From one requantization to another: each rule by its name, the last codes those of the machine."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.numerics import Requant, Rounding, requantize
from accelsim.quant import requant_from_scales
from accelsim.verification import names
from accelsim.verification.readings.exact import ExactRequant
from accelsim.verification.steps.requantization import requantized

SUMS = np.arange(-4000, 4000, 7, dtype=np.int64)[:, None]


def machine(scheme: str, scale: float, *, zero: int = 0, low: int = -128, high: int = 127) -> Requant:
    return requant_from_scales(scheme, s_in=1, s_w=scale, s_out=1, zero_point=zero, clamp_min=low, clamp_max=high)


def exact(scale: float, *, zero: int = 0, low: int = -128, high: int = 127) -> ExactRequant:
    return ExactRequant((Fraction(scale),), Rounding.HALF_EVEN, zero, low, high)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ((0.01,), (0.02,), "scale mismatch (machine / reference = 2)"),
        ((0.25, 0.5), (0.5, 1.5), "scale mismatch (machine / reference = 2 to 3)"),
        ((0.01,), (0.02, 0.02), "scale mismatch"),
    ],
)
def test_another_scale_is_named_with_its_ratio(before: tuple[float, ...], after: tuple[float, ...], text: str) -> None:
    scales = tuple(map(Fraction, before)), tuple(map(Fraction, after))
    sums = np.repeat(SUMS, len(after), axis=1)
    first = next(requantized(exact(before[0]), machine("tflite_double", after[0]), sums, scales))
    assert (first.key, first.text) == (names.SCALE, text)
    assert np.array_equal(first.codes, ExactRequant(scales[1], Rounding.HALF_EVEN, 0, -128, 127).codes(sums))


def test_equal_or_unknown_scales_are_no_step() -> None:
    same = (Fraction(0.01),)
    for scales in ((same, same), (None, same), (same, None), (None, None)):
        keys = [step.key for step in requantized(exact(0.01), machine("tflite_double", 0.01), SUMS, scales)]
        assert names.SCALE not in keys
        assert keys[0] == names.PRODUCT


@pytest.mark.parametrize(("scales", "key"), [((0.01, 0.02), names.SCALE), (None, names.MULTIPLIER)])
def test_rules_of_one_family_are_told_by_their_parameters(scales: tuple[float, float] | None, key: str) -> None:
    known = (None, None) if scales is None else tuple((Fraction(scale),) for scale in scales)
    steps = list(requantized(machine("tflite_double", 0.01), machine("tflite_double", 0.02), SUMS, known))  # type: ignore[arg-type]
    assert [step.key for step in steps] == [key]
    assert ("machine / reference = 2" in steps[0].text) == (scales is not None)


def test_ends_come_last_and_name_the_codes() -> None:
    target = machine("tflite_double", 0.01, zero=3, low=-50, high=60)
    *_, zero, clamp = requantized(machine("tflite_double", 0.01), target, SUMS, (None, None))
    assert (zero.key, clamp.key) == (names.OUTPUT_ZERO, names.CLAMP)
    assert "[-128, 127] against [-50, 60]" in clamp.text
    assert np.array_equal(zero.codes, requantize(SUMS, machine("tflite_double", 0.01, zero=3)))


SCHEMES = ["tflite_double", "tflite_single", "float32_half_even", "float64_half_away"]


@given(
    st.sampled_from(SCHEMES),
    st.sampled_from([None, *SCHEMES]),
    st.floats(0.001, 0.5),
    st.floats(0.001, 0.5),
    st.integers(-20, 20),
    st.sampled_from([(-128, 127), (0, 127), (-30, 30)]),
)
@settings(deadline=None, max_examples=100)
def test_the_last_codes_are_those_of_the_machine(
    scheme: str, other: str | None, scale: float, before: float, zero: int, ends: tuple[int, int]
) -> None:
    target = machine(scheme, scale, zero=zero, low=ends[0], high=ends[1])
    reading = exact(before) if other is None else machine(other, before)
    steps = list(requantized(reading, target, SUMS, ((Fraction(before),), (Fraction(scale),))))
    last = steps[-1].codes if steps else requantize(SUMS, target)
    assert np.array_equal(last, requantize(SUMS, target))
    assert all(step.text for step in steps)
