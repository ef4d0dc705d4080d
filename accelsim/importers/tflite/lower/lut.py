"""Operators that become tables: LOGISTIC, TANH, HARD_SWISH, and SOFTMAX."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from accelsim.graph import InterpolatedLut, Lut, Softmax
from accelsim.importers.refusal import RefusalError
from accelsim.importers.tflite import gemmlowp, tables
from accelsim.importers.tflite.context import FORMATS, NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.quant import encode_multiplier

FUNCTIONS = {"LOGISTIC": tables.logistic, "TANH": tables.tanh}
FIXED_POINT = {"LOGISTIC": gemmlowp.logistic_code, "TANH": gemmlowp.tanh_code}
OUTPUT = {
    "LOGISTIC": {"INT8": (1 / 256, -128), "INT16": (1 / 32768, 0)},
    "TANH": {"INT8": (1 / 128, 0), "INT16": (1 / 32768, 0)},
}
"""Output scale and zero point that TFLite prescribes (LiteRT kernels/activations.cc)."""
DIFF_INTEGER_BITS = 5
"""Integer bits of the scaled difference in int8 SOFTMAX (LiteRT kernels/activations.cc)."""


MOST_SCALE = 2.0**36
"""From here on tflite-micro's shift by more than 62 bits leaves int64, and every entry of its table is 0 (measured)."""


def lower_logistic_or_tanh(node: NodeContext) -> Lut | InterpolatedLut:
    """LOGISTIC and TANH: a full table for 8 bits, an interpolated one for 16."""
    source = node.elementwise()
    _check_output(node, OUTPUT[node.op][source.type])
    return _full_table(node, source) if source.type == "INT8" else _interpolated(node, source)


def _check_output(node: NodeContext, expected: tuple[float, int]) -> None:
    scale, zero = scale_of(node.output), zero_point_of(node.output)
    fits = math.isclose(scale, expected[0], rel_tol=1e-3) and zero == expected[1]
    node.need(
        fits,
        f"its output has scale {scale:.6g} and zero point {zero}",
        f"scale {expected[0]:.6g} and zero point {expected[1]}",
    )


def _full_table(node: NodeContext, source: TfliteTensor) -> Lut:
    if node.rules.is_micro:
        s_in = scale_of(source)
        node.need(
            s_in < MOST_SCALE,
            f"its input scale {s_in:.3g} is more than the runtime's shift holds",
            "a scale below 2^36",
        )
        table = tables.fixed_point_table(FIXED_POINT[node.op], s_in, zero_point_of(source))
    else:
        table = tables.int8_table(FUNCTIONS[node.op], **_scales(node, source))
    return Lut(**node.fields(source), source_operator=node.op, table=table)


def _scales(node: NodeContext, source: TfliteTensor) -> dict[str, Any]:
    return {
        "s_in": scale_of(source),
        "z_in": zero_point_of(source),
        "s_out": scale_of(node.output),
        "z_out": zero_point_of(node.output),
    }


def _interpolated(node: NodeContext, source: TfliteTensor) -> InterpolatedLut:
    node.need(
        not node.rules.has_optimized_kernels,
        f"the 16-bit polynomial of arithmetic {node.rules.base!r} is not modelled",
        "arithmetic tflite-micro or litert-reference",
    )
    node.need(
        zero_point_of(source) == 0, "its 16-bit input has a zero point other than 0", "symmetric 16-bit activations"
    )
    name: Literal["logistic", "tanh"] = "logistic" if node.op == "LOGISTIC" else "tanh"
    multiplier, shift = _table_step(scale_of(source), largest_exponent=-12 if name == "logistic" else -11)
    return InterpolatedLut(
        **node.fields(source),
        source_operator=node.op,
        function=name,
        table=tables.sigmoid_table(),
        multiplier=multiplier,
        left_shift=shift,
    )


def _table_step(scale: float, *, largest_exponent: int) -> tuple[int, int]:
    """Multiplier and right shift to the table's step of 1/(3*4096) (LiteRT SigmoidPrepare, TanhPrepare)."""
    mantissa, exponent = math.frexp(scale)
    if mantissa == 0.5 and -12 <= exponent - 1 <= largest_exponent:
        return 3 << (exponent - 1 + 12), 0
    multiplier, shift = scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and shift <= 30:
        multiplier, shift = multiplier * 2.0, shift + 1
    if multiplier * 2.0**15 >= 2.0**31:  # where the runtimes' own 32-bit product overflows
        raise RefusalError(
            f"its input scale {scale:.3g} leaves the range of 16-bit tables", "an input scale below 5.33"
        )
    return int(multiplier), shift


def lower_hard_swish(node: NodeContext) -> Lut:
    """HARD_SWISH on 8 bits: the runtime's 16-bit fixed-point result for each of the 256 codes."""
    source = node.activation(0, ("INT8",))
    node.result(("INT8",))
    node.output_shape_is(source.shape)
    node.need(
        scale_of(source) / 128 <= scale_of(node.output),
        "its output scale is below 1/128 of its input scale",
        "as TFLite requires",
    )
    table = tables.hard_swish_table(**_scales(node, source))
    return Lut(**node.fields(source), source_operator="HARD_SWISH", table=table)


def lower_softmax(node: NodeContext) -> Softmax:
    """Softmax over the last axis; 8 bits in gemmlowp fixed point, 16 bits with two tables."""
    source = node.elementwise()
    node.need(
        len(source.shape) > 0 and source.elements > 0, f"its input has shape {list(source.shape)}", "at least one class"
    )
    beta = node.real_option("beta")
    node.need(math.isfinite(beta) and beta > 0, f"its beta is {beta}", "a positive beta")
    _check_output(node, (1 / 256, -128) if source.type == "INT8" else (1 / 32768, 0))
    view_shape = (source.elements // source.shape[-1], source.shape[-1])
    fmt = FORMATS[source.type]
    common = {**node.names, "shapes": (view_shape,), "shape": view_shape, "output_min": fmt.min, "output_max": fmt.max}
    return _softmax8(source, beta, common) if source.type == "INT8" else _softmax16(node, beta, common)


def _softmax8(source: TfliteTensor, beta: float, common: dict[str, Any]) -> Softmax:
    """``beta * s_in`` in Q5.26 (LiteRT quantization_util.cc, PreprocessSoftmaxScaling and CalculateInputRadius)."""
    real = min(beta * scale_of(source) * 2.0 ** (31 - DIFF_INTEGER_BITS), 2.0**31 - 1.0)
    multiplier, shift = encode_multiplier(real)
    if real <= 1.0:
        raise RefusalError(f"beta * input scale is {beta * scale_of(source):.3g}", "more than 2^-26")
    radius = math.floor(((1 << DIFF_INTEGER_BITS) - 1) * 2.0 ** (31 - DIFF_INTEGER_BITS - shift))
    return Softmax(**common, multiplier=multiplier, left_shift=shift, diff_min=-radius)


def _softmax16(node: NodeContext, beta: float, common: dict[str, Any]) -> Softmax:
    """Differences scaled so that -65535 stands for -10 (LiteRT reference/softmax.h, SoftmaxInt16)."""
    multiplier, shift = encode_multiplier(scale_of(node.input(0)) * beta / (10.0 / 65535.0))
    real = np.float64 if node.rules.has_double_tables else np.float32
    return Softmax(
        **common,
        algorithm="int16_lut",
        multiplier=multiplier,
        left_shift=shift,
        exp_table=tables.exp_table(real),
        reciprocal_table=tables.reciprocal_table(real),
    )
