"""LayerNormalization: no runtime has an integer form of it. ONNX Runtime's float32, and one of ours in integers for other arithmetics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import FloatLayerNorm, LayerNorm
from accelsim.importers.onnx.context import NodeContext, dequantized
from accelsim.importers.onnx.network import Codes, Pending, Shape, Target, Weights
from accelsim.importers.onnx.rows import from_axis
from accelsim.importers.onnx.rules import ONNXRUNTIME

VARIANCE_BITS = 62
"""The scaled variance with its epsilon stays below 2^62, so that its root fits 31 bits."""
GAIN_BITS, SUM_BITS = 30, 61
"""Multipliers stay within 2^30 and biases within 2^61: one product of 31-bit factors and one sum fit 64 bits."""
MOST_ROW_BITS = 30
"""A row's size times the range of its codes stays below 2^30, so that a difference times a 31-bit reciprocal fits 62 bits."""
MOST_SHIFT = 56
"""Fractional bits of the output's sum, at most."""
APPROXIMATION = (
    "computed in integers (exact mean and variance, integer square root); ONNX Runtime computes in float32, and codes near "
    "a tie may differ by one"
)


def lower_layer_normalization(node: NodeContext) -> None:
    """DequantizeLinear -> LayerNormalization -> QuantizeLinear; scale and bias are constant, plain or dequantized."""
    node.need(not any(node.outputs[1:]), "its mean or deviation is an output", "the normalized tensor alone")
    source = node.codes(0)
    rank = len(source.shape)
    node.need(rank > 0, "its input is a number", "at least one axis")
    axis, epsilon = node.axis(rank, -1), node.number("epsilon", 1e-5)
    size = math.prod(source.shape[axis:])
    if node.rules.arithmetic.base == ONNXRUNTIME and _are_whole(node, source.shape[axis:]):
        node.net.values[node.outputs[0]] = _in_float32(node, source, axis, epsilon)
        return
    gamma = _constant(node, 1, source.shape[axis:], "scale")
    beta = _constant(node, 2, source.shape[axis:], "bias") if node.optional(2) is not None else np.zeros(size)
    numbers = _variance(node, source, size, epsilon)
    node.approximate(APPROXIMATION)

    def emit(target: Target) -> None:
        scaled = _scaled(node, gamma, beta, target)

        def layer(inputs: str, output: str, view: Shape) -> LayerNorm:
            return LayerNorm(
                name=node.layer_name, inputs=(inputs,), output=output, shapes=(view,), shape=view,
                output_min=target.low, output_max=target.high, **numbers, **scaled,
            )  # fmt: skip

        from_axis(node, source, target, axis, layer)

    node.net.values[node.outputs[0]] = Pending(source.shape, emit, "a layer normalization")


def _are_whole(node: NodeContext, shape: Shape) -> bool:
    """Whether scale and bias have a number for each element of a row; ONNX Runtime broadcasts others by another loop."""
    given = [node.shape(i) for i in (1, 2) if node.optional(i) is not None]
    return all(math.prod(each) == math.prod(shape) for each in given)


def _in_float32(node: NodeContext, source: Codes, axis: int, epsilon: float) -> Pending:
    shape, known = source.shape[axis:], source.known
    gamma = _constant(node, 1, shape, "scale").astype(np.float32)
    beta = _constant(node, 2, shape, "bias").astype(np.float32) if node.optional(2) is not None else None

    def emit(target: Target) -> None:
        to = target.quantization

        def layer(inputs: str, output: str, view: Shape) -> FloatLayerNorm:
            return FloatLayerNorm(
                name=node.layer_name, inputs=(inputs,), output=output, shapes=(view,), shape=view, gamma=gamma, beta=beta,
                epsilon=float(np.float32(epsilon)), input_scale=known.scale, input_zero_point=known.zero_point,
                output_scale=to.scale, output_zero_point=to.zero_point, output_min=target.low, output_max=target.high,
            )  # fmt: skip

        from_axis(node, source, target, axis, layer)

    return Pending(source.shape, emit, "a layer normalization")


def _constant(node: NodeContext, position: int, shape: Shape, what: str) -> NDArray[np.float64]:
    value = node.value(position)
    real = dequantized(value) if isinstance(value, Weights) else node.array(position, what)
    fine = real.dtype == np.float32 and bool(np.isfinite(real).all())
    node.need(fine, f"its {what} is {real.dtype}, or not finite", "finite float32 numbers")
    try:
        return np.broadcast_to(real, shape).astype(np.float64).reshape(-1)
    except ValueError:
        node.need(False, f"its {what} has shape {list(real.shape)}", f"a shape that broadcasts to {list(shape)}")
        raise


def _variance(node: NodeContext, source: Codes, size: int, epsilon: float) -> dict[str, Any]:
    """``epsilon``, in steps of size^2 * variance, and how far both are shifted: an even number of bits."""
    known = source.known
    node.need(epsilon >= 0, f"its epsilon is {epsilon}", "0 or more")
    reach = (known.format.max - known.format.min) ** 2
    most = size * size * reach // 4 + 1
    real = size * size * epsilon / known.scale**2
    shift = VARIANCE_BITS - 1 - math.ceil(math.log2(most + real))
    shift -= shift % 2
    node.need(
        shift >= 0 and size.bit_length() + known.format.bits <= MOST_ROW_BITS,
        f"its rows of {size} codes of {known.format.bits} bits, or its epsilon {epsilon}, need more than 62 bits",
        "shorter rows, narrower codes or a smaller epsilon",
    )
    return {"epsilon": round(real * 2.0**shift), "variance_shift": shift}


def _scaled(node: NodeContext, gamma: NDArray[np.float64], beta: NDArray[np.float64], target: Target) -> dict[str, Any]:
    """``gamma / s_out`` and ``beta / s_out + zero point`` in fixed point, with as many fractional bits as fit."""
    to, bits = target.quantization, LayerNorm.NORMALIZED_BITS
    gain, offset = gamma / to.scale, beta / to.scale + to.zero_point
    room = min(GAIN_BITS - _exponent(gain) + bits, SUM_BITS - _exponent(offset), MOST_SHIFT)
    node.need(room >= bits, "its scale or bias is too large for the output's scale", "a coarser output")
    return {
        "multiplier": np.rint(gain * 2.0 ** (room - bits)).astype(np.int64),
        "bias": np.rint(offset * 2.0**room).astype(np.int64),
        "output_shift": room,
    }


def _exponent(values: NDArray[np.float64]) -> int:
    """Smallest e with |values| <= 2^e, at least 0."""
    return math.ceil(math.log2(max(1.0, float(np.abs(values).max()))))
