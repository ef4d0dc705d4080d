"""Lists of stages: reading, proof of widths, kernel and definition, known schemes written as stages, parameters from a layer."""

from __future__ import annotations

import re

import numpy as np
import pytest

from accelsim.errors import AccumulatorOverflowError, ConfigError, GraphError, ModelError
from accelsim.numerics import (
    SCHEMES,
    Requant,
    StagedScheme,
    multiply,
    requantize,
    requantize_int,
    scheme_named,
    stage_list,
    staged_scheme,
)
from accelsim.quant import requant_from_scales
from tests.stages_drawn import accumulators, drawn_requant, drawn_scheme

ENDS = {"clamp_min": -128, "clamp_max": 127}
LAST = "; add zero_point bits=32"
DOUBLE = "left left_shift max=30; wrap 32; multiply multiplier bits=32; shift 31 rounding={}; saturate 32; "
TWICE = DOUBLE.format("half_up") + "shift right_shift rounding={} max=31" + LAST
ONCE = "multiply multiplier bits={}; shift shift rounding={} max={}"
AS_STAGES = {
    "tflite_double": (TWICE.format("half_away"), lambda e: -e),
    "half_up_twice": (TWICE.format("half_up"), lambda e: -e),
    "single": (ONCE.format(32, "half_up", 62) + LAST, lambda e: 31 - e),
    "xnnpack_rndnu": (ONCE.format(25, "half_up", 62) + LAST, lambda s: s),
    "single_8": (ONCE.format(8, "half_up", 62) + LAST, lambda s: s),
    "ethosu_truncate": (ONCE.format(32, "trunc", 62) + LAST, lambda s: s),
    "nvdla_cvt": (ONCE.format(16, "half_away", 63) + "; saturate 17" + LAST, lambda s: s),
    "shift_half_up": ("shift shift rounding=half_up max=62" + LAST, lambda s: s),
    "shift_half_away": ("shift shift rounding=half_away max=62" + LAST, lambda s: s),
    "shift_half_even": ("shift shift rounding=half_even max=62" + LAST, lambda s: s),
    "shift_floor": ("shift shift rounding=floor max=62" + LAST, lambda s: s),
}
"""Each scheme's list, and its shift from the scheme's own exponent."""


def staged(text: str, bits: int = 32) -> StagedScheme:
    return staged_scheme(stage_list(text), bits)


def edges(rule: StagedScheme, rng: np.random.Generator) -> np.ndarray:
    """Ends of the width, ties of every power of two and their neighbours, and values of all sizes."""
    half = 1 << (rule.wide - 1)
    ties = [
        sign * (odd << k) + d for k in range(rule.wide - 2) for odd in (1, 3, 5) for sign in (-1, 1) for d in (-1, 0, 1)
    ]
    drawn = accumulators(rng, rule, 200)
    return np.concatenate([np.array(ties, dtype=np.int64), drawn]).clip(-half, half - 1)


@pytest.mark.parametrize("name", AS_STAGES)
def test_a_known_scheme_as_stages_is_itself(name: str) -> None:
    """All ends and ties of its parameters, on edge values of the accumulator."""
    known, (text, shift_of) = SCHEMES[name], AS_STAGES[name]
    rule, rng = staged(text), np.random.default_rng(len(name))
    low, high = known.exponents
    least, most = (1, 1) if name.startswith("shift_") else known.multipliers
    middle = range(max(low, 0 if name.startswith("shift_") else low), high + 1)
    for e in (*middle[:3], *rng.choice(middle, 12).tolist(), *middle[-3:]):
        for m in {least, most, int(rng.integers(least, most + 1))}:
            zero = int(rng.integers(-128, 128))
            one = Requant(name, np.array([m]), np.array([e], np.int32), zero, **ENDS)
            columns = np.array([[m, 0, zero, 0]], dtype=np.int64)
            other = Requant(rule.name, columns, np.array([shift_of(e)], np.int32), zero, **ENDS)
            values = edges(rule, rng)
            np.testing.assert_array_equal(requantize(values, other), requantize(values, one), err_msg=f"m {m}, e {e}")


