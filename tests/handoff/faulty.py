"""Faults of the toy device and of how it is fed, by the text that they change, and the kind that a comparison must name."""

# ruff: noqa: E501 (a fault is a line)

from __future__ import annotations

from typing import NamedTuple

from accelsim.handoff.compare import kinds

DUT, BENCH = "toy_mac.sv", "layer_tb.sv"


class Fault(NamedTuple):
    """In ``file`` the text ``right`` becomes ``wrong``; kinds that name it."""

    name: str
    file: str
    right: str
    wrong: str
    kind: str
    also: str = ""


WEIGHT = "weights[((o * KH + ky) * KW + kx) * IC_PER_GROUP + c]"
ROW, COLUMN = "oy * STRIDE_H + ky * DILATION_H", "ox * STRIDE_W + kx * DILATION_W"
FAULTS = (
    Fault("truncates", DUT, "(rounded >>> shift)", "(scaled >>> shift)", kinds.TRUNCATION),
    Fault("truncates toward zero", DUT, "(rounded >>> shift)", "((scaled + (scaled < 0 ? (96'sd1 << shift) - 96'sd1 : 96'sd0)) >>> shift)", kinds.TRUNCATION),
    Fault("rounds up", DUT, "(rounded >>> shift)", "((scaled + (96'sd1 << shift) - 96'sd1) >>> shift)", kinds.TRUNCATION),
    Fault("no saturation", DUT, "code <= clamped[32:0];", "code <= moved[32:0];", kinds.SATURATION),
    Fault("upper end of the clamp", DUT, "low > 96'(clamp_max) ? 96'(clamp_max) : low", "low > 96'(clamp_max) - 1 ? 96'(clamp_max) - 1 : low", kinds.CLAMP),
    Fault("lower end of the clamp", DUT, "moved < 96'(clamp_min) ? 96'(clamp_min)", "moved < -96'sd128 ? -96'sd128", kinds.CLAMP),
    Fault("no output zero point", DUT, "+ 96'(y_zero);", "+ 96'sd0;", kinds.OUTPUT_ZERO),
    Fault("output zero point twice", DUT, "+ 96'(y_zero);", "+ 96'(y_zero) + 96'(y_zero);", kinds.OUTPUT_ZERO),
    Fault("output zero point subtracted", DUT, "+ 96'(y_zero);", "- 96'(y_zero);", kinds.OUTPUT_ZERO),
    Fault("no bias", DUT, "fit(80'(bias))", "fit(80'sd0)", kinds.BIAS),
    Fault("bias twice", DUT, "fit(80'(bias))", "fit(80'(bias) + 80'(bias))", kinds.BIAS),
    Fault("bias subtracted", DUT, "fit(80'(bias))", "fit(-80'(bias))", kinds.BIAS),
    Fault("stale bias", BENCH, "biases[o]", "biases[(o + OC - 1) % OC]", kinds.BIAS),
    Fault("no input zero point", DUT, "(80'(x) - 80'(x_zero))", "80'(x)", kinds.INPUT_ZERO),
    Fault("input zero point added", DUT, "(80'(x) - 80'(x_zero))", "(80'(x) + 80'(x_zero))", kinds.INPUT_ZERO),
    Fault("zero point of the other operand", DUT, "80'(w) * (80'(x) - 80'(x_zero))", "(80'(w) - 80'(x_zero)) * 80'(x)", kinds.SWAPPED),
    Fault("narrow accumulator", DUT, "(sum <<< (80 - ACC_BITS)) >>> (80 - ACC_BITS)", "(sum <<< 66) >>> 66", kinds.WRAPPED),
    Fault("narrow accumulator that saturates", DUT, "fit = moved[63:0];", "fit = moved > 8191 ? 8191 : moved < -8192 ? -8192 : moved[63:0];", kinds.WRAPPED),
    Fault("accumulator not cleared", DUT, "if (start) acc <= fit(80'(bias));", "if (start) acc <= fit((acc === 64'bx ? 80'sd0 : 80'(acc)) + 80'(bias));", kinds.STALE_SUM),
    Fault("weights without a sign", BENCH, "W_SIGNED ? 33'($signed(w_bits))", "0 ? 33'($signed(w_bits))", kinds.SIGN),
    Fault("activations without a sign", BENCH, "X_SIGNED ? 33'($signed(x_bits))", "0 ? 33'($signed(x_bits))", kinds.SIGN),
    Fault("kernel rows and columns", BENCH, WEIGHT, "weights[((o * KH + kx) * KW + ky) * IC_PER_GROUP + c]", kinds.SWAPPED),
    Fault("kernel turned", BENCH, WEIGHT, "weights[((o * KH + KH - 1 - ky) * KW + KW - 1 - kx) * IC_PER_GROUP + c]", kinds.SWAPPED),
    Fault("weights in another order", BENCH, WEIGHT, "weights[((ky * KW + kx) * IC_PER_GROUP + c) * OC + o]", kinds.PACKING),
    Fault("weight address", BENCH, WEIGHT, "weights[(((o * KH + ky) * KW + kx) * IC_PER_GROUP + c + 1) % (OC * KH * KW * IC_PER_GROUP)]", kinds.ADDRESS),
    Fault("weights of the next channel", BENCH, WEIGHT, "weights[((((o + 1) % OC) * KH + ky) * KW + kx) * IC_PER_GROUP + c]", kinds.ADDRESS),
    Fault("row address", BENCH, ROW, f"({ROW} + 1) % AH", kinds.ADDRESS),
    Fault("column address", BENCH, COLUMN, f"({COLUMN} + AW - 1) % AW", kinds.ADDRESS),
    Fault("channel address", BENCH, "(o / OC_PER_GROUP) * IC_PER_GROUP + c]", "(o / OC_PER_GROUP) * IC_PER_GROUP + (c + 1) % IC]", kinds.ADDRESS),
    Fault("last channel left out", BENCH, "c < IC_PER_GROUP;", "c < IC_PER_GROUP - 1;", kinds.COUNT),
    Fault("last kernel column left out", BENCH, "kx < KW;", "kx < KW - 1;", kinds.COUNT),
    Fault("first product left out", BENCH, "@(negedge clk);\n                    end", "valid = 1;\n                        @(negedge clk);\n                    end", kinds.COUNT),
    Fault("written a cycle late", BENCH, "code[Y_BITS-1:0]);\n            if (!done", "late[Y_BITS-1:0]);\n            late = code;\n            if (!done", kinds.LATE),
    Fault("shift", BENCH, "shift = shifts[form];", "shift = shifts[form] + 1;", kinds.MULTIPLIER),
    Fault("multiplier of the channel before", BENCH, "form = FORMS == 1 ? 0 : o;", "form = (o + OC - 1) % OC;", kinds.MULTIPLIER),
    Fault("multiplier of the first channel", BENCH, "form = FORMS == 1 ? 0 : o;", "form = 0;", kinds.MULTIPLIER),
    Fault("half of the multiplier", BENCH, "factor = factors[form];", "factor = factors[form] & ~33'hffffff;", kinds.MULTIPLIER),
    Fault("stuck bit", DUT, "code <= clamped[32:0];", "code <= clamped[32:0] | 33'd4;", kinds.STUCK),
)  # fmt: skip


def changed(fault: Fault, files: dict[str, str]) -> dict[str, str]:
    """The files with the fault in them; AssertionError where the text is not there."""
    text = files[fault.file]
    assert text.count(fault.right) == 1, fault.name
    text = text.replace(fault.right, fault.wrong)
    if fault.name == "first product left out":  # valid goes up with the second product
        text = text.replace("            valid = 1;\n            for (ky", "            for (ky").replace(
            "valid = 1;\n                        @(negedge clk);", "valid = !(ky == 0 && kx == 0 && c == 0);\n                        @(negedge clk);"
        )  # fmt: skip
    if "late" in fault.wrong:
        text = text.replace("reg [7:0] shift = 0;", "reg [7:0] shift = 0;\n    reg [32:0] late = 0;")
    return {**files, fault.file: text}
