"""Element-wise operators: sums, products, rescalings, rectifiers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from accelsim.graph import Add, LeakyRelu, Mul, OperandScale, Rescale, Sub
from accelsim.importers.integer_rules import LEFT_SHIFT, LEFT_SHIFT_16, Sum, encoded, scaled_sum
from accelsim.importers.tflite.context import FORMATS, NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.file.options import RELU, RELU6, RELU_N1_TO_1
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.rules import XNNPACK_8BIT_FRACTION, XNNPACK_ADD
from accelsim.numerics import Requant
from accelsim.quant import requant_from_scales

XNNPACK_FRACTION_BITS = 8
"""Fractional bits of the multiplier of XNNPACK's qs8 conversions and leaky rectifiers (XNNPACK microparams-init.c)."""
XNNPACK_ADD_BITS = 21
"""Bits of the larger operand multiplier of XNNPACK's qs8 addition (XNNPACK microparams-init.c)."""
QUANTIZE_TYPES = ("INT8", "INT16", "INT32", "UINT8")
ACTIVATION_OF = {"RELU": RELU, "RELU6": RELU6, "RELU_N1_TO_1": RELU_N1_TO_1}


def lower_add(node: NodeContext) -> Add:
    """Operands scaled to twice the larger input scale, summed, scaled to the output (LiteRT kernels/add.cc)."""
    return Add(**_sum_fields(node))


def lower_sub(node: NodeContext) -> Sub:
    """As ADD, the right operand subtracted (LiteRT kernels/sub.cc)."""
    return Sub(**_sum_fields(node))


def _sum_fields(node: NodeContext) -> dict[str, Any]:
    left, right = _operands(node)
    scheme = node.rules.scheme(node.op, left.type)
    if scheme == XNNPACK_ADD:
        scales, requant = _xnnpack_sum(node, left, right)
    else:
        scales, requant = _tflite_sum(node, left, right, scheme)
    return {
        **node.fields(left, right),
        "left": scales[0],
        "right": scales[1],
        "scheme": requant.scheme,
        "requant": requant,
    }


def _operands(node: NodeContext) -> tuple[TfliteTensor, TfliteTensor]:
    left, right = node.operand(0), node.operand(1)
    node.need(
        left.type == right.type == node.result().type, "its operands and output differ in type", "one integer type"
    )
    node.output_shape_is(node.broadcast(left.shape, right.shape))
    if left.type == "INT16":
        zeros = [zero_point_of(tensor) for tensor in (left, right, node.output)]
        node.need(not any(zeros), f"16-bit operands have zero points {zeros}", "symmetric 16-bit operands")
    return left, right


def _tflite_sum(node: NodeContext, left: TfliteTensor, right: TfliteTensor, scheme: str) -> Sum:
    first, second, to = ((scale_of(t), zero_point_of(t)) for t in (left, right, node.output))
    return scaled_sum(scheme, (first, second), to, node.clamp(), LEFT_SHIFT if left.type == "INT8" else LEFT_SHIFT_16)


def _xnnpack_sum(node: NodeContext, left: TfliteTensor, right: TfliteTensor) -> Sum:
    """``(a*ma ± b*mb + half) >> s``, the larger multiplier at 21 bits (XNNPACK microparams-init.c, qs8 vadd)."""
    s_out = np.float32(scale_of(node.output))
    ratios = [np.float32(scale_of(tensor)) / s_out for tensor in (left, right)]
    exponent = int(np.frexp(max(ratios))[1]) - 1
    shift = XNNPACK_ADD_BITS - 1 - exponent
    node.need(
        12 <= shift <= 30,
        f"its scale ratios {[float(r) for r in ratios]} leave XNNPACK's range",
        "ratios of 2^-10 to 2^8",
    )
    multipliers = [int(np.rint(np.ldexp(ratio, shift))) for ratio in ratios]
    low, high = node.clamp()
    requant = Requant(
        "shift_half_up", np.ones(1, np.int32), np.array([shift], np.int32), zero_point_of(node.output), low, high
    )
    operands = [
        OperandScale(zero_point=zero_point_of(t), multiplier=m) for t, m in zip((left, right), multipliers, strict=True)
    ]
    return (operands[0], operands[1]), requant


