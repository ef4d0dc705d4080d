"""Operators of two tensors that are no sum or product: extremes, PRELU, SQUARED_DIFFERENCE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import BinaryLut, Rescale
from accelsim.importers.tflite.context import FORMATS, NodeContext, scale_of, zero_point_of
from accelsim.importers.tflite.file.records import TfliteTensor
from accelsim.importers.tflite.lower.sums import operands
from accelsim.importers.tflite.rules import REFERENCE_SCHEME
from accelsim.numerics import INT8, Requant, multiply
from accelsim.quant import encode_multiplier

Codes = NDArray[np.int64]
SQUARED_SHIFT = 7
"""Bits by which operands of a squared difference are scaled up first (LiteRT squared_difference.cc)."""


def lower_extreme(node: NodeContext) -> Rescale | BinaryLut:
    """MINIMUM, MAXIMUM of codes, all of one scale and zero point; with one constant number a clamp."""
    left, right = operands(node)
    node.same_quantization(left, right)
    tensor, bound = (left, right) if right.is_constant else (right, left)
    if bound.data is not None and bound.elements == 1 and tensor.shape == node.output.shape:
        return _clamped(node, tensor, int(bound.data.reshape(-1)[0]))
    extreme = np.minimum if node.op == "MINIMUM" else np.maximum
    return _table(node, left, right, lambda a, b: extreme(a, b))


def _clamped(node: NodeContext, tensor: TfliteTensor, bound: int) -> Rescale:
    """A product with 2^30 / 2^30 changes nothing, so that the clamp alone counts."""
    fmt, zero = FORMATS[tensor.type], zero_point_of(tensor)
    clamp = (fmt.min, bound) if node.op == "MINIMUM" else (bound, fmt.max)
    unchanged = Requant(REFERENCE_SCHEME, np.array([1 << 30]), np.array([1], np.int32), zero, *clamp)
    return Rescale(**node.fields(tensor), source_operator=node.op, input_zero_point=zero, requant=unchanged)


def lower_prelu(node: NodeContext) -> BinaryLut:
    """``s_in / s_out`` above the zero point, the product with alpha's code below (LiteRT reference/prelu.h)."""
    left, right = operands(node)
    s_in, s_alpha, s_out = scale_of(left), scale_of(right), scale_of(node.output)
    above = encode_multiplier(node.rules.ratio(s_in, over=s_out))
    below = encode_multiplier(node.rules.ratio(s_in, s_alpha, over=s_out))
    z_in, z_alpha = zero_point_of(left), zero_point_of(right)

    def rule(x: Codes, alpha: Codes) -> Codes:
        steps = x - z_in
        falling = multiply(steps * (alpha - z_alpha), *below, REFERENCE_SCHEME)
        return np.where(steps >= 0, multiply(steps, *above, REFERENCE_SCHEME), falling) + zero_point_of(node.output)

    return _table(node, left, right, rule)


def lower_squared_difference(node: NodeContext) -> BinaryLut:
    """Operands scaled to twice the larger scale, their difference squared, scaled to the output."""
    left, right = operands(node)
    twice = 2.0 * max(scale_of(left), scale_of(right))
    scales = [encode_multiplier(scale_of(tensor) / twice) for tensor in (left, right)]
    out = encode_multiplier(twice * twice / (4.0**SQUARED_SHIFT * scale_of(node.output)))

    def scaled(code: Codes, tensor: TfliteTensor, at: tuple[int, int]) -> Codes:
        return multiply((code - zero_point_of(tensor)) << SQUARED_SHIFT, *at, REFERENCE_SCHEME)

    def rule(a: Codes, b: Codes) -> Codes:
        difference = scaled(a, left, scales[0]) - scaled(b, right, scales[1])
        return multiply(difference * difference, *out, REFERENCE_SCHEME) + zero_point_of(node.output)

    return _table(node, left, right, rule)


def _table(
    node: NodeContext, left: TfliteTensor, right: TfliteTensor, rule: Callable[[Codes, Codes], Codes]
) -> BinaryLut:
    """``rule`` of every pair of codes; a constant operand is held by the layer."""
    node.need(left.type == "INT8", f"its operands are {left.type}", "INT8: two codes of more bits have no table")
    codes = np.arange(INT8.min, INT8.max + 1, dtype=np.int64)
    table = np.clip(rule(codes[:, None], codes[None, :]), INT8.min, INT8.max).astype(np.int8)
    fields: dict[str, Any] = {"source_operator": node.op, "left_min": INT8.min, "right_min": INT8.min}
    if left.is_constant and not right.is_constant:
        left, right, table = right, left, np.ascontiguousarray(table.T)
    if right.data is not None and left.shape == node.output.shape:
        return BinaryLut(**node.fields(left), table=table, constant=right.data.astype(np.int64), **fields)
    return BinaryLut(**node.fields(left, right), table=table, **fields)
