"""Requantization schemes that have RTL: their names in ``requantize_pkg.sv``, lists of stages, and the lane that both are made into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

from accelsim.numerics import SCHEMES as ALL
from accelsim.numerics import Kind, Operand, RequantScheme, Rounding, Stage, StagedScheme

_UNITS = (
    *("tflite_double", "half_up_twice", "single", "tflite_int16", "ethosu_truncate", "nvdla_cvt"),
    *("shift_half_up", "shift_half_even", "shift_floor", "shift_half_away", "vta_shift"),
)
SCHEMES: dict[str, str] = {
    **{name: name.upper() for name in _UNITS if name in ALL},
    **{name: "FIXED_HALF_UP" for name in ALL if name.startswith("single_") or name == "xnnpack_rndnu"},
}
"""By name of a scheme, its unit."""


@dataclass(frozen=True)
class Comparison:
    """A lane that compares a sum of ``bits`` with so many ``levels``."""

    levels: int
    bits: int


Unit = str | StagedScheme | Comparison
"""The arithmetic of a lane: a name in ``requantize_pkg.sv``, a list of stages, or comparisons."""


def unit_of(rule: RequantScheme) -> Unit | None:
    """The unit of a scheme; None where it has no RTL."""
    return rule if isinstance(rule, StagedScheme) else SCHEMES.get(rule.name)


def fields(units: Sequence[Unit]) -> dict[str, int]:
    """Bits of what each channel gives to a lane with these ``units``: the fields of ``operands_t``, first one in the highest bits."""
    bits = {"multiplier": 32 if any(isinstance(unit, str) for unit in units) else 1, "shift": 8}
    for unit in units:
        for name, own in operand_bits(unit).items() if isinstance(unit, StagedScheme) else ():
            bits[name] = max(bits.get(name, 0), own)
        if isinstance(unit, Comparison):
            bits |= {"levels": unit.levels * (unit.bits + 1), "start": 32, "falls": 1}
    return bits


_LANE = """// One lane of the requantization unit: {names}.
module requantize_lane
  import isa_pkg::*;
  import config_pkg::operands_t;
  import requantize_pkg::*;
  import output_stages_pkg::*;
#(
    parameter int ACC_BITS = 32
) (
    // verilator lint_off UNUSEDSIGNAL
    input  logic signed [ACC_BITS-1:0] acc,
    input  int_t                       scheme,
    input  operands_t                  operands,
    input  logic signed [31:0]         zero_point,
    input  logic signed [31:0]         clamp_min,
    input  logic signed [31:0]         clamp_max,
    // verilator lint_on UNUSEDSIGNAL
    output logic signed [31:0]         code
);
  logic signed [31:0] codes[{count}];
{units}
{choice}
endmodule
"""


def requantize_lane(units: Sequence[Unit]) -> str:
    """SystemVerilog of a lane with these ``units``, which operations choose by number."""
    choice = "  assign code = codes[0];"
    if len(units) > 1:
        chosen = "".join(f"    if (scheme == {i}) code = codes[{i}];\n" for i in range(1, len(units)))
        choice = f"  always_comb begin\n    code = codes[0];\n{chosen}  end"
    return _LANE.format(
        names=", ".join(map(unit_label, units)), count=len(units), units="\n".join(map(_instance, range(len(units)), units)), choice=choice,
    )  # fmt: skip


def unit_label(unit: Unit) -> str:
    """What people call it."""
    return unit.lower() if isinstance(unit, str) else "stages" if isinstance(unit, StagedScheme) else "thresholds"


def _instance(number: int, unit: Unit) -> str:
    if isinstance(unit, StagedScheme):
        return stages_unit(unit, number)
    if isinstance(unit, Comparison):
        return (
            f"  thresholds #(.LEVELS({unit.levels}), .ACC_BITS(ACC_BITS)) u_thresholds (\n"
            f"      .acc, .levels(operands.levels), .start(operands.start), .falls(operands.falls), .code(codes[{number}])\n  );"
        )
    return (
        f"  requantize #(.SCHEME({unit}), .ACC_BITS(ACC_BITS)) u_{unit.lower()} (\n"
        "      .acc, .multiplier(32'(operands.multiplier)), .shift(operands.shift), .zero_point, .clamp_min, .clamp_max,\n"
        f"      .code(codes[{number}])\n  );"
    )


_KINDS = {
    Kind.ADD: "ADD", Kind.OFFSET: "ADD", Kind.MULTIPLY: "MULTIPLY", Kind.SHIFT: "SHIFT", Kind.LEFT: "LEFT", Kind.WRAP: "WRAP",
    Kind.SATURATE: "LIMIT", Kind.CLIP: "LIMIT", Kind.TABLE: "TABLE",
}  # fmt: skip
_LOWEST, _HIGHEST = "64'sh8000000000000000", "64'sh7fffffffffffffff"
_NAMED = {
    Operand.MULTIPLIER: "64'(operands.multiplier)", Operand.BIAS: "64'(operands.addend)", Operand.SHIFT: "64'(operands.shift)",
    Operand.LEFT_SHIFT: "(operands.shift < 0) ? -64'(operands.shift) : 64'sd0",
    Operand.RIGHT_SHIFT: "(operands.shift > 0) ? 64'(operands.shift) : 64'sd0",
}  # fmt: skip
"""What the layer gives, as fields of ``operands_t``."""


def width(*values: int) -> int:
    """Bits that hold ``values`` as signed integers."""
    return 1 + max((-v - 1).bit_length() if v < 0 else v.bit_length() for v in values)


def operand_bits(rule: StagedScheme) -> dict[str, int]:
    """Bits of the fields of ``operands_t`` that the list reads, sign included."""
    names = {Operand.MULTIPLIER: "multiplier", Operand.BIAS: "addend"}
    if not rule.is_plain_zero:
        names[Operand.ZERO_POINT] = "zero"
    return {
        names[stage.operand]: width(stage.format.min << stage.left, stage.format.max << stage.left)
        for stage in rule.stages.stages
        if isinstance(stage.operand, Operand) and stage.operand in names
    }


def stages_unit(rule: StagedScheme, number: int) -> str:
    """Declarations and instances that take ``acc`` to ``codes[number]``; ``operands`` and the clamp are the lane's."""
    name, count = f"staged_{number}", len(rule.stages.stages)
    lines = [
        f"  // {rule.stages}",
        f"  logic signed [63:0] {name}[{count + 1}];",
        f"  assign {name}[0] = 64'(acc);",
    ]
    for i, stage in enumerate(rule.stages.stages):
        lines += _stage(rule, i, stage, name)
    last = f"{name}[{count}]"
    lines.append(
        f"  assign codes[{number}] = ({last} < 64'(clamp_min)) ? clamp_min : ({last} > 64'(clamp_max)) ? clamp_max : 32'({last});"
    )
    return "\n".join(lines)


