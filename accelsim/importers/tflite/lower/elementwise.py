"""Element-wise operators: products, rescalings, rectifiers."""

from __future__ import annotations

import math

import numpy as np

from accelsim.graph import LeakyRelu, Mul, Rescale
from accelsim.importers.integer_rules import encoded
from accelsim.importers.tflite.context import FORMATS, NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.delegate import takes_conversion, takes_leaky_relu, takes_product
from accelsim.importers.tflite.file.options import RELU, RELU6, RELU_N1_TO_1
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.lower.sums import check_16_bits, largest_step, operands
from accelsim.importers.tflite.rules import CONVERSION_BLOCK, REFERENCE_SCHEME, XNNPACK_8BIT_FRACTION
from accelsim.numerics import Requant, requantize
from accelsim.quant import requant_from_scales

XNNPACK_FRACTION_BITS = 8
"""Fractional bits of the multiplier of XNNPACK's qs8 conversions and leaky rectifiers (XNNPACK microparams-init.c)."""
QUANTIZE_TYPES = ("INT8", "INT16", "INT32", "UINT8")
ACTIVATION_OF = {"RELU": RELU, "RELU6": RELU6, "RELU_N1_TO_1": RELU_N1_TO_1}


def lower_mul(node: NodeContext) -> Mul:
    """Product of the centred codes, requantized by ``s1 * s2 / s_out``."""
    left, right = operands(node)
    low, high = node.clamp()
    s1, s2, s_out = scale_of(left), scale_of(right), scale_of(node.output)
    taken = node.rules.is_xnnpack and takes_product(s1, s2, s_out)
    if left.type == "INT8" and not taken and node.rules.wraps_at_16_bits("MUL"):
        check_16_bits(node, s1 * largest_step(left) * s2 * largest_step(right))
    requant = requant_from_scales(
        node.rules.scheme("MUL", left.type, taken=taken),
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
    return _conversion(node, source, (fmt.min, fmt.max))


def _conversion(node: NodeContext, source: TfliteTensor, limits: tuple[int, int]) -> Rescale:
    """Where the runtime rounds in two ways, both must give the same for every code."""
    s_in, s_out = scale_of(source), scale_of(node.output)
    taken = takes_conversion(s_in, s_out)
    schemes = node.rules.conversion_schemes(source.type, node.output.type, source.elements, taken=taken)
    made = [_rescale(node, source, limits, s_in / s_out, scheme) for scheme in schemes]
    fmt = FORMATS[source.type]
    steps = np.arange(fmt.min, fmt.max + 1 if len(made) > 1 else fmt.min) - zero_point_of(source)
    results = [requantize(steps, each.requant) for each in made if each.requant is not None]
    node.need(
        all(np.array_equal(results[0], result) for result in results),
        f"{node.rules.base} rounds the last {source.elements % CONVERSION_BLOCK} of its {source.elements} elements unlike the others",
        f"fewer than {CONVERSION_BLOCK} elements or a multiple of {CONVERSION_BLOCK}, or another arithmetic",
    )
    return made[0]


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
    ratio = node.rules.ratio(scale_of(source), over=scale_of(node.output))
    return _rescale(node, source, clamp, ratio, node.rules.scheme(node.op, source.type))


def _rescale(node: NodeContext, source: TfliteTensor, clamp: tuple[int, int], ratio: float, scheme: str) -> Rescale:
    return Rescale(
        **node.fields(source),
        source_operator=node.op,
        input_zero_point=zero_point_of(source),
        requant=_ratio_requant(node, ratio, clamp, scheme),
    )


def _ratio_requant(node: NodeContext, ratio: float, clamp: tuple[int, int], scheme: str) -> Requant:
    """The Requant of a plain ratio of scales, in the form that the operator has in the runtime."""
    zero = zero_point_of(node.output)
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
    scheme = node.rules.scheme("LEAKY_RELU", source.type, taken=takes_leaky_relu(s_in, s_out, alpha))
    positive, negative = (_ratio_requant(node, ratio, (fmt.min, fmt.max), scheme) for ratio in ratios)
    if alpha < 0 and scheme == REFERENCE_SCHEME and not (source.type == "INT16" and node.rules.has_optimized_kernels):
        _check_ties(node, source, negative)
    return LeakyRelu(
        **node.fields(source), input_zero_point=zero_point_of(source), positive=positive, negative=negative
    )


def _check_ties(node: NodeContext, source: TfliteTensor, negative: Requant) -> None:
    """RefusalError for a negative multiplier that gives ties, which LiteRT's reference and tflite-micro round in a way not known."""
    fmt, zero = FORMATS[source.type], zero_point_of(source)
    steps = np.arange(fmt.min - zero, 0, dtype=np.int64)
    product, exponent = steps * int(negative.multiplier[0]) << max(int(negative.shift[0]), 0), int(negative.shift[0])
    high, low = product >> 31, product & ((1 << 31) - 1)
    halves = 1 << max(-exponent - 1, 0)
    second = (low == 0) & (exponent < 0) & (high & (2 * halves - 1) == halves)
    node.need(
        not bool(((low == 1 << 30) | second).any()),
        f"its negative alpha gives results half-way between two codes, whose rounding in {node.rules.base} is not known",
        "a positive alpha, or other scales",
    )
