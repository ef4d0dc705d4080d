"""Operators of two operands that ONNX Runtime computes on dequantized codes in float32, tabulated code by code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import BinaryLut, Lut
from accelsim.importers.onnx import formulas
from accelsim.importers.onnx.context import NodeContext, dequantized
from accelsim.importers.onnx.formulas import Floats
from accelsim.importers.onnx.functions import BINARY
from accelsim.importers.onnx.network import CHANNELS_LAST, Codes, Pending, Real, Shape, Target, Weights, view
from accelsim.importers.refusal import RefusalError

WIDEST = 8
"""Bits of codes of which two, or a code and one of several numbers, meet in a table."""
MOST_CODES = 2**22
"""Entries of a table of wide codes and numbers."""
MOST_NUMBERS = 256
"""Distinct numbers of a constant operand that a table may have columns for."""


def lower_float_binary(node: NodeContext) -> None:
    """DequantizeLinear of one or both operands -> operator -> QuantizeLinear."""
    node.result(float_binary(node))


def has_plain_operand(node: NodeContext) -> bool:
    """Whether ONNX Runtime has no quantized operator: for a constant that was never quantized, or one beside wide codes."""
    operands = [node.glance(i) for i in range(len(node.inputs))]
    wide = any(isinstance(value, Real) and value.codes.format.bits > WIDEST for value in operands)
    return any(isinstance(value, np.ndarray) or (wide and isinstance(value, Weights)) for value in operands)


def float_binary(node: NodeContext) -> Pending:
    """The operator of the node, by its own name."""
    op = node.op
    node.rules.need_onnxruntime(op)
    node.need(len(node.inputs) == 2, f"it has {len(node.inputs)} operands", "two operands")
    left, right = (_operand(node, i) for i in (0, 1))
    if isinstance(left, Codes) and isinstance(right, Codes):
        _need_narrow(node, left, right)
        shape = broadcast_shape(node, left, right)
        return Pending(shape, lambda target: _of_codes(node, left, right, target), f"a {op}")
    if isinstance(left, Codes) and not isinstance(right, Codes):
        return _with_numbers(node, left, right, numbers_first=False)
    if isinstance(right, Codes) and not isinstance(left, Codes):
        return _with_numbers(node, right, left, numbers_first=True)
    raise RefusalError("both of its operands are constant", "an operand that is computed at run time")


def _operand(node: NodeContext, position: int) -> Codes | Floats:
    """Codes of at most 8 bits, or real numbers."""
    value = node.value(position)
    if isinstance(value, Weights):
        return dequantized(value)
    if isinstance(value, np.ndarray):
        node.need(value.dtype == np.float32, f"its constant operand is {value.dtype}", "float32")
        return value
    return node.codes(position)


def _need_narrow(node: NodeContext, *operands: Codes) -> None:
    for codes in operands:
        bits = codes.known.format.bits
        node.need(bits <= WIDEST, f"tensor {codes.tensor!r} has {bits} bits", f"codes of at most {WIDEST} bits")


def broadcast_shape(node: NodeContext, left: Codes, right: Codes) -> Shape:
    """The result's shape; operands of 4 axes meet only such, because they are stored channels last."""
    ranks = len(left.shape), len(right.shape)
    node.need(
        4 not in ranks or ranks == (4, 4),
        f"its operands have {ranks[0]} and {ranks[1]} axes",
        "as many axes on both sides",
    )
    return node.broadcast(left.shape, right.shape)


def padded_shape(node: NodeContext, source: Codes, given: Shape) -> Shape:
    """The shape of a constant operand under as many axes as ``source`` has; RefusalError where it would widen that."""
    padded = (1,) * (len(source.shape) - len(given)) + given
    node.need(
        len(padded) == len(source.shape) and all(b in (1, a) for a, b in zip(source.shape, padded, strict=True)),
        f"its constant operand has shape {list(given)}, the other {list(source.shape)}",
        "a constant that broadcasts to the other operand",
    )
    return padded


def pair_fields(node: NodeContext, left: Codes, right: Codes, output: str) -> dict[str, Any]:
    """What all layers of two operands share."""
    shapes = view(left.stored), view(right.stored)
    return {
        "name": node.layer_name, "inputs": (left.tensor, right.tensor), "output": output, "shapes": shapes,
        "shape": np.broadcast_shapes(*shapes),
    }  # fmt: skip


def _of_codes(node: NodeContext, left: Codes, right: Codes, target: Target) -> None:
    a, b = (formulas.dequantize(side.known.codes, side.known) for side in (left, right))
    node.net.layers.append(
        BinaryLut(
            **pair_fields(node, left, right, target.name), source_operator=node.op.upper(),
            table=_codes(node, a[:, None], b[None, :], target), left_min=left.format.min, right_min=right.format.min,
            clamp=target.clamp,
        )
    )  # fmt: skip


def _codes(node: NodeContext, left: Floats, right: Floats, target: Target) -> NDArray[Any]:
    to = target.quantization
    codes = formulas.quantize(BINARY[node.op](left, right), to)
    table: NDArray[Any] = np.clip(codes, target.low, target.high).astype(to.format.dtype)
    return table


def _with_numbers(node: NodeContext, source: Codes, numbers: Floats, *, numbers_first: bool) -> Pending:
    """A constant number leaves a function of one code; a constant tensor one function per distinct number."""
    padded = padded_shape(node, source, numbers.shape)
    # Told apart by their bits: 0 and -0 differ as divisors.
    bits, places = np.unique(np.ascontiguousarray(numbers).view(np.uint32), return_inverse=True)
    node.need(len(bits) <= MOST_NUMBERS, f"its constant has {len(bits)} distinct numbers", f"at most {MOST_NUMBERS}")
    if len(bits) << source.known.format.bits > MOST_CODES:
        _need_narrow(node, source)
    columns = bits.view(np.float32)[None, :]
    rows = formulas.dequantize(source.known.codes, source.known)[:, None]

    def emit(target: Target) -> None:
        pair = (columns, rows) if numbers_first else (rows, columns)
        table = np.ascontiguousarray(_codes(node, *pair, target))
        node.net.layers.append(_layer(node, source, target, table, places.reshape(padded)))

    return Pending(source.shape, emit, f"a {node.op}")


def _layer(
    node: NodeContext, source: Codes, target: Target, table: NDArray[Any], places: NDArray[np.int64]
) -> Lut | BinaryLut:
    shape = view(source.stored)
    common: dict[str, Any] = {
        "name": node.layer_name, "inputs": (source.tensor,), "output": target.name, "shapes": (shape,), "shape": shape,
        "source_operator": node.op.upper(), "clamp": target.clamp,
    }  # fmt: skip
    if table.shape[1] == 1:
        return Lut(**common, table=np.ascontiguousarray(table[:, 0]), input_min=source.format.min)
    stored = places.transpose(CHANNELS_LAST) if places.ndim == 4 else places
    return BinaryLut(
        **common, table=table, left_min=source.format.min, constant=np.ascontiguousarray(stored.astype(np.uint8))
    )
