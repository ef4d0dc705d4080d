"""Faults of exported RTL, by the text that they change, and the layer and the kind that a comparison must name."""

# ruff: noqa: E501 (a fault is a line)

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from accelsim.arch import Arch, load_arch
from accelsim.graph import Conv2D, DepthwiseConv2D, Graph, HostPort, MacGeometry, Tensor
from accelsim.handoff.compare import kinds
from accelsim.numerics import INT8
from accelsim.quant import requant_from_scales
from tests.networks import single

ROWS = 4
MACHINES: dict[str, dict[str, Any]] = {
    "weights stay": {},
    "weights stay, preloaded": {"array.weight_preload": "overlapped", "array.pipeline_stages": 1},
    "inputs stay": {"array.dataflow": "input_stationary"},
    "sums stay": {"array.dataflow": "output_stationary"},
    "adder tree": {"array.dataflow": "adder_tree", "accumulator.products_per_add": ROWS},
    "narrow": {"accumulator.bits": 17, "accumulator.overflow": "saturate", "accumulator.products_per_add": ROWS},
}
"""By name of a machine what it has other than ``machine("weights stay")``."""


def machine(name: str) -> Arch:
    """A small array, with tiles that do not hold a layer, latency of DRAM, and registers behind the requantizer."""
    return load_arch("edge_16x16").with_(
        {
            "array.rows": ROWS, "array.cols": ROWS, "requantizer.lanes": 2, "requantizer.pipeline_stages": 2,
            "accumulator.count": 96, "weight_buffer.size_bytes": 512,
        }
        | MACHINES[name]
    )  # fmt: skip


POINT, WINDOW, APART, LAST = "point", "window", "apart", "last"
"""Layers: 1 x 1 without padding and with one multiplier; 3 x 3 with padding; depthwise with a stride; one that takes the whole image."""


def network() -> Graph:
    """The four layers, on images of 6 x 6 pixels; zero points everywhere, and codes that reach both ends of their clamps."""
    square = {"n": 1, "ih": 6, "iw": 6, "kh": 3, "kw": 3, "pad_top": 1, "pad_left": 1}
    layers = {
        POINT: (Conv2D, MacGeometry(n=1, ih=6, iw=6, ic=4, oh=6, ow=6, oc=6, kh=1, kw=1)),
        WINDOW: (Conv2D, MacGeometry(**square, ic=6, oc=8, oh=6, ow=6)),
        APART: (DepthwiseConv2D, MacGeometry(**square, ic=8, oc=8, oh=3, ow=3, stride_h=2, stride_w=2, groups=8)),
        LAST: (Conv2D, MacGeometry(n=1, ih=3, iw=3, ic=8, oh=1, ow=1, oc=12, kh=3, kw=3)),
    }  # fmt: skip
    names, made, tensors = ["x", "t", "u", "v", "y"], [], {}
    for number, (name, (kind, geometry)) in enumerate(layers.items()):
        source, target = names[number : number + 2]
        spread = np.linspace(0.6, 1.4, geometry.oc) if name != POINT else np.ones(1)
        ratio = spread / ((66 if number else 100) * np.sqrt(geometry.kh * geometry.kw * geometry.ic_per_group))
        requant = requant_from_scales("single", s_in=1, s_w=ratio, s_out=1, zero_point=5, clamp_min=-100, clamp_max=120)
        layer = single(kind, geometry, seed=number).layers[0]
        bias = np.random.default_rng(number).integers(-4000, 4000, geometry.oc)
        made.append(replace(layer, name=name, inputs=(source,), output=target, input_zero_point=5 if number else -7, bias=bias, requant=requant))  # fmt: skip
        tensors |= {source: Tensor(source, geometry.input_shape, INT8, 5 if number else -7), target: Tensor(target, geometry.output_shape, INT8, 5)}  # fmt: skip
    ports = {"inputs": (HostPort("x", "x"),), "outputs": (HostPort("y", "y"),)}
    return Graph(name="four", arithmetic="tflite-micro", tensors=tensors, layers=tuple(made), **ports)


class Fault(NamedTuple):
    """In ``rtl/FILE.sv`` the text ``right`` becomes ``wrong``; the first layer that shows it, and the kinds that name it."""

    name: str
    file: str
    right: str
    wrong: str
    layer: str
    kinds: tuple[str, ...]
    machine: str = "weights stay"


