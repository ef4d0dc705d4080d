"""Requantization schemes that have RTL: their names in ``requantize_pkg.sv``, and the lane that a machine's schemes are made into."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.numerics import SCHEMES as ALL

_UNITS = (
    *("tflite_double", "half_up_twice", "single", "tflite_int16", "ethosu_truncate", "nvdla_cvt"),
    *("shift_half_up", "shift_half_even", "shift_floor", "shift_half_away", "vta_shift"),
)
SCHEMES: dict[str, str] = {
    **{name: name.upper() for name in _UNITS if name in ALL},
    **{name: "FIXED_HALF_UP" for name in ALL if name.startswith("single_") or name == "xnnpack_rndnu"},
}
"""By name of a scheme, its unit."""

_LANE = """// One lane of the requantization unit: {names}.
module requantize_lane
  import isa_pkg::*;
  import requantize_pkg::*;
#(
    parameter int ACC_BITS = 32
) (
    input  logic signed [ACC_BITS-1:0] acc,
    input  int_t                       scheme,
    input  logic signed [31:0]         multiplier,
    input  logic signed [7:0]          shift,
    input  logic signed [31:0]         zero_point,
    input  logic signed [31:0]         clamp_min,
    input  logic signed [31:0]         clamp_max,
    output logic signed [31:0]         code
);
  logic signed [31:0] codes[{count}];
{units}
{choice}
endmodule
"""


def requantize_lane(units: Sequence[str]) -> str:
    """SystemVerilog of a lane with these ``units``, which operations choose by number."""
    made = "\n".join(
        f"  requantize #(.SCHEME({unit}), .ACC_BITS(ACC_BITS)) u_{unit.lower()} (\n"
        f"      .acc, .multiplier, .shift, .zero_point, .clamp_min, .clamp_max, .code(codes[{i}])\n  );"
        for i, unit in enumerate(units)
    )
    one = (
        "  assign code = codes[0];\n  // verilator lint_off UNUSEDSIGNAL\n  logic unused;\n  assign unused = ^scheme;\n"
        "  // verilator lint_on UNUSEDSIGNAL"
    )
    several = (
        "  always_comb begin\n    code = codes[0];\n"
        + "".join(f"    if (scheme == {i}) code = codes[{i}];\n" for i in range(1, len(units)))
        + "  end"
    )
    return _LANE.format(
        names=", ".join(unit.lower() for unit in units),
        count=len(units),
        units=made,
        choice=one if len(units) == 1 else several,
    )