def lower_mul(node: NodeContext) -> Mul:
    """Product of the centred codes, requantized by ``s1 * s2 / s_out``."""
    left, right = _operands(node)
    low, high = node.clamp()
    s1, s2, s_out = scale_of(left), scale_of(right), scale_of(node.output)
    requant = requant_from_scales(
        node.rules.scheme("MUL", left.type),
        s_in=s1,
        s_w=s2,
        s_out=s_out,
        zero_point=zero_point_of(node.output),
        clamp_min=low,
        clamp_max=high,
        real=node.rules.ratio(s1, s2, over=s_out),
    )
    return Mul(
        **node.fields(left, right),
        left_zero_point=zero_point_of(left),
        right_zero_point=zero_point_of(right),
        requant=requant,
    )


def lower_quantize(node: NodeContext) -> Rescale:
    """From one integer format to another: ``requant(x - z_in)`` with ``s_in / s_out`` (LiteRT kernels/quantize.cc)."""
    source = node.activation(0, QUANTIZE_TYPES)
    fmt = FORMATS[node.result(QUANTIZE_TYPES).type]
    node.output_shape_is(source.shape)
    return _rescale(node, source, (fmt.min, fmt.max), scale_of(source) / scale_of(node.output))


def lower_relu(node: NodeContext) -> Rescale:
    """RELU, RELU6, RELU_N1_TO_1 on their own: a rescaling that ends in their clamp (LiteRT kernels/activations.cc)."""
    source = node.elementwise()
    if node.rules.is_micro and node.op == "RELU6":
        # tflite-micro compares raw codes with the input's 0 and 6 (activations_common.cc).
        node.need(
            (scale_of(source), zero_point_of(source)) == (scale_of(node.output), zero_point_of(node.output)),
            "tflite-micro's RELU6 does not rescale, but its input and output differ in scale or zero point",
            "equal scales and zero points, or another arithmetic than tflite-micro",
        )
    clamp = node.clamp_for(ACTIVATION_OF[node.op])
    return _rescale(node, source, clamp, node.rules.ratio(scale_of(source), over=scale_of(node.output)))


def _rescale(node: NodeContext, source: TfliteTensor, clamp: tuple[int, int], ratio: float) -> Rescale:
    return Rescale(
        **node.fields(source),
        source_operator=node.op,
        input_zero_point=zero_point_of(source),
        requant=_ratio_requant(node, source, ratio, clamp),
    )


def _ratio_requant(node: NodeContext, source: TfliteTensor, ratio: float, clamp: tuple[int, int]) -> Requant:
    """The Requant of a plain ratio of scales, in the form that the operator has in the runtime."""
    zero = zero_point_of(node.output)
    scheme = node.rules.ratio_scheme(node.op, source.type, node.output.type)
    if scheme == XNNPACK_8BIT_FRACTION:
        factor = int(np.rint(np.float32(2**XNNPACK_FRACTION_BITS) * np.float32(ratio)))
        return Requant(
            "single", np.array([factor], np.int32), np.array([31 - XNNPACK_FRACTION_BITS], np.int32), zero, *clamp
        )
    return encoded(scheme, ratio, zero, clamp)


def lower_leaky_relu(node: NodeContext) -> LeakyRelu:
    """Two ratios: ``s_in / s_out`` and ``s_in * alpha / s_out`` (LiteRT kernels/activations.cc)."""
    source = node.elementwise()
    s_in, s_out = scale_of(source), scale_of(node.output)
    alpha = node.real_option("alpha")
    node.need(math.isfinite(alpha), f"its alpha is {alpha}", "a finite alpha")
    fmt = FORMATS[source.type]
    ratios = node.rules.ratio(s_in, over=s_out), node.rules.ratio(s_in, alpha, over=s_out)
    positive, negative = (_ratio_requant(node, source, ratio, (fmt.min, fmt.max)) for ratio in ratios)
    return LeakyRelu(
        **node.fields(source), input_zero_point=zero_point_of(source), positive=positive, negative=negative
    )
