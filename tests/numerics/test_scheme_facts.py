"""Every scheme answers every question about itself, and what it answers is what its twin does."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from fractions import Fraction

import numpy as np
import pytest

from accelsim.arch.arithmetic import usable_schemes
from accelsim.errors import ConfigError
from accelsim.numerics import (
    INT32,
    SCHEMES,
    Encoder,
    Family,
    Folding,
    Requant,
    RequantScheme,
    Rounding,
    ShiftForm,
    _kernels,
    requantize,
    requantize_int,
    round_divide,
    round_shift,
    schemes,
    shift_form,
)
from accelsim.numerics.shift_form import shifted_once, shifted_twice
from accelsim.quant import divided_multiplier, requant_from_scales

NAMES = list(SCHEMES)
FACTS = [field.name for field in fields(RequantScheme)]
ZERO_POINTS = (0, 3, -4)
WIDE = (INT32.min, INT32.max)
SMALL = 120
"""Codes that every rule holds: vta_shift keeps 8 bits."""
LARGE = 2**15
"""Codes that every rule holds before zero point and clamp: nvdla_cvt keeps 17 bits."""
NO_SCHEMES_LOOP = {"threshold_rows"}


def answers(rule: RequantScheme) -> dict[str, object]:
    return {fact: getattr(rule, fact) for fact in FACTS}


def halved(name: str, places: int, zero_point: int = 0) -> Requant:
    """The scheme with a multiplier of exactly 2**-places."""
    clamp = {"zero_point": zero_point, "clamp_min": -128, "clamp_max": 127}
    return requant_from_scales(name, s_in=1.0, s_w=2.0**-places, s_out=1.0, **clamp)


def declared(rule: RequantScheme, acc: int, places: int, zero_point: int) -> int:
    """The code of ``acc * 2**-places`` by the declared roundings and parity alone."""
    acc += (zero_point << places) * rule.parity
    first, *second = rule.roundings
    value = round_shift(acc, 1 if second else places, first)
    for rounding in second:
        value = round_shift(value, places - 1, rounding)
    return min(max(value + (not rule.parity) * zero_point, -128), 127)


def rounding_errors(name: str) -> list[tuple[int, int, int]]:
    """(accumulator, places, zero point) at which the twin is not what is declared: ties, quarters and all between."""
    cases = [(acc, places, zero) for zero in ZERO_POINTS for places in (2, 3, 5) for acc in range(-70, 71)]
    return [
        (acc, places, zero)
        for acc, places, zero in cases
        if requantize_int(acc, halved(name, places, zero)) != declared(schemes.SCHEMES[name], acc, places, zero)
    ]


def random_parameters(rule: RequantScheme, count: int = 60) -> list[Requant]:
    """Any parameters that the scheme takes, the ends of their ranges among them; no zero point, no clamp."""
    rng = np.random.default_rng(5)
    low, high = (1, 1) if rule.family is Family.POWER_OF_TWO else rule.multipliers
    ends = [(m, e) for m in {low, max(low, 0), high} for e in rule.exponents]
    drawn = [
        (int(rng.integers(low, high + 1)), int(rng.integers(rule.exponents[0], rule.exponents[1] + 1)))
        for _ in range(count)
    ]
    if rule.family.is_float:
        scales = rng.uniform(2.0**-12, 1, (count, 3)).astype(np.float32)
        raws = np.stack([scales[:, 0], rng.integers(-(2**15), 2**15, count).astype(np.float32)], axis=1)
        rows = {1: scales[:, 0], 2: raws, 3: scales}[rule.family.columns]
        return [Requant(rule.name, row[None], [0], 0, *WIDE) for row in rows]
    return [Requant(rule.name, [m], [e], 0, *WIDE) for m, e in ends + drawn]


def form_errors(name: str) -> list[tuple[int, int, int]]:
    """(accumulator, multiplier, shift) at which the declared form is not the twin."""
    wrong = []
    for requant in random_parameters(schemes.SCHEMES[name]):
        for bound in (2**7, 2**15, 2**20, INT32.max):
            form = shift_form(requant, bound=bound)
            values = {
                0,
                1,
                -1,
                2,
                -2,
                3,
                -3,
                5,
                -5,
                bound,
                -bound,
                bound - 1,
                1 - bound,
                bound // 3,
                -bound // 3,
                *near_ties(form, bound),
            }
            wrong += [
                (x, int(requant.multiplier[0]), int(requant.shift[0]))
                for x in values
                if form is not None and applied(form, x) != requant.rule.twin(x, requant, 0)
            ]
    return wrong


def near_ties(form: ShiftForm | None, bound: int) -> set[int]:
    if form is None or not form.factor[0]:
        return set()
    tie = (1 << int(form.shift[0]) >> 1) // int(form.factor[0])
    return {
        min(max(sign * (k * tie + step), -bound), bound) for sign in (1, -1) for k in (1, 2, 3) for step in (-1, 0, 1)
    }


def applied(form: ShiftForm, x: int) -> int:
    product = x * int(form.factor[0])
    return (product + int(form.offset[0]) - (int(form.negative[0]) if product < 0 else 0)) >> int(form.shift[0])


def precision(rule: RequantScheme) -> Fraction:
    """Relative error of an encoded multiplier, at most."""
    bits = {
        Encoder.TFLITE: rule.significand_bits,
        Encoder.TFLITE_16BIT: 15,
        Encoder.POWER_OF_TWO: 1000,
        Encoder.FIXED_POINT: rule.significand_bits,
        Encoder.SHARED_SHIFT: rule.significand_bits,
        Encoder.MANTISSA: 24,
        Encoder.FLOAT32: 24,
        Encoder.RAW_SUM: 24,
        Encoder.FLOAT64: 24,
        Encoder.SCALES: 1000,
    }[rule.encoder]
    return Fraction(4, 2**bits)


def encoder_errors(name: str) -> list[tuple[float, int]]:
    """(ratio, accumulator) whose code is farther from the exact product than the encoding and one code allow."""
    rule, rng, wrong = schemes.SCHEMES[name], np.random.default_rng(9), []
    for _ in range(40):
        weight = float(np.float32(rng.uniform(2.0**-14, 0.5)))
        if rule.encoder is Encoder.POWER_OF_TWO:
            weight = 2.0 ** -int(rng.integers(1, 14))
        requant = requant_from_scales(
            name, s_in=0.5, s_w=weight, s_out=0.25, zero_point=0, clamp_min=-128, clamp_max=127
        )
        exact = 2 * Fraction(weight)
        (encoded,) = rule.encoder.reals(requant.multiplier, requant.shift)
        if abs(encoded - exact) > exact * precision(rule):
            wrong.append((weight, 0))
        for code in (-SMALL, -7, -1, 0, 1, 2, 33, SMALL):
            acc = round(code / exact)
            if abs(requantize_int(acc, requant) - acc * exact) > 1 + abs(acc * exact) * precision(rule):
                wrong.append((weight, acc))
    return wrong


def decoding_errors(name: str) -> list[tuple[int, int, int]]:
    """Parameters whose declared real factor is not what the twin multiplies by.

    One rounding of integers is exact; two, or those of floats, are within one code and a float's error.
    """
    wrong = []
    for requant in random_parameters(schemes.SCHEMES[name]):
        rule, reach = requant.rule, SMALL if requant.rule.is_whole else LARGE
        (real,) = rule.encoder.reals(requant.multiplier, requant.shift)
        for code in (-reach, -11, 11, reach):
            acc = round(code / real) if real else code
            exact, got = acc * real, rule.twin(acc, requant, 0)
            near = abs(got - exact) <= 1 + abs(exact) * Fraction(1, 2**22)
            if not (rule.is_doubled or rule.family.is_float):
                near = got == round_divide(exact.numerator, exact.denominator, rule.tie)
            if abs(acc) < 2**28 and not near:
                wrong.append((acc, requant.multiplier.tolist()[0], int(requant.shift[0])))
    return wrong


def test_no_question_has_a_default_answer() -> None:
    assert all(field.default is MISSING and field.default_factory is MISSING for field in fields(RequantScheme))


@pytest.mark.parametrize("fact", FACTS)
def test_a_scheme_that_leaves_a_question_open_cannot_be_declared(fact: str) -> None:
    given = answers(SCHEMES["single"])
    del given[fact]
    with pytest.raises(TypeError, match=f"missing 1 required keyword-only argument: '{fact}'"):
        RequantScheme(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("fact", ["description", "source", "roundings", "shift_form", "formula", "loop"])
def test_an_empty_answer_is_none(fact: str) -> None:
    with pytest.raises(ConfigError, match=f"scheme 'single': expected its {fact}, got none"):
        RequantScheme(**answers(SCHEMES["single"]) | {fact: () if fact in ("roundings", "formula") else ""})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_roundings_and_parity_are_those_of_the_twin(name: str) -> None:
    assert rounding_errors(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_shift_form_is_the_twin(name: str) -> None:
    assert form_errors(name) == []
    has_form = not isinstance(SCHEMES[name].shift_form, str)
    assert any(shift_form(requant, bound=2**7) is not None for requant in random_parameters(SCHEMES[name])) == has_form


@pytest.mark.parametrize("name", NAMES)
def test_encoding_a_ratio_and_scaling_by_it_is_scaling_by_the_ratio(name: str) -> None:
    assert encoder_errors(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_parameters_stand_for_the_declared_real_factor(name: str) -> None:
    assert decoding_errors(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_compiled_loop_is_the_twin(name: str) -> None:
    loop = SCHEMES[name].loop
    assert hasattr(_kernels, loop), f"scheme {name}: accelsim/numerics/_kernels.py has no {loop}"
    for requant in random_parameters(SCHEMES[name], 20):
        accs = np.array([0, 1, -1, 3, -3, 1000, -1000, 2**20 - 1, 1 - 2**20, *WIDE])
        assert requantize(accs, requant).tolist() == [requantize_int(int(acc), requant) for acc in accs]


def test_every_compiled_loop_is_that_of_a_scheme() -> None:
    loops = {name for name in vars(_kernels) if name.endswith("_rows")}
    unused = loops - NO_SCHEMES_LOOP - {rule.loop for rule in SCHEMES.values()}
    assert not unused, f"loops without a scheme in accelsim/numerics/schemes.py: {sorted(unused)}"


@pytest.mark.parametrize("name", NAMES)
def test_a_mean_folds_its_count_as_declared(name: str) -> None:
    rule, (m, e) = SCHEMES[name], divided_multiplier(0.37, 49)
    assert (name in usable_schemes("MEAN")) == (rule.folding is not Folding.NONE)
    if rule.folding is Folding.FLOAT32:
        assert rule.family in (Family.FLOAT32, Family.RAW_SUM)
    if rule.folding is Folding.DIVIDED:
        (real,) = rule.encoder.reals(np.array([m]), np.array([e]))
        assert float(real) == pytest.approx(0.37 / 49, rel=2.0**-13)


@pytest.mark.parametrize(
    ("name", "fact", "wrong", "check"),
    [
        ("single", "roundings", (Rounding.HALF_EVEN,), rounding_errors),
        ("single", "roundings", (Rounding.HALF_UP, Rounding.HALF_UP), rounding_errors),
        ("tflite_double", "roundings", (Rounding.HALF_UP, Rounding.HALF_UP), rounding_errors),
        ("half_up_twice", "roundings", (Rounding.HALF_AWAY, Rounding.HALF_UP), rounding_errors),
        ("ethosu_truncate", "roundings", (Rounding.FLOOR,), rounding_errors),
        ("float64_half_away", "roundings", (Rounding.HALF_UP,), rounding_errors),
        ("onnx_reference", "parity", False, rounding_errors),
        ("float32_half_even", "parity", True, rounding_errors),
        ("single", "shift_form", shifted_once(Rounding.HALF_DOWN), form_errors),
        ("tflite_double", "shift_form", shifted_twice(Rounding.HALF_UP), form_errors),
        ("shift_floor", "shift_form", shifted_once(Rounding.TRUNC), form_errors),
        ("nvdla_cvt", "shift_form", shifted_once(Rounding.HALF_AWAY), form_errors),
        ("tflite_int16", "encoder", Encoder.TFLITE, decoding_errors),
    ],
)
def test_a_wrong_answer_is_found(monkeypatch, name, fact, wrong, check):
    monkeypatch.setattr(schemes, "SCHEMES", {**SCHEMES, name: replace(SCHEMES[name], **{fact: wrong})})
    assert check(name) != []


@pytest.mark.parametrize("rounding", [mode for mode in Rounding if mode is not Rounding.HALF_EVEN])
def test_every_rounding_but_ties_to_even_has_a_form(rounding: Rounding) -> None:
    for shift in range(9):
        form = shifted_once(rounding)(np.array([3]), np.array([shift]))
        assert [applied(form, x) for x in range(-300, 300)] == [
            round_divide(3 * x, 1 << shift, rounding) for x in range(-300, 300)
        ]


def test_ties_to_even_have_no_form() -> None:
    with pytest.raises(KeyError):
        shifted_once(Rounding.HALF_EVEN)