def _stage(rule: StagedScheme, i: int, stage: Stage, name: str) -> list[str]:
    low, high, rounding, operand = _LOWEST, _HIGHEST, _rounding(stage), _operand(rule, i, stage)
    if stage.kind is Kind.SATURATE:
        low, high = _constant(stage.format.min), _constant(stage.format.max)
    if stage.kind is Kind.CLIP:
        low, high = (end if own is None else _constant(own) for end, own in ((low, stage.low), (high, stage.high)))
    values = stage.values or (0,)
    entries = fill(
        ", ".join(f"32'h{value & 0xFFFFFFFF:x}" for value in reversed(values)), 120, subsequent_indent=" " * 10
    )
    return [
        f"  output_stage #(.ENTRIES({len(values)})) u_{name}_{i + 1} (  // {stage.formula}",
        f"      .x({name}[{i}]), .kind({_KINDS[stage.kind]}), .rounding({rounding}), .operand({operand}),",
        f"      .low({low}), .high({high}), .bits(7'd{width(*rule.intervals[i])}),",
        f"      .entries({{{entries}}}), .y({name}[{i + 1}])",
        "  );",
    ]


def _rounding(stage: Stage) -> str:
    if stage.kind is Kind.WRAP:
        return f"3'd{int(stage.signed)}"
    return Rounding(stage.rounding).name if stage.kind is Kind.SHIFT else "FLOOR"


def _operand(rule: StagedScheme, i: int, stage: Stage) -> str:
    if stage.kind is Kind.WRAP:
        return f"64'sd{stage.bits}"
    if stage.kind is Kind.TABLE:
        return _constant(rule.table_offset(i))
    if not isinstance(stage.operand, Operand):
        return _constant(-stage.constant if stage.kind is Kind.OFFSET else stage.constant)
    if stage.operand is Operand.ZERO_POINT:
        # The list adds it to the code, or has it in other units.
        if rule.is_plain_zero:
            return "64'(zero_point)"
        return "-64'(operands.zero)" if stage.kind is Kind.OFFSET else "64'(operands.zero)"
    return _NAMED[stage.operand]


def _constant(value: int) -> str:
    return f"64'sh{value & (1 << 64) - 1:x}"
