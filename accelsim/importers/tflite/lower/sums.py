"""ADD and SUB: three rules, and which of them a runtime takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from accelsim.graph import Add, OperandScale, Sub
from accelsim.importers.integer_rules import LEFT_SHIFT, LEFT_SHIFT_16, Sum, scaled_sum
from accelsim.importers.tflite.context import FORMATS, NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.delegate import takes_sum
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.rules import REFERENCE_SCHEME, XNNPACK_ADD
from accelsim.numerics import INT16, Requant

XNNPACK_ADD_BITS = 21
"""Bits of the larger operand multiplier of XNNPACK's qs8 addition (XNNPACK microparams-init.c)."""
POWER_OF_TWO_TOLERANCE = 1e-3
"""How far from an integer the logarithm of a scale may be that counts as a power of two (LiteRT kernel_util.cc, CheckedLog2)."""


def lower_add(node: NodeContext) -> Add:
    """Operands scaled to twice the larger input scale, summed, scaled to the output (LiteRT kernels/add.cc)."""
    return Add(**_sum_fields(node))


def lower_sub(node: NodeContext) -> Sub:
    """As ADD, the right operand subtracted (LiteRT kernels/sub.cc)."""
    return Sub(**_sum_fields(node))


def _sum_fields(node: NodeContext) -> dict[str, Any]:
    left, right = operands(node)
    scales, requant = _sum(node, left, right)
    return {
        **node.fields(left, right),
        "left": scales[0],
        "right": scales[1],
        "scheme": requant.scheme,
        "requant": requant,
    }


def operands(node: NodeContext) -> tuple[TfliteTensor, TfliteTensor]:
    """The two operands of a sum or product, of the output's type; 16-bit ones have zero point 0."""
    left, right = node.operand(0), node.operand(1)
    node.need(
        left.type == right.type == node.result().type, "its operands and output differ in type", "one integer type"
    )
    node.output_shape_is(node.broadcast(left.shape, right.shape))
    if left.type == "INT16":
        zeros = [zero_point_of(tensor) for tensor in (left, right, node.output)]
        node.need(not any(zeros), f"16-bit operands have zero points {zeros}", "symmetric 16-bit operands")
    return left, right


def _sum(node: NodeContext, left: TfliteTensor, right: TfliteTensor) -> Sum:
    """The rule of the runtime for these types and scales."""
    by_shifts = bool(node.option("pot_scale_int16")) and left.type == "INT16" and node.rules.is_litert_own(node.op)
    if by_shifts:
        exponents = [_exponent(scale_of(tensor)) for tensor in (left, right, node.output)]
        if None not in exponents:
            return _shifted_sum(node, [e for e in exponents if e is not None])
    scheme = node.rules.scheme(node.op, left.type)
    if scheme != XNNPACK_ADD:
        return _tflite_sum(node, left, right, scheme)
    if takes_sum(scale_of(left), scale_of(right), scale_of(node.output)):
        return _xnnpack_sum(node, (left, right))
    return _tflite_sum(node, left, right, REFERENCE_SCHEME)


def _tflite_sum(node: NodeContext, left: TfliteTensor, right: TfliteTensor, scheme: str) -> Sum:
    if node.op == "ADD" and node.rules.wraps_at_16_bits(node.op) and left.type == "INT8":
        _check_16_bits(node, (left, right))
    first, second, to = ((scale_of(t), zero_point_of(t)) for t in (left, right, node.output))
    return scaled_sum(scheme, (first, second), to, node.clamp(), LEFT_SHIFT if left.type == "INT8" else LEFT_SHIFT_16)


def _check_16_bits(node: NodeContext, addends: tuple[TfliteTensor, TfliteTensor]) -> None:
    """LiteRT's optimized ADD keeps the low 16 bits of a sum before it saturates (optimized/integer_ops/add.h)."""
    check_16_bits(node, sum(scale_of(tensor) * largest_step(tensor) for tensor in addends))


def check_16_bits(node: NodeContext, largest: float) -> None:
    """RefusalError where a real result as large as ``largest`` leaves the 16 bits of output codes that the kernel keeps."""
    fmt, reach = FORMATS["INT8"], largest / scale_of(node.output)
    node.need(
        reach < INT16.max - fmt.max + fmt.min,
        f"its results reach {reach:.0f} output codes, and the kernel of {node.rules.base} that makes them wraps at 16 bits",
        "an output scale that fits them, or arithmetic tflite-micro or litert-reference",
    )


def largest_step(tensor: TfliteTensor) -> int:
    """Largest distance of a code of ``tensor`` from its zero point."""
    fmt, zero = FORMATS[tensor.type], zero_point_of(tensor)
    return max(fmt.max - zero, zero - fmt.min)


def _exponent(scale: float) -> int | None:
    """``log2(scale)`` where that is nearly an integer."""
    exponent = math.log2(scale)
    return round(exponent) if abs(exponent - round(exponent)) < POWER_OF_TWO_TOLERANCE else None


def _shifted_sum(node: NodeContext, exponents: list[int]) -> Sum:
    """16-bit codes of power-of-two scales: the finer operand shifted right, half away from zero (LiteRT kernels/add.cc, sub.cc).

    A product with 2^30 / 2^31 of codes that were doubled changes nothing, so that the exponent alone counts.
    """
    left, right, out = exponents
    shifts = out - left, out - right
    node.need(
        min(shifts) == 0,
        f"its scales are 2^{left}, 2^{right} and, of the output, 2^{out}",
        "an output scale that is the larger operand's, as LiteRT requires of power-of-two scales with pot_scale_int16",
    )
    first, second = (OperandScale(zero_point=0, multiplier=1 << 30, exponent=-shift, left_shift=1) for shift in shifts)
    unchanged = Requant(REFERENCE_SCHEME, np.array([1 << 30]), np.array([1], np.int32), 0, *node.clamp())
    return (first, second), unchanged


def _xnnpack_sum(node: NodeContext, addends: tuple[TfliteTensor, TfliteTensor]) -> Sum:
    """``(a*ma ± b*mb + half) >> s``, the larger multiplier at 21 bits (XNNPACK microparams-init.c, qs8 vadd)."""
    ratios = [np.float32(scale_of(tensor)) / np.float32(scale_of(node.output)) for tensor in addends]
    exponent = int(np.frexp(max(ratios))[1]) - 1
    shift = XNNPACK_ADD_BITS - 1 - exponent
    multipliers = [int(np.rint(np.ldexp(ratio, shift))) for ratio in ratios]
    low, high = node.clamp()
    requant = Requant(
        "shift_half_up", np.ones(1, np.int32), np.array([shift], np.int32), zero_point_of(node.output), low, high
    )
    first, second = (
        OperandScale(zero_point=zero_point_of(t), multiplier=m) for t, m in zip(addends, multipliers, strict=True)
    )
    return (first, second), requant
