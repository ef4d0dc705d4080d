"""Operators of two operands that ONNX Runtime computes on dequantized codes in float32, tabulated code by code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import BinaryLut, FloatBinary, Lut
from accelsim.importers.onnx import formulas
from accelsim.importers.onnx.context import NodeContext, dequantized
from accelsim.importers.onnx.formulas import MOST_NUMBERS, Floats, Quantization
from accelsim.importers.onnx.functions import BINARY
from accelsim.importers.onnx.network import CHANNELS_LAST, Codes, Pending, Real, Shape, Target, Weights, view
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import FLOAT32_OPERATORS

WIDEST = 8
"""Bits of codes of which two, or a code and one of several numbers, meet in a table."""
MOST_CODES = 2**22
"""Entries of a table of wide codes and numbers."""


def lower_float_binary(node: NodeContext) -> None:
    """DequantizeLinear of one or both operands -> operator -> QuantizeLinear."""
    node.result(float_binary(node))


def lower_sum(node: NodeContext) -> None:
    """Sum of two operands, which is an Add of which ONNX Runtime has no quantized form."""
    node.need(len(node.inputs) == 2, f"it has {len(node.inputs)} operands", "two operands")
    lower_float_binary(replace(node, record=replace(node.record, op="Add")))


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
        shape = broadcast_shape(node, left, right)
        if is_wide(left, right) and op.upper() in FLOAT32_OPERATORS:
            return Pending(shape, lambda target: wide_layer(node, left, right, target), f"a {op}")
        _need_narrow(node, left, right)
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


def stored_constant(codes: NDArray[Any]) -> NDArray[Any]:
    """A constant operand as images are stored, channels last."""
    return np.ascontiguousarray(codes.transpose(CHANNELS_LAST) if codes.ndim == 4 else codes)


def is_wide(*operands: Codes) -> bool:
    """Whether there are too many pairs of codes for a table."""
    return any(operand.known.format.bits > WIDEST for operand in operands)


def wide_layer(node: NodeContext, left: Codes, right: Codes, target: Target) -> None:
    """ONNX Runtime's float32 operations on every pair of codes as they come."""
    fields = pair_fields(node, left, right, target.name)
    node.net.layers.append(FloatBinary(**fields, **_scales(node, left.known, right.known, target)))


def _scales(node: NodeContext, left: Quantization, right: Quantization, target: Target) -> dict[str, Any]:
    sides = zip(("left", "right", "target"), (left, right, target.quantization), strict=True)
    scales = {name: known.real for name, known in sides}
    return {"source_operator": node.op.upper(), "output_min": target.low, "output_max": target.high, **scales}


def _with_wide_constant(
    node: NodeContext, source: Codes, held: Weights, padded: Shape, *, numbers_first: bool
) -> Pending:
    """A quantized constant of more numbers than a table has columns for."""
    fmt = formulas.format_of(held.codes.dtype)
    assert fmt is not None
    fixed = Quantization(float(held.scales[0]), int(held.zero_points[0]), fmt)
    stored = stored_constant(held.codes.reshape(padded)).astype(fmt.dtype)
    shape = view(source.stored)

    def emit(target: Target) -> None:
        pair = (fixed, source.known) if numbers_first else (source.known, fixed)
        node.net.layers.append(
            FloatBinary(
                name=node.layer_name, inputs=(source.tensor,), output=target.name, shapes=(shape,), shape=shape,
                constant=stored.reshape(stored.shape or (1,)), constant_first=numbers_first, **_scales(node, *pair, target),
            )
        )  # fmt: skip

    return Pending(source.shape, emit, f"a {node.op}")


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
    table: NDArray[Any] = target.codes_of(BINARY[node.op](left, right)).astype(target.quantization.format.dtype)
    return table


def _with_numbers(node: NodeContext, source: Codes, numbers: Floats, *, numbers_first: bool) -> Pending:
    """A constant number leaves a function of one code; a constant tensor one function per distinct number."""
    padded = padded_shape(node, source, numbers.shape)
    # Told apart by their bits: 0 and -0 differ as divisors.
    bits, places = np.unique(np.ascontiguousarray(numbers).view(np.uint32), return_inverse=True)
    node.need(len(bits) <= MOST_NUMBERS, f"its constant has {len(bits)} distinct numbers", f"at most {MOST_NUMBERS}")
    if len(bits) << source.known.format.bits > MOST_CODES:
        held = node.glance(0 if numbers_first else 1)
        if isinstance(held, Weights) and held.scales.size == 1 and node.op.upper() in FLOAT32_OPERATORS:
            return _with_wide_constant(node, source, held, padded, numbers_first=numbers_first)
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
    constant = stored_constant(places.astype(np.uint8))
    return BinaryLut(**common, table=table, left_min=source.format.min, constant=constant)
