"""Schemes of hardware multipliers and of the ONNX reference: twins, published statements, aliases, error rates."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import ConfigError, GraphError
from accelsim.numerics import (
    ALIAS_REASONS,
    ALIASES,
    INT32,
    SCHEMES,
    Family,
    IntFormat,
    Requant,
    mbqm_int,
    multiply,
    requantize,
    requantize_int,
    scheme_named,
)
from accelsim.numerics.twins import int16_int, single_int
from accelsim.quant import requant_from_scales

HARDWARE = [name for name, scheme in SCHEMES.items() if scheme.family is Family.FIXED_POINT]
SAMPLE = [
    "xnnpack_rndnu",
    "nvdla_cvt",
    "ethosu_truncate",
    "single_8",
    "single_16",
    "single_17",
    "single_24",
    "single_31",
]
WIDE_CLAMP = (INT32.min, INT32.max)
int32s = st.integers(INT32.min, INT32.max)


def edges(bits: int) -> list[int]:
    """Ends of the range, 0, and powers of two with their neighbours, both signs."""
    fmt = IntFormat(bits)
    powers = {v for k in range(0, bits, 3) for v in ((1 << k) - 1, 1 << k, (1 << k) + 1)} | {-fmt.min, fmt.max}
    return sorted(v for p in powers for v in (p, -p) if fmt.contains(v))


def codes(accs: list[int], requant: Requant) -> list[int]:
    return requantize(np.array(accs, np.int64).reshape(-1, 1), requant).ravel().tolist()


@pytest.mark.parametrize("name", SAMPLE)
def test_hardware_multipliers_equal_their_twins_at_every_edge(name):
    rule = SCHEMES[name]
    accs = edges(rule.wide)
    low, high = rule.multipliers
    for s in range(rule.exponents[0], rule.exponents[1] + 1):
        for m in {low, low + 1, (low + high) // 2 + 1, high - 1, high}:
            requant = Requant(name, [m], [s], 0, *WIDE_CLAMP)
            assert codes(accs, requant) == [requantize_int(a, requant) for a in accs], (m, s)
            assert multiply(accs, m, s, name).tolist() == [rule.twin(a, requant, 0) for a in accs], (m, s)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(HARDWARE), st.data())
def test_any_hardware_multiplier_equals_its_twin(name, data):
    rule = SCHEMES[name]
    limit = 1 << (rule.wide - 1)
    accs = data.draw(st.lists(st.integers(-limit, limit - 1), min_size=1, max_size=8))
    m, s = data.draw(st.integers(*rule.multipliers)), data.draw(st.integers(*rule.exponents))
    requant = Requant(name, [m], [s], data.draw(st.integers(-128, 127)), -128, 127)
    assert codes(accs, requant) == [requantize_int(a, requant) for a in accs]


@settings(deadline=None)
@given(int32s, st.integers(2**23, 2**24 - 1), st.integers(16, 55))
def test_rndnu_is_the_statement_of_xnnpack(x, m, s):
    requant = Requant("xnnpack_rndnu", [m], [s], 0, *WIDE_CLAMP)
    assert SCHEMES["xnnpack_rndnu"].twin(x, requant, 0) == (x * m + (1 << (s - 1))) >> s


@settings(deadline=None)
@given(int32s, st.integers(-(2**15), 2**15 - 1), st.integers(0, 63))
def test_nvdla_rounds_half_away_and_saturates_to_17_bits(x, m, s):
    scaled = Fraction(x * m, 1 << s)
    away = int(abs(scaled) + Fraction(1, 2)) * (1 if scaled >= 0 else -1)
    expected = min(max(away, -(2**16)), 2**16 - 1)
    assert multiply([x], m, s, "nvdla_cvt").tolist() == [expected]


@settings(deadline=None)
@given(int32s, st.integers(0, 2**31 - 1), st.integers(0, 62))
def test_truncation_is_c_division(x, m, s):
    product = x * m
    expected = abs(product) // 2**s * (1 if product >= 0 else -1)
    assert multiply([x], m, s, "ethosu_truncate").tolist() == [expected]


def vta_program(acc: int, shift: int, *, zero_point: int, low: int, high: int) -> int:
    """The ALU instructions a VTA compiler emits, then the store of the low byte."""
    value = (acc >> shift) + zero_point
    for limit, instruction, wanted in ((low, max, low > -128), (high, min, high < 127)):
        value = instruction(value, limit) if wanted else value
    byte = value & 0xFF
    return byte - 256 if byte > 127 else byte


@settings(deadline=None)
@given(int32s, st.integers(0, 31), st.integers(-128, 127), st.tuples(st.integers(-128, 127), st.integers(-128, 127)))
def test_vta_stores_the_low_byte(acc, shift, zero_point, clamp):
    low, high = sorted(clamp)
    requant = Requant("vta_shift", [1], [shift], zero_point, low, high)
    expected = vta_program(acc, shift, zero_point=zero_point, low=low, high=high)
    assert requantize_int(acc, requant) == expected
    assert codes([acc], requant) == [expected]


def test_vta_wraps_where_others_saturate():
    accs = [127, 128, 255, 256, -129]
    assert codes(accs, Requant("vta_shift", [1], [0], 0, -128, 127)) == [127, -128, -1, 0, 127]
    assert codes(accs, Requant("shift_floor", [1], [0], 0, -128, 127)) == [127, 127, 127, 127, -128]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(int32s, min_size=1, max_size=8),
    st.floats(2.0**-40, 2.0**8, width=32) | st.just(0.5),
    st.integers(-128, 127),
)
def test_onnx_reference_equals_its_twin_and_numpy(accs, scale, zero_point):
    requant = Requant("onnx_reference", [scale], [0], zero_point, -128, 127)
    real = np.array(accs, np.int32) * np.float32(scale)
    assert real.dtype == np.float64
    expected = np.rint(np.clip(real + np.int8(zero_point), -128, 127)).astype(int).tolist()
    assert codes(accs, requant) == expected == [requantize_int(a, requant) for a in accs]


def test_an_odd_zero_point_flips_every_tie_of_the_onnx_reference():
    odd = list(range(-99, 100, 2))
    after = codes(odd, Requant("float32_half_even", [0.5], [0], 1, -128, 127))
    before = codes(odd, Requant("onnx_reference", [0.5], [0], 1, -128, 127))
    assert all(abs(a - b) == 1 for a, b in zip(after, before, strict=True))
    even = [codes(odd, Requant(name, [0.5], [0], 2, -128, 127)) for name in ("float32_half_even", "onnx_reference")]
    assert even[0] == even[1]


@pytest.mark.oracle
@pytest.mark.parametrize(("s_out", "zero"), [(2.0**-2, 3), (0.271, -5)])
def test_onnx_reference_equals_the_reference_evaluator(s_out, zero):
    reference = pytest.importorskip("onnx.reference", reason="onnx is not installed")
    from onnx import TensorProto, helper

    names = ["x", "s_in", "z_in", "w", "s_w", "z_w", "s_out", "z_out"]
    kinds = [TensorProto.INT8, TensorProto.FLOAT, TensorProto.INT8] * 2 + [TensorProto.FLOAT, TensorProto.INT8]
    ports = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(names, kinds, strict=True)]
    output = [helper.make_tensor_value_info("y", TensorProto.INT8, None)]
    graph = helper.make_graph([helper.make_node("QLinearConv", names, ["y"])], "one", ports, output)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    rng = np.random.default_rng(5)
    x = rng.integers(-128, 128, (1, 6, 24, 24)).astype(np.int8)
    w = rng.integers(-127, 128, (4, 6, 1, 1)).astype(np.int8)
    scale, nothing = np.array(2.0**-6, np.float32), np.array(0, np.int8)
    values = [x, scale, nothing, w, scale, nothing, np.array(s_out, np.float32), np.array(zero, np.int8)]
    (y,) = reference.ReferenceEvaluator(model).run(None, dict(zip(names, values, strict=True)))
    acc = np.einsum("nchw,oc->nohw", x.astype(np.int64), w[:, :, 0, 0].astype(np.int64))
    clamp = {"zero_point": zero, "clamp_min": -128, "clamp_max": 127}
    requant = requant_from_scales("onnx_reference", s_in=2.0**-6, s_w=2.0**-6, s_out=s_out, **clamp)
    assert np.array_equal(requantize(acc, requant), y)
    assert -128 < np.median(y) < 127


def test_every_alias_has_a_reason_and_is_no_scheme():
    assert set(ALIASES) == set(ALIAS_REASONS)
    assert all(ALIAS_REASONS.values())
    assert not set(ALIASES) & set(SCHEMES)
    for name, target in ALIASES.items():
        assert scheme_named(name) is SCHEMES[target]


@settings(deadline=None)
@given(st.data(), st.integers(2**30, 2**31 - 1), st.integers(2, 62))
def test_tosa_double_is_tflite_double_on_the_values_that_tosa_takes(data, m, s):
    reach = 1 << (min(s, 32) - 1)
    x = data.draw(st.integers(-reach, reach - 1))
    nudge = 0 if s <= 31 else (1 << 30) * (1 if x >= 0 else -1)
    expected = (x * m + (1 << (s - 1)) + nudge) >> s
    assert mbqm_int(x, m, 31 - s) == expected
    assert single_int(x, m, 31 - s) == (x * m + (1 << (s - 1))) >> s


@settings(deadline=None)
@given(int32s, st.integers(2**30, 2**31 - 1), st.integers(-31, 29))
def test_cmsis_nn_single_rounding_and_ethosu_natural_are_single(x, m, e):
    assert ((x * m >> (30 - e)) + 1) >> 1 == single_int(x, m, e)


@settings(deadline=None)
@given(st.integers(-(2**47), 2**47 - 1), st.integers(2**14, 2**15 - 1), st.integers(8, 46))
def test_tflite_int16_is_single_16_with_another_way_to_the_multiplier(x, m, s):
    assert multiply([x], m, s, "single_16").tolist() == [int16_int(x, min(m << 16, 0x7FFEFFFF), 15 - s)]
    assert multiply([x], m, s, "tosa_scale16").tolist() == [(x * m + (1 << (s - 1))) >> s]


@settings(deadline=None)
@given(int32s, st.integers(2**22, 2**23 - 1), st.integers(2, 62))
def test_a_wider_multiplier_with_low_zeros_changes_nothing(x, m, s):
    expected = multiply([x], m, s, "single_24").tolist()
    for bits in range(25, 32):
        extra = bits - 24
        if s + extra <= 62:
            assert multiply([x], m << extra, s + extra, f"single_{bits}").tolist() == expected


@settings(deadline=None, max_examples=150)
@given(int32s, st.floats(2.0**-30, 2.0**7, width=32))
def test_gemmini_is_float32_half_even(x, scale):
    one = np.float32(x) * np.float32(scale)
    expected = int(np.clip(np.rint(np.float64(one)), -128, 127))
    assert codes([x], Requant("gemmini", np.array([scale], np.float32), [0], 0, -128, 127)) == [expected]


@pytest.mark.parametrize(
    ("scheme", "multiplier", "shift", "message"),
    [
        ("xnnpack_rndnu", 2**23 - 1, 20, "integers from 8388608 to 16777215"),
        ("xnnpack_rndnu", 2**24, 20, "integers from 8388608 to 16777215"),
        ("xnnpack_rndnu", 2**23, 15, "expected 16 to 55, got 15"),
        ("xnnpack_rndnu", 2**23, 56, "expected 16 to 55, got 56"),
        ("single_8", 128, 9, "integers from 0 to 127"),
        ("single_8", -1, 9, "integers from 0 to 127"),
        ("single_16", 2**15, 9, "integers from 0 to 32767"),
        ("tosa_scale16", 5, 63, "single_16 shifts: expected 0 to 62"),
        ("nvdla_cvt", 2**15, 9, "integers from -32768 to 32767"),
        ("nvdla_cvt", 1, 64, "expected 0 to 63"),
        ("ethosu_truncate", -1, 9, "integers from 0 to 2147483647"),
        ("vta_shift", 1, 32, "expected 0 to 31"),
        ("vta_shift", 1, -1, "expected 0 to 31"),
        ("onnx_reference", np.inf, 0, "finite float64"),
        ("onnx_reference", 0.5, 1, "expected 0 to 0"),
    ],
)
def test_parameters_that_the_hardware_does_not_hold_are_refused(scheme, multiplier, shift, message):
    with pytest.raises(GraphError, match=message):
        Requant(scheme, [multiplier], [shift], 0, -128, 127)


def test_the_onnx_reference_multiplies_in_floating_point():
    with pytest.raises(ConfigError, match="floating point"):
        multiply([1], 1, 0, "onnx_reference")


COUNT = 200_000
"""Codes per ratio; three standard deviations of 17 % are 0.25 % of them."""


def differing(scheme: str) -> float:
    """Share of codes that differ from one exact rounding, over random ratios and accumulators that fill int8."""
    rng = np.random.default_rng(46)
    changed = 0
    ratios = 2.0 ** rng.uniform(-12, -5, 40)
    for ratio in ratios:
        reach = 128 / ratio
        acc = rng.integers(-int(reach), int(reach), COUNT // len(ratios)).astype(np.int32)
        exact, other = (
            requant_from_scales(name, s_in=1, s_w=1, s_out=1, real=ratio, zero_point=0, clamp_min=-128, clamp_max=127)
            for name in ("single", scheme)
        )
        changed += int((requantize(acc, exact) != requantize(acc, other)).sum())
    return changed / COUNT


@pytest.mark.parametrize(
    ("scheme", "least", "most"),
    [
        ("single_8", 0.15, 0.19),
        ("single_16", 0.0004, 0.0008),
        ("nvdla_cvt", 0.0004, 0.0008),
        ("ethosu_truncate", 0.49, 0.51),
        ("single_24", 0.0, 0.00002),
        ("single_31", 0.0, 0.0),
    ],
)
def test_coarser_multipliers_differ_at_the_published_rates(scheme, least, most):
    assert least <= differing(scheme) <= most