@pytest.mark.parametrize(("name", "bits"), [("tflite_double", 32), ("single_8", 32), ("nvdla_cvt", 32)])
def test_scales_become_the_schemes_own_parameters(name: str, bits: int) -> None:
    rng = np.random.default_rng(7)
    own_text = AS_STAGES[name][0].replace("max=63", "max=63 per=layer")
    ratios = np.exp2(rng.uniform(-14, -1, 9))
    fixed = {"s_in": 1.0, "s_w": ratios, "s_out": 1.0, "zero_point": -5, **ENDS}
    known, made = requant_from_scales(name, **fixed), requant_from_scales(staged(own_text, bits).name, **fixed)
    np.testing.assert_array_equal(made.multiplier[:, 0], known.multiplier)
    values = rng.integers(-(2**20), 2**20, (50, 9))
    np.testing.assert_array_equal(requantize(values, made), requantize(values, known))


@pytest.mark.parametrize("seed", range(60))
def test_kernel_definition_text_and_proof_agree(seed: int) -> None:
    """Random lists: one line reads back, per-channel codes are the definition's, each value lies where it is proved."""
    rng = np.random.default_rng(1000 + seed)
    rule = drawn_scheme(rng)
    assert scheme_named(rule.name) is rule
    assert stage_list(str(rule.stages)) == rule.stages
    assert stage_list(rule.stages.to_data()) == rule.stages
    assert len(rule.stages.formulas) == len(rule.stages.stages)
    requant, values = drawn_requant(rng, rule, 5), accumulators(rng, rule, 40).reshape(-1, 5)
    expected = [[requantize_int(int(x), requant, c) for c, x in enumerate(row)] for row in values]
    np.testing.assert_array_equal(requantize(values, requant), expected)
    np.testing.assert_array_equal(requantize(values[:, 2:4], requant.channels(2, 4)), np.array(expected)[:, 2:4])
    for count, (low, high) in enumerate(rule.intervals, start=1):
        behind = rule.values(values, requant, count)
        assert low <= behind.min()
        assert behind.max() <= high


def test_rows_longer_than_a_piece() -> None:
    rule = staged("multiply multiplier bits=16; shift shift rounding=half_even max=40; saturate 8")
    requant = requant_from_scales(rule.name, s_in=1, s_w=0.003, s_out=1, zero_point=0, **ENDS)
    values = np.arange(-30_000, 30_000, dtype=np.int64)
    sparse = slice(None, None, 997)
    np.testing.assert_array_equal(
        requantize(values, requant)[sparse], [requantize_int(int(x), requant) for x in values[sparse]]
    )


@pytest.mark.parametrize(
    ("text", "bits", "low", "high"),
    [
        ("shift 0 rounding=floor", 26, -(2**25), 2**25 - 1),
        ("add 5", 8, -123, 132),
        ("offset 5", 8, -133, 122),
        ("multiply multiplier bits=8 signed=false", 26, -(2**25) * 255, (2**25 - 1) * 255),
        ("multiply multiplier bits=32", 32, -(2**31) * (2**31 - 1), 2**62),
        ("shift shift rounding=half_away max=5", 8, -128, 127),
        ("shift 3 rounding=half_up", 8, -16, 16),
        ("add bias bits=4 left=2", 8, -128 - 32, 127 + 28),
        ("left 3", 8, -1024, 1016),
        ("wrap 5", 8, -16, 15),
        ("wrap 20", 8, -128, 127),
        ("wrap 5 signed=false", 8, 0, 31),
        ("clip min=-3", 8, -3, 127),
        ("saturate 4 signed=false", 8, 0, 15),
        ("clip min=0 max=3; table 9 -4 7 8", 8, -4, 9),
    ],
)
def test_widths_that_are_derived(text: str, bits: int, low: int, high: int) -> None:
    assert staged(text, bits).intervals[-1] == (low, high)