HALF, LIMIT = "HALF_UP:   bias = half;", "(value < low) ? low : (value > high) ? high : value"
CODE = "32'(limit(moved, wide_t'(clamp_min), wide_t'(clamp_max)))"
CHANNEL = "(op.per_channel != 0) ? channels[i] : 0"
START = "first[p] ? bias[p] : words[address[p]]"
CODES = "ACTIVATION_BITS'(int_t'($signed(codes[r])) - zero_point)"
INSIDE = "y >= 0 && y < op.box_h && x >= 0 && x < op.box_w"
WEIGHT = "weight_address + c * reduction + weight_k"
PIXEL = "input_offset(row_tap[r], now.pixel, op)"
FAULTS = (
    Fault("the shift truncates", "requantize", HALF, "HALF_UP:   bias = '0;", POINT, (kinds.TRUNCATION,)),
    Fault("the shift rounds up", "requantize", HALF, "HALF_UP:   bias = (half <<< 1) - wide_t'(1);", POINT, (kinds.TRUNCATION,)),
    Fault("codes do not saturate", "requantize", CODE, "32'(moved)", POINT, (kinds.SATURATION,)),
    Fault("upper end of the clamp", "requantize", LIMIT, LIMIT.replace("> high) ? high", ">= high) ? high - wide_t'(1)"), POINT, (kinds.CLAMP,)),
    Fault("no output zero point", "requantize", "scaled + wide_t'(zero_point)", "scaled", POINT, (kinds.OUTPUT_ZERO,)),
    Fault("output zero point subtracted", "requantize", "scaled + wide_t'(zero_point)", "scaled - wide_t'(zero_point)", POINT, (kinds.OUTPUT_ZERO,)),
    Fault("the shift is one less", "requantize", "round_shift(product, 31 - s, HALF_UP)", "round_shift(product, 30 - s, HALF_UP)", POINT, (kinds.MULTIPLIER,)),
    Fault("half of the multiplier", "requantize", "wide * wide_t'(multiplier)", "wide * wide_t'(multiplier & ~32'hffffff)", POINT, (kinds.MULTIPLIER,)),
    Fault("multiplier of the next channel", "requantizer", CHANNEL, CHANNEL.replace("channels[i]", "channels[i+1]"), WINDOW, (kinds.MULTIPLIER,)),
    Fault("multiplier of the first channel", "requantizer", CHANNEL, "0", WINDOW, (kinds.MULTIPLIER,)),
    Fault("the channel counter starts anew each cycle", "requantizer", "running ? channel : 0", "0", WINDOW, (kinds.MULTIPLIER,)),
    Fault("sums of the next address", "requantizer", "op.accumulator_base + done_before + i;", "op.accumulator_base + done_before + i + 1;", POINT, (kinds.ADDRESS,)),
    Fault("codes go to the next address", "requantizer", "op.base + done_before, narrow", "op.base + done_before + 32'sd1, narrow", POINT, (kinds.ADDRESS, kinds.LATE)),
    Fault("the lanes of the requantizer are reversed", "requantizer", "assign narrow[i] =", "assign narrow[LANES-1-i] =", POINT, (kinds.ENDIANNESS,)),
    Fault("a bit is stuck", "requantizer", "codes[i][BITS-1:0];", "codes[i][BITS-1:0] | BITS'(4);", POINT, (kinds.STUCK,)),
    Fault("codes come a cycle later than their address", "requantizer", "  // verilator lint_off UNUSEDSIGNAL\n  logic unused;\n  assign unused = ^{number,", "  logic [LANES-1:0][BITS-1:0] prompt;\n  always_ff @(posedge clk) write_data <= prompt;\n  // verilator lint_off UNUSEDSIGNAL\n  logic unused;\n  assign unused = ^{number,", POINT, (kinds.LATE,)),
    Fault("bias of the next channel", "array_core", "bias_address[c] = first_bias + c;", "bias_address[c] = first_bias + c + 1;", POINT, (kinds.BIAS,)),
    Fault("no bias", "accumulators", START, "first[p] ? '0 : words[address[p]]", POINT, (kinds.BIAS,)),
    Fault("sums are not cleared", "accumulators", START, "words[address[p]]", POINT, (kinds.STALE_SUM, kinds.BIAS)),
    Fault("each fold begins anew", "accumulators", START, "first[p] ? bias[p] : '0", WINDOW, (kinds.LOST_STEP, kinds.COUNT)),
    Fault("sums wrap", "fit", "policy != 2'd0", "policy == 2'd3", WINDOW, (kinds.SATURATION,), "narrow"),
    Fault("partial sums lose their sign", "accumulators", "SUM_BITS'($signed(psum[p]))", "SUM_BITS'(psum[p])", POINT, (kinds.SIGN,)),
    Fault("activations lose their sign", "array_core", "int_t'($signed(codes[r]))", "int_t'(codes[r])", POINT, (kinds.SIGN,)),
    Fault("no input zero point", "array_core", CODES, "ACTIVATION_BITS'($signed(codes[r]))", POINT, (kinds.INPUT_ZERO,)),
    Fault("padding holds the code 0", "array_core", f"input_used[r] ? {CODES} : '0", f"input_used[r] ? {CODES} : ACTIVATION_BITS'(-zero_point)", WINDOW, (kinds.PADDING,)),
    Fault("padding is what stands there", "isa_pkg", INSIDE, "op.box_h > 0 && op.box_w > 0 && (y > 0 || y <= 0) && (x > 0 || x <= 0)", WINDOW, (kinds.PADDING,)),
    Fault("the box is a row too high", "isa_pkg", "y < op.box_h", "y <= op.box_h", WINDOW, (kinds.PADDING,)),
    Fault("the box begins a column too late", "isa_pkg", "x >= 0", "x >= 1", POINT, (kinds.PADDING,)),
    Fault("address of the activations", "fold_feeder", PIXEL, f"{PIXEL} + 1", POINT, (kinds.ADDRESS,)),
    Fault("address of the weights", "array_core", WEIGHT, f"{WEIGHT} + 1", POINT, (kinds.ADDRESS,)),
    Fault("weights are written an address too far", "array_core", ".write_address(weight_write)", ".write_address(weight_write + 1)", POINT, (kinds.ADDRESS,)),
    Fault("weights are read backwards", "array_core", WEIGHT, "weight_address + c * reduction + reduction - 1 - weight_k", POINT, (kinds.SWAPPED, kinds.PACKING)),
    Fault("rows of pixels stand an element apart", "isa_pkg", "pixel.offset + op.step_oy", "pixel.offset + op.step_oy + 1", WINDOW, (kinds.ADDRESS,)),
    Fault("the last row enters a cycle early", "skew", "assign skewed[lane] = line[lane-1];", "assign skewed[lane] = (lane == LANES - 1 && lane > 1 && BITS > 8) ? line[lane-2] : line[lane-1];", POINT, (kinds.LATE, kinds.SKEW)),
    Fault("the last row enters a cycle late", "skew", "assign skewed[lane] = line[lane-1];", "logic [BITS-1:0] late;\n    always_ff @(posedge clk) late <= line[lane-1];\n    assign skewed[lane] = (lane == LANES - 1 && BITS > 9) ? late : line[lane-1];", POINT, (kinds.SKEW, kinds.LATE)),
    Fault("the groups of a depthwise layer", "fold_feeder", "op.input_base + now.group_offset +", "op.input_base +", APART, (kinds.ADDRESS,)),
    Fault("bias of the first channel of a depthwise layer", "fold_feeder", "op.bias_base + now.channel_group +", "op.bias_base +", APART, (kinds.BIAS,)),
    Fault("lanes of a store repeat the first", "store_engine", "head.base + position[i];", "head.base + sent;", POINT, (kinds.ADDRESS,)),
    Fault("operations begin before data are there", "accel_core", "FREED[e*ENGINES+o] ? frees[o] : finishes[o]", "frees[o]", POINT, (kinds.LATE, kinds.NEVER)),
    Fault("the last operation never begins", "op_queue", "ready = number < COUNT;", "ready = number + 1 < COUNT;", LAST, (kinds.NEVER,)),
    Fault("the first product is lost", "sum_feeder", "step_first = now.cycle == 0;", "step_first = now.cycle == 1;", POINT, (kinds.COUNT,), "sums stay"),
    Fault("the last step is not waited for", "sum_feeder", "step_last = behind.group != 0;", "step_last = behind.k + 1 == op.reduction;", POINT, (kinds.COUNT,), "sums stay"),
    Fault("sums that stay are not cleared", "pe_os", "first_late ? bias : acc", "acc", POINT, (kinds.STALE_SUM,), "sums stay"),
    Fault("sums of the rows are written a row too far", "sum_feeder", "assign fold_address = now.sums +", "assign fold_address = now.sums + op.outputs +", POINT, (kinds.ADDRESS, kinds.LATE), "sums stay"),
    Fault("a leaf of the tree is lost", "adder_tree", "(i < LEAVES)", "(i < LEAVES - 1)", POINT, (kinds.COUNT,), "adder tree"),
    Fault("new weights are taken a cycle late", "pe_ws", "assign weight = swap_in ? shadow : held;", "assign weight = held;\n  always_ff @(posedge clk) if (swap_in) held <= shadow;", POINT, (kinds.LATE,), "weights stay, preloaded"),
)  # fmt: skip


def changed(fault: Fault, files: dict[str, str]) -> dict[str, str]:
    """The sources that the fault is in; AssertionError where its text is not there."""
    path = f"rtl/{fault.file}.sv"
    text = files[path]
    assert fault.right in text, f"{fault.name}: {path} has no {fault.right!r}"
    text = text.replace(fault.right, fault.wrong)
    if "<= prompt" in fault.wrong:
        text = text.replace(".late({finished, write_count, write_address, write_data})", ".late({finished, write_count, write_address, prompt})")  # fmt: skip
    if "held <= shadow" in fault.wrong:
        text = text.replace("    held           <= weight;\n", "")
    return {path: text}
