"""The requantization unit in SystemVerilog against the integer definition of every scheme and against the kernels."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from accelsim.numerics import SCHEMES, Family, Requant, RequantScheme, requantize, requantize_int
from tests.rtl.bench import Design

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in ("verilator", "make", "g++")),
        reason="verilator, make and g++ simulate the RTL",
    ),
]
UNITS = (
    *("tflite_double", "half_up_twice", "single", "tflite_int16", "fixed_half_up", "ethosu_truncate", "nvdla_cvt"),
    *("shift_half_up", "shift_half_even", "shift_floor", "vta_shift", "shift_half_away"),
)
NAMES = [name for name, scheme in SCHEMES.items() if not scheme.family.is_float]
RECORDS, PER_RECORD = 100, 110


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Design:
    return Design("requantize_all", tmp_path_factory.mktemp("requantize"))


def random_requant(rng: np.random.Generator, rule: RequantScheme) -> Requant:
    low, high = rule.multipliers
    m = 1 if rule.family is Family.POWER_OF_TWO else int(rng.choice([low, high, int(rng.integers(low, high + 1))]))
    shift = int(rng.integers(rule.exponents[0], rule.exponents[1] + 1))
    zero, bits = int(rng.integers(-128, 128)), int(rng.choice([4, 8, 16, 32]))
    clamp_min, clamp_max = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if rng.random() < 0.8 else (-128, 100)
    if rule.is_whole:
        clamp_min, clamp_max = (-128, 127) if rng.random() < 0.5 else (int(rng.integers(-128, 0)), 100)
    return Requant(
        scheme=rule.name,
        multiplier=np.array([m], dtype=np.int32),
        shift=np.array([shift], dtype=np.int32),
        zero_point=zero,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )


def accumulators(rng: np.random.Generator, rule: RequantScheme, requant: Requant) -> np.ndarray:
    """Edges, small values, all magnitudes, and halves of the quotient's unit: ties where the multiplier is one."""
    half = 1 << (rule.wide - 1)
    edges = [-half, -half + 1, -2, -1, 0, 1, 2, half - 2, half - 1, -(2**31), 2**31 - 1]
    sizes = rng.integers(0, rule.wide, 50)
    scattered = [int(rng.integers(-(1 << s), 1 << s)) for s in map(int, sizes)]
    unit = 1 << min(max(int(requant.shift[0]) - 1, 0), rule.wide - 8)
    ties = [int(k) * unit + int(d) for k, d in zip(rng.integers(-64, 64, 49), rng.integers(-1, 2, 49), strict=True)]
    return np.clip(np.array(edges + scattered + ties, dtype=np.int64), -half, half - 1)


def record(select: int, acc: int, requant: Requant) -> list[int]:
    low, high = acc & 0xFFFFFFFF, acc >> 32
    signed = low - (1 << 32) if low >> 31 else low
    parameters = [int(requant.multiplier[0]), int(requant.shift[0]), requant.zero_point]
    return [select, signed, high, *parameters, requant.clamp_min, requant.clamp_max]


@pytest.mark.parametrize("name", NAMES)
def test_every_code_equals_the_definition(name: str, unit: Design) -> None:
    """11,000 accumulators per scheme under 100 sets of parameters; no code differs."""
    rule = SCHEMES[name]
    fixed = name.startswith("single_") or name == "xnnpack_rndnu"
    rng, select = np.random.default_rng(NAMES.index(name)), UNITS.index("fixed_half_up" if fixed else name)
    stimulus, expected = [], []
    for _ in range(RECORDS):
        requant = random_requant(rng, rule)
        values = accumulators(rng, rule, requant)
        assert len(values) == PER_RECORD
        stimulus.append([record(select, int(acc), requant) for acc in values])
        expected += [requantize_int(int(acc), requant) for acc in values]
        np.testing.assert_array_equal(requantize(values, requant), expected[-PER_RECORD:])
    np.testing.assert_array_equal(unit.run(stimulus), expected)
    assert len(set(expected)) > 100
