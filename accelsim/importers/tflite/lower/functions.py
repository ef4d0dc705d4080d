"""Operators that are one table: functions of one 8-bit code, computed as the runtimes compute them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Lut
from accelsim.importers.tflite import gemmlowp
from accelsim.importers.tflite.context import NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.tables import CODES, Floats, int8_table
from accelsim.numerics import INT8, mbqm_int
from accelsim.quant import encode_multiplier

RSQRT_SHIFT = 20
"""Fractional bits of the root before it is scaled to the output (LiteRT elementwise.cc, RsqrtEvalQuantized)."""


def lower_function(node: NodeContext) -> Lut:
    """EXP, ELU, GELU, LOG: dequantized, computed in float32, rounded half away (LiteRT LUTPopulateInt8)."""
    source, name = _source(node), node.op
    if name == "GELU" and node.option("approximate"):
        name = "GELU_TANH"
    scales = scale_of(source), zero_point_of(source), scale_of(node.output), zero_point_of(node.output)
    to_even = name == "ELU" and node.rules.is_xnnpack  # the one of them that XNNPACK's delegate takes
    table = int8_table(
        FUNCTIONS[name], s_in=scales[0], z_in=scales[1], s_out=scales[2], z_out=scales[3], to_even=to_even
    )
    return Lut(**node.fields(source), source_operator=name, table=table)


def lower_abs(node: NodeContext) -> Lut:
    """``|x - z_in|`` rescaled where the scales differ (LiteRT elementwise.cc, AbsEvalQuantized)."""
    source = _source(node)
    ratio = node.rules.ratio(scale_of(source), over=scale_of(node.output))
    multiplier, shift = encode_multiplier(ratio)
    same = scale_of(source) == scale_of(node.output)
    return _integer_table(node, source, lambda x: abs(x) if same else mbqm_int(abs(x), multiplier, shift))


def lower_rsqrt(node: NodeContext) -> Lut:
    """``1 / sqrt(x)`` in fixed point; codes below the zero point, for which runtimes stop, give the least code."""
    source = _source(node)
    multiplier, shift = encode_multiplier(1.0 / (math.sqrt(scale_of(source)) * scale_of(node.output)))
    zero = zero_point_of(node.output)

    def root(x: int) -> int:
        if x <= 0:
            return (INT8.max if x == 0 else INT8.min) - zero
        inverse, exponent = gemmlowp.inverse_root(x)
        data = mbqm_int(1, inverse, exponent + RSQRT_SHIFT)
        return mbqm_int(data, multiplier, shift - RSQRT_SHIFT)

    return _integer_table(node, source, root)


def _source(node: NodeContext) -> TfliteTensor:
    source = node.activation(0, ("INT8",))
    node.result(("INT8",))
    node.output_shape_is(source.shape)
    return source


def _integer_table(node: NodeContext, source: TfliteTensor, function: Callable[[int], int]) -> Lut:
    """``function`` of codes less their zero point, to which the output's is added."""
    z_in, z_out = zero_point_of(source), zero_point_of(node.output)
    codes = [min(max(function(int(code) - z_in) + z_out, INT8.min), INT8.max) for code in CODES]
    return Lut(**node.fields(source), source_operator=node.op, table=np.array(codes, np.int8))


def _erfc(x: Floats) -> Floats:
    return np.array([math.erfc(float(value)) for value in x], np.float32)


def _gelu(x: Floats) -> Floats:
    product: Floats = np.multiply(x * np.float32(0.5), _erfc(x * np.float32(-math.sqrt(0.5))), dtype=np.float32)
    return product


def _gelu_tanh(x: Floats) -> Floats:
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    product: Floats = np.multiply(np.float32(0.5) * x, np.float32(1) + np.tanh(inner), dtype=np.float32)
    return product


def _quiet(function: Callable[[Floats], NDArray[np.float32]]) -> Callable[[Floats], Floats]:
    def computed(x: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return function(x)

    return computed


FUNCTIONS: dict[str, Callable[[Floats], Floats]] = {
    "EXP": _quiet(np.exp),
    "ELU": _quiet(lambda x: np.where(x < 0, np.expm1(x), x)),
    "GELU": _gelu,
    "GELU_TANH": _gelu_tanh,
    "LOG": _quiet(np.log),
}
"""In float32, operation by operation."""
