"""Sums, products and rectifiers in real numbers, as steps of a chain that ends in a quantizer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.importers.onnx.chain import MAX_TABLE_BITS, Chained, OneTensor, TwoTensors, chain, per_channel
from accelsim.importers.onnx.context import NodeContext, numbers
from accelsim.importers.onnx.formulas import Floats
from accelsim.importers.onnx.functions import BINARY
from accelsim.importers.onnx.lower.binary import broadcast_shape
from accelsim.importers.onnx.lower.elementwise import accuracy_of, function_of, lower_add, lower_mul
from accelsim.importers.onnx.network import Pending, Real
from accelsim.importers.refusal import RefusalError

_IN_INTEGERS = {"Add": lower_add, "Mul": lower_mul}
"""Operators of two tensors that have a rule in integers under an arithmetic of the TFLite family."""


def chain_of(node: NodeContext, position: int) -> Chained:
    """Input ``position`` as a chain: what is quantized already starts one."""
    value = node.value(position)
    if isinstance(value, Chained):
        return value
    if isinstance(value, Real):
        return chain(OneTensor(node, value.codes), value.codes.shape, f"the {node.op}")
    node.codes(position)
    raise RefusalError(f"input {position} is codes without a scale", "a quantized float tensor")


def lower_arithmetic(node: NodeContext) -> None:
    """Add, Sub, Mul, Div: with a constant they go on with a chain, of two quantized tensors they start one."""
    node.need(len(node.inputs) == 2, f"it has {len(node.inputs)} operands", "two operands")
    constant = [node.is_constant(i) for i in (0, 1)]
    if any(constant):
        node.result(_with_constant(node, chain_of(node, constant.index(False)), constant.index(True)))
    else:
        _of_two(node)


def _of_two(node: NodeContext) -> None:
    values = node.value(0), node.value(1)
    if not all(isinstance(value, Real) for value in values):
        raise RefusalError("an operand of it is not quantized", "a Quant after each of its operands")
    left, right = node.codes(0), node.codes(1)
    wide = max(left.format.bits, right.format.bits) > MAX_TABLE_BITS
    if wide and node.op in _IN_INTEGERS and not node.rules.is_float(node.op.upper()):
        _IN_INTEGERS[node.op](node)
        return
    base = TwoTensors(node, left, right, BINARY[node.op])
    node.result(chain(base, broadcast_shape(node, left, right), f"a {node.op}"))


def _with_constant(node: NodeContext, before: Chained, position: int) -> Chained:
    """One more step of ``before``; the constant is operand ``position``."""
    op, first = node.op, position == 0
    column = per_channel(node, numbers(node, position, "operand"), before)
    node.need(op != "Div" or not first, "it divides a constant by an activation", "a constant divisor")
    operator = BINARY[op]

    def function(x: Floats) -> Floats:
        return operator(column, x) if first else operator(x, column)

    flat = column.reshape(-1).astype(np.float64)
    gain, offset = _line(op, flat, first=first)
    line = before.line and before.line.mapped(gain, offset)
    return before.then(function, line, channels=len(column), what=f"the {op}")


def _line(op: str, constant: NDArray[np.float64], *, first: bool) -> tuple[Any, Any]:
    if op in ("Mul", "Div"):
        with np.errstate(divide="ignore"):
            return (constant if op == "Mul" else 1 / constant), 0.0
    if op == "Add":
        return 1.0, constant
    return (-1.0, constant) if first else (1.0, -constant)


def lower_rectifier(node: NodeContext) -> None:
    """Relu, and Clip with constant bounds (opset 11 and later) or attributes."""
    least, most = (0.0, math.inf) if node.op == "Relu" else (node.scalar(1, -math.inf), node.scalar(2, math.inf))
    node.need(least <= most, f"its bounds are {least} and {most}", "bounds in ascending order")
    value = node.value(0)
    if isinstance(value, Pending) and not isinstance(value, Chained):
        node.result(value.clipped(least, most))
        return
    before = chain_of(node, 0)
    line = before.line and before.line.clipped(least, most)

    def function(x: Floats) -> Floats:
        bounded: Floats = np.clip(x, np.float32(least), np.float32(most))
        return bounded

    node.result(before.then(function, line, what=f"the {node.op}"))


def lower_function(node: NodeContext) -> None:
    """Any other function of one number."""
    node.result(chain_of(node, 0).then(function_of(node), None, what=f"the {node.op}", accuracy=accuracy_of(node)))


def lower_batch_normalization(node: NodeContext) -> None:
    """``x * g + (bias - mean * g)`` with ``g = scale / sqrt(variance + epsilon)``, in float32 (ONNX Runtime batch_norm.h)."""
    before = chain_of(node, 0)
    node.need(before.axis == 1, f"its input has {len(before.shape)} axes", "channels on axis 1: 2 or 4 axes")
    scale, bias, mean, variance = (numbers(node, i, "parameter").reshape(-1) for i in (1, 2, 3, 4))
    node.ignore("momentum")  # of training
    sizes = {p.size for p in (scale, bias, mean, variance)}
    node.need(sizes == {before.shape[1]}, f"its parameters have {sorted(sizes)} values", f"{before.shape[1]} each")
    node.need(bool((variance >= 0).all()), "its variance is negative", "variances of 0 or more")
    gain = scale * (np.float32(1) / np.sqrt(variance + np.float32(node.number("epsilon", 1e-5))))
    offset = bias - mean * gain

    def function(x: Floats) -> Floats:
        normalized: Floats = x * gain[:, None] + offset[:, None]
        return normalized

    line = before.line and before.line.mapped(gain, offset)
    node.result(before.then(function, line, channels=len(gain), what="the BatchNormalization"))


def with_bias(node: NodeContext, before: Chained) -> None:
    """``before`` plus the constant bias of a Conv or a product (input 2), as the result of the node."""
    if node.optional(2) is None:
        node.result(before)
        return
    if not node.is_constant(2):
        raise RefusalError("its bias (input 2) is computed at run time", "a constant bias, float or quantized")
    bias, channels = numbers(node, 2, "bias").reshape(-1), before.shape[before.axis]
    bias = np.broadcast_to(bias, (channels,)) if bias.size == 1 else bias
    node.need(bias.size == channels, f"its bias has {bias.size} values", f"one for each of {channels} channels")
    line = before.line and before.line.mapped(1.0, bias)
    column = bias[:, None]
    node.result(before.then(lambda x: x + column, line, channels=channels, what=before.what))
