"""Lists of stages in SystemVerilog against their definition in plain integers and the kernel, registers as wide as is proved."""

from __future__ import annotations

import shutil
from collections import Counter

import numpy as np
import pytest

from accelsim.numerics import Kind, Requant, Rounding, StagedScheme, requantize, requantize_int
from tests.rtl.bench import Design
from tests.stages_drawn import ENTRIES, accumulators, drawn_requant, drawn_scheme

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in ("verilator", "make", "g++")),
        reason="verilator, make and g++ simulate the RTL",
    ),
]
STAGES, LISTS, SUMS = 12, 1_200, 40
KINDS = {
    Kind.ADD: 0, Kind.OFFSET: 0, Kind.MULTIPLY: 1, Kind.SHIFT: 2, Kind.LEFT: 3, Kind.WRAP: 4, Kind.SATURATE: 5, Kind.CLIP: 5,
    Kind.TABLE: 6,
}  # fmt: skip
WIDEST = -(2**63), 2**63 - 1


def words(value: int) -> list[int]:
    """Low and high half, as the harness reads them."""
    low, high = value & 0xFFFFFFFF, value >> 32
    return [low - (1 << 32) if low >> 31 else low, high]


def width(low: int, high: int) -> int:
    """Bits of a register for values from ``low`` to ``high``, sign included."""
    return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0) + 1


def records(rule: StagedScheme, requant: Requant) -> list[int]:
    """The STAGES records of one channel's list."""
    made: list[int] = []
    for stage, operands, ends in zip(rule.stages.stages, rule.operands(requant), rule.intervals, strict=True):
        operand, rounding, limits = int(operands[0]), list(Rounding).index(stage.rounding), WIDEST
        if stage.kind is Kind.OFFSET:
            operand = -operand
        if stage.kind is Kind.WRAP:
            operand, rounding = stage.bits, int(stage.signed)
        if stage.kind is Kind.SATURATE:
            limits = stage.format.min, stage.format.max
        if stage.kind is Kind.CLIP:
            limits = (
                WIDEST[0] if stage.low is None else stage.low,
                WIDEST[1] if stage.high is None else stage.high,
            )
        made += [KINDS[stage.kind], rounding, width(*ends), *words(operand), *words(limits[0]), *words(limits[1])]
    idle = [0, 0, 64, *words(0), *words(WIDEST[0]), *words(WIDEST[1])]
    return made + idle * (STAGES - len(rule.stages.stages))


def test_every_list_computes_its_definition(tmp_path: object) -> None:
    """1,200 random lists on 40 accumulators each: plain integers, kernel and RTL agree on every code."""
    rng, stimulus, expected, met = np.random.default_rng(18), [], [], Counter[Kind]()
    for _ in range(LISTS):
        rule = drawn_scheme(rng)
        requant = drawn_requant(rng, rule)
        values = accumulators(rng, rule, SUMS)
        met.update(stage.kind for stage in rule.stages.stages)
        table = next((stage.values for stage in rule.stages.stages if stage.values), ())
        assert len(table) in (0, ENTRIES)
        head = [len(table), *table, requant.clamp_min, requant.clamp_max]
        sums = [word for value in values.tolist() for word in words(value)]
        stimulus.append([*head, *records(rule, requant), len(values), *sums])
        codes = [requantize_int(int(value), requant) for value in values]
        np.testing.assert_array_equal(requantize(values, requant), codes, err_msg=rule.name)
        expected += codes
    made = Design("output_stages", tmp_path, {"STAGES": STAGES}).run(stimulus)
    np.testing.assert_array_equal(made, expected)
    assert min(met[kind] for kind in Kind) > LISTS // 20
    assert len(set(expected)) > 1000