@pytest.mark.parametrize(
    ("text", "bits", "message"),
    [
        ("multiply multiplier bits=32; multiply 4", 32, "stage 2 (multiply): its result reaches 65 bits and a sign"),
        ("left 40", 32, "stage 1 (left): its result reaches 71 bits"),
        ("shift shift rounding=floor max=63", 64, "use max: 62"),
        ("table 1 2 3 4", 8, "4 entries serve -2 to 1, but -128 to 127 may come; saturate before it"),
        ("saturate 2; table 1 2 3 4; saturate 2; table 1 2 3 4", 8, "stage 4 (table): more than one table"),
        ("saturate 2; table 1 2 3 4; add zero_point bits=8", 8, "takes zero_point behind a table"),
        ("add zero_point bits=8; add zero_point bits=8", 8, "zero_point is taken twice"),
        ("shift shift rounding=floor max=3; left left_shift max=3", 8, "shift beside left_shift or right_shift"),
        ("multiply 0", 8, "expected a constant of 1 or more, got 0"),
    ],
)
def test_lists_that_cannot_be(text: str, bits: int, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        staged(text, bits)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "expected a list of 1 to 16 stages such as 'saturate: 8', got 0 entries"),
        (7, "expected a list of 1 to 16 stages"),
        ("", "stage 1: expected one entry"),
        (["saturate"], "stage 1: expected one entry, a kind and its operand"),
        ([{"saturate": 8, "wrap": 9}], "stage 1: expected one entry"),
        ([{"satrate": 8}], "stage 1: unknown kind 'satrate'; expected one of add,"),
        ([{"satrate": 8}], "did you mean 'saturate'?"),
        (
            [{"shift": {"by": 3, "roundin": "floor"}}],
            "stage 1 (shift): unknown key 'roundin'; expected by, rounding, max, per; did",
        ),
        (
            [{"saturate": 8}, {"shift": {"by": 3, "rounding": "half_uq"}}],
            "stage 2 (shift): expected rounding, one of half_even",
        ),
        ([{"shift": 3}], "stage 1 (shift): expected rounding, one of"),
        ([{"shift": {"by": "shift", "rounding": "floor"}}], "expected max, a whole number from 1 to 63; it is missing"),
        ([{"multiply": {"by": "multiplyer", "bits": 8}}], "did you mean 'multiplier'?"),
        ([{"multiply": "multiplier"}], "expected bits, a whole number from 2 to 32; it is missing"),
        ([{"multiply": {"by": "multiplier", "bits": 32, "signed": False}}], "from 2 to 31; got 32"),
        ([{"multiply": {"by": 3, "bits": 8}}], "bits beside a constant says nothing"),
        ([{"multiply": 1.5}], "expected by, a whole number or multiplier; got 1.5"),
        ([{"add": True}], "expected value, a whole number or bias or zero_point; got True"),
        ([{"add": {"value": "zero_point", "bits": 8, "left": 2}}], "left belongs to the bias"),
        ([{"offset": {"value": "bias", "bits": 8}}], "expected value, one of zero_point; got 'bias'"),
        ([{"saturate": {"bits": 8, "signed": "no"}}], "expected signed: true or false, got 'no'"),
        ([{"saturate": 64}], "expected bits, a whole number from 1 to 63; got 64"),
        ([{"clip": 3}], "stage 1 (clip): expected min and max, got 3"),
        ([{"clip": {}}], "expected min, max or both"),
        ([{"clip": {"min": 3, "max": 2}}], "expected min <= max, got 3 and 2"),
        ([{"table": [1, 2, 3]}], "expected values, 2, 4, 8 ... 65536 whole numbers"),
        ([{"table": [1, 2**40]}], "expected values of 32 bits"),
        ([{"left": {"by": "shift", "max": 3}}], "expected by, one of left_shift; got 'shift'"),
    ],
)
def test_what_cannot_be_read(data: object, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        stage_list(data)
    assert "\n" not in str(caught.value)


def test_names_that_are_no_list() -> None:
    with pytest.raises(ConfigError, match="expected 'stages of N bits: STAGE; STAGE; ...'"):
        scheme_named("stages of many bits: saturate 8")
    with pytest.raises(ConfigError, match="stage 1: unknown kind 'saturete'"):
        scheme_named("stages of 26 bits: saturete 8")


def requant(text: str, ratios: object, *, bits: int = 34, zero_point: int = 0) -> Requant:
    ends = {"zero_point": zero_point, **ENDS}
    return requant_from_scales(staged(text, bits).name, s_in=1, s_w=ratios, s_out=1, **ends)


def test_a_bias_in_the_units_of_its_stage() -> None:
    """Behind a clip by 4 places 1000 is 63 (62.5 half away); 8 bits hold it with no left shift, 6 bits with one."""
    text = "shift 4 rounding=half_away; add bias bits={} left=3; multiply multiplier bits=16; shift shift rounding=half_up max=40"
    made = requant(text.format(8), [0.5, 0.25]).with_bias(np.array([1000, -1000]))
    assert made.multiplier[:, 1].tolist() == [63, -63]
    assert made.bias is not None
    assert made.bias.tolist() == [1000, -1000]
    narrow = requant(text.format(6), 0.5).with_bias(np.array([1000, 16]))
    assert narrow.multiplier[:, 1].tolist() == [62, 2]
    assert narrow.channel_count == 2
    assert requantize_int(160, narrow, 1) == ((10 + 2) * 8)
    assert narrow.with_bias(np.array([1000, 16])) is narrow
    with pytest.raises(
        GraphError, match="the bias 62500 in the units of its stage does not fit int6 with a left shift"
    ):
        requant(text.format(6), 0.5).with_bias(np.array([1_000_000, 16]))


def test_a_zero_point_in_the_units_of_its_stage() -> None:
    """Before a shift by 4 the zero point 3 is 48; subtracted it is -48."""
    for kind, sign in (("add", 1), ("offset", -1)):
        made = requant(f"{kind} zero_point bits=12; shift 4 rounding=half_up; saturate 8", 2.0**-4, zero_point=3)
        assert made.multiplier[0, 2] == sign * 48
        assert [requantize_int(x, made) for x in (0, 16, -48)] == [3, 4, 0]
    with pytest.raises(GraphError, match="no stage adds the output zero point 3"):
        requant("shift 4 rounding=half_up", 2.0**-4, zero_point=3)
    with pytest.raises(
        GraphError, match="the output zero point 100 is 1600 in the units of its stage, which does not fit int8"
    ):
        requant("add zero_point bits=8; shift 4 rounding=half_up", 2.0**-4, zero_point=100)
    with pytest.raises(GraphError, match="does not fit int4"):
        Requant(staged("add zero_point bits=4").name, np.array([[1, 0, 0, 0]]), np.array([0]), 9, -128, 127)


@pytest.mark.parametrize(
    ("text", "ratios", "m", "s"),
    [
        (
            "multiply multiplier bits=8 signed=false; shift shift rounding=floor max=30",
            [0.5, 1 / 3],
            [128, 171],
            [8, 9],
        ),
        ("multiply multiplier bits=8; shift shift rounding=floor max=30 per=layer", [0.5, 0.125], [64, 16], [7, 7]),
        ("multiply multiplier bits=8; shift 10 rounding=floor", [0.1, 0.0312], [102, 32], [0, 0]),
        ("shift 2 rounding=floor; shift shift rounding=floor max=9", [0.125, 0.03125], [1, 1], [1, 3]),
        ("multiply 77; shift 8 rounding=floor", [0.3, 0.301], [1, 1], [0, 0]),
        ("shift 3 rounding=floor", [0.125], [1], [0]),
    ],
)
def test_ratios_become_what_the_list_takes(text: str, ratios: list[float], m: list[int], s: list[int]) -> None:
    made = requant(text, ratios)
    assert made.multiplier[:, 0].tolist() == m
    assert made.shift.tolist() == s


@pytest.mark.parametrize(
    ("text", "ratios", "message"),
    [
        (
            "multiply multiplier bits=8 per=layer; shift shift rounding=floor max=30",
            [0.5, 0.3],
            "has one for all channels",
        ),
        ("shift shift rounding=floor max=9 per=layer", [0.5, 0.25], "has one for all channels"),
        ("multiply multiplier bits=8; shift 10 rounding=floor", [0.5], "has whole numbers from 1 to 127"),
        ("multiply multiplier bits=8; shift 10 rounding=floor", [0.0001], "has whole numbers from 1 to 127"),
        ("shift shift rounding=floor max=9", [0.3], "use power-of-two scales"),
        ("shift shift rounding=floor max=9", [2.0**-12], "has 0 to 9; give it a larger max"),
        ("multiply 77; shift 8 rounding=floor", [0.31], "take multiplier and shift from the layer"),
        ("shift 3 rounding=floor", [0.13], "take multiplier and shift from the layer"),
        ("multiply multiplier bits=8; shift shift rounding=floor max=30", [300.0], "choose a wider multiplier"),
    ],
)
def test_ratios_that_the_list_cannot_have(text: str, ratios: list[float], message: str) -> None:
    with pytest.raises(ModelError, match=re.escape(message)):
        requant(text, ratios)


def test_sums_wider_than_the_accumulator_are_refused() -> None:
    made = requant("shift 3 rounding=floor", 0.125, bits=26)
    assert requantize_int(2**25 - 1, made) == 127
    with pytest.raises(AccumulatorOverflowError, match="expected int26 accumulators"):
        requantize_int(2**25, made)
    with pytest.raises(AccumulatorOverflowError, match="expected int26 accumulators"):
        requantize(np.array([0, 2**25]), made)


@pytest.mark.parametrize("name", ["single_8", "single_16", "single_31"])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_single_n_with_the_smallest_shifts(name: str, shift: int) -> None:
    """``(acc m + 2^(s-1)) >> s``: no rounding at a shift of 0, halves up at one of 1."""
    most = SCHEMES[name].multipliers[1]
    values = np.array([-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 2**20, -(2**20)], dtype=np.int64)
    for m in (0, 1, 3, most):
        made = Requant(name, np.array([m]), np.array([shift], np.int32), 2, -(2**31), 2**31 - 1)
        exact = [(int(x) * m + (1 << shift) // 2) // (1 << shift) + 2 for x in values]
        expected = [min(max(x, -(2**31)), 2**31 - 1) for x in exact]
        assert requantize(values, made).tolist() == expected
        assert [requantize_int(int(x), made) for x in values] == expected


def test_single_8_reaches_factors_up_to_its_multiplier() -> None:
    fixed = {"s_in": 1.0, "s_out": 1.0, "zero_point": 0, "clamp_min": -(2**31), "clamp_max": 2**31 - 1}
    assert [requant_from_scales("single_8", s_w=r, **fixed).shift[0] for r in (31.5, 32.0, 63.5, 64.0, 127.0)] == [
        2,
        1,
        1,
        0,
        0,
    ]
    with pytest.raises(ModelError, match="a right shift of 0 or more reaches 127"):
        requant_from_scales("single_8", s_w=128.0, **fixed)


def test_a_shift_half_away_of_32_bits() -> None:
    """int32 to int32, as CACC's clip: ties leave zero on both sides, the ends of the type stay."""
    values = np.array([-(2**31), -12, -11, -10, -9, -2, -1, 0, 1, 2, 9, 10, 11, 12, 2**31 - 1])
    assert multiply(values, 1, 2, "shift_half_away").tolist() == [
        -(2**29), -3, -3, -3, -2, -1, 0, 0, 0, 1, 2, 3, 3, 3, 2**29,
    ]  # fmt: skip
    assert multiply(values, 1, 0, "shift_half_away").tolist() == values.tolist()
    made = Requant("shift_half_away", np.array([1]), np.array([1], np.int32), 0, -(2**31), 2**31 - 1)
    assert [requantize_int(x, made) for x in (3, -3, 2**31 - 1, -(2**31) + 1)] == [2, -2, 2**30, -(2**30)]
