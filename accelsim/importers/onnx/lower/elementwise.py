"""Element-wise operators: rectifiers, functions of one code, sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import Add, BinaryLut, Lut, Mul
from accelsim.importers.integer_rules import LEFT_SHIFT, LEFT_SHIFT_16, scaled_sum
from accelsim.importers.onnx import formulas, functions
from accelsim.importers.onnx.chain import name_near_ties
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.following import RECTIFIERS
from accelsim.importers.onnx.formulas import Function, Quantization
from accelsim.importers.onnx.lower.binary import (
    broadcast_shape,
    float_binary,
    has_plain_operand,
    is_wide,
    padded_shape,
    pair_fields,
    stored_constant,
    wide_layer,
)
from accelsim.importers.onnx.lower.shape import table_layer
from accelsim.importers.onnx.network import Codes, Pending, Real, Shape, Target, Value, Weights, view
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import IntFormat
from accelsim.quant import requant_from_scales

Table = Callable[[Quantization, Quantization, Quantization], formulas.Codes]


def lower_relu(node: NodeContext) -> None:
    """A lower bound of 0."""
    _rectify(node, 0.0, math.inf)


def lower_clip(node: NodeContext) -> None:
    """Bounds from constant inputs 1 and 2."""
    _rectify(node, node.scalar(1, -math.inf), node.scalar(2, math.inf))


def _rectify(node: NodeContext, least: float, most: float) -> None:
    value = node.value(0)
    if isinstance(value, Pending):
        node.result(value.clipped(least, most))
    elif isinstance(value, Real) and _stays_codes(node, value.codes.known, least, most):
        _rectify_real(node, value.codes, least, most)
    elif isinstance(value, Real):
        node.result(_function(node, value.codes, formulas.identity).clipped(least, most))
    else:
        _rectify_codes(node, node.codes(0), least, most)


def _stays_codes(node: NodeContext, known: Quantization, least: float, most: float) -> bool:
    """Whether bounds that are codes, or beyond them, cut a tensor that no quantizer reads."""
    ends = formulas.dequantize(np.array([known.format.min, known.format.max]), known)
    bounds = np.array([np.clip(bound, *ends) for bound in (least, most)], np.float32)
    exact = formulas.dequantize(formulas.quantize(bounds, known), known)
    readers = {reader.op for reader in node.net.model.consumers(node.output_name)}
    others = not readers & {"QuantizeLinear", *RECTIFIERS} and node.output_name not in node.net.model.outputs
    return bool((exact == bounds).all()) and bool(readers) and others


def _rectify_real(node: NodeContext, source: Codes, least: float, most: float) -> None:
    """The codes between the bounds, dequantized as before."""
    known = source.known
    low, high = (int(code) for code in formulas.quantize(np.array([least, most], np.float32), known))
    name = node.net.fresh(f"{node.output_name}/codes")
    made = node.net.make(name, source.shape, source.format, known)
    node.net.layers.append(table_layer(node.layer_name, source, Target(name, known, low, high), node.op.upper()))
    node.approximate(
        "rectified codes; ONNX Runtime computes what reads them in float32, and codes near a tie may differ by one"
    )
    node.result(Real(made))


def _rectify_codes(node: NodeContext, source: Codes, least: float, most: float) -> None:
    """Bounds on the codes themselves."""
    fmt = source.format
    low, high = (int(min(max(bound, fmt.min), fmt.max)) for bound in (least, most))
    node.need(low <= high, f"its bounds are {least} and {most}", "bounds in ascending order")
    node.net.make(node.output_name, source.shape, fmt, source.quantization)
    node.result(Codes(node.output_name, source.shape, fmt, source.quantization))
    plain = Quantization(1.0, 0, fmt)
    known = Codes(source.tensor, source.shape, fmt, plain)
    node.net.layers.append(
        table_layer(node.layer_name, known, Target(node.output_name, plain, low, high), node.op.upper())
    )


def lower_unary(node: NodeContext) -> None:
    """DequantizeLinear -> function -> QuantizeLinear as a table."""
    node.result(_function(node, node.codes(0), function_of(node)))


def lower_qlinear_unary(node: NodeContext) -> None:
    """X, s, z, s_y, z_y (com.microsoft)."""
    node.emit(_function(node, node.scaled(0, 1, 2), function_of(node)), node.quantization(3, 4))


def function_of(node: NodeContext) -> Function:
    """The function of one number that the node is."""
    name = node.op.removeprefix("QLinear")
    if name in functions.UNARY:
        node.need(len(node.inputs) == 1, f"it has {len(node.inputs)} inputs", "one input, without bias")
        return functions.UNARY[name]
    return _WITH_ATTRIBUTES[name](node)


def _gelu(node: NodeContext) -> Function:
    kind = node.attributes.get("approximate", "none")
    node.need(kind in ("none", "tanh"), f"its attribute approximate is {kind!r}", "none, tanh")
    return functions.wide(functions.tanh_gelu) if kind == "tanh" else functions.gelu


_WITH_ATTRIBUTES: Mapping[str, Callable[[NodeContext], Function]] = MappingProxyType(
    {
        "Sigmoid": lambda node: formulas.sigmoid,
        "Tanh": lambda node: formulas.tanh,
        "HardSwish": lambda node: formulas.hard_swish,
        "LeakyRelu": lambda node: formulas.leaky_relu(node.number("alpha", 0.01)),
        "HardSigmoid": lambda node: formulas.hard_sigmoid(node.number("alpha", 0.2), node.number("beta", 0.5)),
        "Gelu": _gelu,
        "Elu": lambda node: functions.elu(node.number("alpha", 1.0)),
        "Celu": lambda node: functions.celu(node.number("alpha", 1.0)),
        "Selu": lambda node: functions.selu(
            node.number("alpha", 1.6732632423543772), node.number("gamma", 1.0507009873554805)
        ),
    }
)
"""Functions of one code that need more than their name; defaults as in ONNX's operator specification."""


def accuracy_of(node: NodeContext) -> functions.Accuracy | None:
    """How near ONNX Runtime comes to :func:`function_of`; None where every operation is known."""
    name = node.op.removeprefix("QLinear")
    is_tanh = name == "Gelu" and node.attributes.get("approximate", "none") == "tanh"
    return functions.ACCURACIES.get("FastGelu" if is_tanh else name)


def _operator(node: NodeContext) -> str:
    """What the layer is called: a name says one function, for readers that know functions by name."""
    if node.op == "Gelu" and node.attributes.get("approximate", "none") == "tanh":
        return "GELU_TANH"
    if node.op == "Elu" and (alpha := node.number("alpha", 1.0)) != 1:
        return f"ELU({alpha:g})"
    return node.op.upper()


def _function(node: NodeContext, source: Codes, function: Function) -> Pending:
    known, operator = source.known, _operator(node)
    assert known is not None

    def emit(target: Target) -> None:
        near = accuracy_of(node)
        span = (lambda x: near.around(x, function(x))) if near else None
        name_near_ties(node, span, formulas.dequantize(known.codes, known), target.codes_of)
        node.net.layers.append(table_layer(node.layer_name, source, target, operator, function))

    return Pending(source.shape, emit, f"a {node.op}")


def lower_qlinear_add(node: NodeContext) -> None:
    """A, s, z, B, s, z, s_c, z_c (com.microsoft)."""
    node.emit(_binary(node, *_qlinear_operands(node), "ADD"), node.quantization(6, 7))


def lower_qlinear_mul(node: NodeContext) -> None:
    """A, s, z, B, s, z, s_c, z_c (com.microsoft)."""
    node.emit(_binary(node, *_qlinear_operands(node), "MUL"), node.quantization(6, 7))


def lower_add(node: NodeContext) -> None:
    """DequantizeLinear of both operands -> Add -> QuantizeLinear; a constant behind a matrix product is its bias."""
    for position in (0, 1):
        value = node.optional(position)
        if isinstance(value, Pending) and value.biased is not None and node.is_constant(1 - position):
            node.result(value.biased(node, 1 - position))
            return
    node.result(_dequantized(node, "ADD"))


def lower_mul(node: NodeContext) -> None:
    """DequantizeLinear of both operands -> Mul -> QuantizeLinear."""
    node.result(_dequantized(node, "MUL"))


def _dequantized(node: NodeContext, operator: str) -> Pending:
    """A constant that was never quantized keeps ONNX Runtime from its quantized operators: plain float32 then."""
    return float_binary(node) if has_plain_operand(node) else _binary(node, *_dequantized_operands(node), operator)


Operand = Codes | Weights


def _qlinear_operands(node: NodeContext) -> tuple[Operand, Operand]:
    left, right = (_qlinear_operand(node, i) for i in (0, 3))
    return left, right


def _qlinear_operand(node: NodeContext, position: int) -> Operand:
    if not node.is_constant(position):
        return node.scaled(position, position + 1, position + 2)
    codes = node.array(position, "constant operand")
    known = node.quantization(position + 1, position + 2, formulas.format_of(codes.dtype))
    return Weights(codes, np.array([known.scale], np.float32), np.array([known.zero_point]), None)


def _dequantized_operands(node: NodeContext) -> tuple[Operand, Operand]:
    left, right = (_dequantized_operand(node, i, node.value(i)) for i in (0, 1))
    return left, right


def _dequantized_operand(node: NodeContext, position: int, value: Value) -> Operand:
    return value if isinstance(value, Weights) else node.codes(position)


def _binary(node: NodeContext, left: Operand, right: Operand, operator: str) -> Pending:
    if isinstance(left, Codes) and isinstance(right, Codes):
        shape = broadcast_shape(node, left, right)
        if node.op.startswith("QLinear"):
            _need_table(node, left, right)
        if node.rules.is_float(operator) and is_wide(left, right):
            return Pending(shape, lambda target: wide_layer(node, left, right, target), f"a {node.op}")
        rule = _float_layer if node.rules.is_float(operator) else _integer_layer

        def emit(target: Target) -> None:
            node.net.layers.append(rule(node, left, right, target, operator))

        return Pending(shape, emit, f"a {node.op}")
    source = left if isinstance(left, Codes) else right
    constant = right if isinstance(left, Codes) else left
    if not isinstance(source, Codes) or not isinstance(constant, Weights):
        raise RefusalError("both of its operands are constant", "an operand that is computed at run time")
    return _with_constant(node, source, constant, operator, constant_left=constant is left)


def _float_layer(node: NodeContext, left: Codes, right: Codes, target: Target, operator: str) -> BinaryLut:
    """ONNX Runtime's own float32 formula for every pair of codes."""
    table = _table(left.known, right.known, target, operator, swapped=_is_spread(left.shape, right.shape))
    return BinaryLut(
        **pair_fields(node, left, right, target.name), source_operator=operator, table=table, left_min=left.format.min,
        right_min=right.format.min, clamp=target.clamp,
    )  # fmt: skip


def _table(
    left: Quantization, right: Quantization, target: Target, operator: str, *, swapped: bool = False
) -> formulas.Codes:
    rule: Table = formulas.sum_table if operator == "ADD" else formulas.product_table
    if target.is_clipped:
        rule = formulas.float_sum_table if operator == "ADD" else formulas.float_product_table
    to = target.quantization
    codes = rule(right, left, to).T if swapped else rule(left, right, to)
    clipped: formulas.Codes = np.clip(codes, target.low, target.high).astype(to.format.dtype)
    return clipped


def _is_spread(left: Shape, right: Shape) -> bool:
    """Whether one code of the left operand meets a run of the right one's, or its only one: ONNX Runtime then swaps the two."""
    rank = max(len(left), len(right))
    for a, b in zip(
        reversed((1,) * (rank - len(left)) + left), reversed((1,) * (rank - len(right)) + right), strict=True
    ):
        if (a, b) != (1, 1):
            return a == 1
    return True


def _need_table(node: NodeContext, *operands: Codes) -> None:
    """Two codes meet in a table of all pairs; wider ones would need a rule in integers, which the runtime has not."""
    node.need(
        all(operand.format.bits <= formulas.TABLE_BITS for operand in operands),
        f"its operands are {' and '.join(str(operand.format) for operand in operands)}",
        f"codes of {formulas.TABLE_BITS} bits at most, or an arithmetic of the TFLite family",
    )


def format_held(codes: NDArray[Any]) -> IntFormat:
    """The format of a constant that is known to hold codes."""
    fmt = formulas.format_of(codes.dtype)
    assert fmt is not None
    return fmt


def _with_constant(
    node: NodeContext, source: Codes, constant: Weights, operator: str, *, constant_left: bool
) -> Pending:
    """A constant number leaves a function of one code; a constant tensor meets the codes place by place."""
    if not node.rules.is_float(operator):
        node.rules.need_onnxruntime(f"{operator} with a constant")
    node.need(
        formulas.is_codes(constant.codes, bits=formulas.TABLE_BITS)
        and constant.scales.size == constant.zero_points.size == 1,
        f"its constant operand is {constant.codes.dtype} with {constant.scales.size} scales",
        "codes of 8 bits at most with one scale",
    )
    _need_table(node, source)
    padded = padded_shape(node, source, constant.codes.shape)
    fixed = Quantization(float(constant.scales[0]), int(constant.zero_points[0]), format_held(constant.codes))

    def emit(target: Target) -> None:
        if constant_left:
            swapped = constant.codes.size == 1 or _is_spread(padded, source.shape)
            table = _table(fixed, source.known, target, operator, swapped=swapped).T
        else:
            swapped = _is_spread(source.shape, padded)
            table = _table(source.known, fixed, target, operator, swapped=swapped)
        node.net.layers.append(_constant_layer(node, source, constant.codes.reshape(padded), target, operator, table))

    return Pending(source.shape, emit, f"a {node.op}")


def _constant_layer(
    node: NodeContext, source: Codes, constant: NDArray[Any], target: Target, operator: str, table: formulas.Codes
) -> Lut | BinaryLut:
    """``table`` has the codes of ``source`` along its rows."""
    shape, low = view(source.stored), format_held(constant).min
    common: dict[str, Any] = {
        "name": node.layer_name, "inputs": (source.tensor,), "output": target.name, "shapes": (shape,), "shape": shape,
        "source_operator": operator, "clamp": target.clamp,
    }  # fmt: skip
    if constant.size == 1:
        row = np.ascontiguousarray(table[:, int(constant.reshape(-1)[0]) - low])
        return Lut(**common, table=row, input_min=source.format.min)
    return BinaryLut(
        **common, table=np.ascontiguousarray(table), left_min=source.format.min, right_min=low,
        constant=stored_constant(constant),
    )  # fmt: skip


def _integer_layer(node: NodeContext, left: Codes, right: Codes, target: Target, operator: str) -> Add | Mul:
    """The integer rule of an arithmetic of the TFLite family."""
    a, b, to = left.known, right.known, target.quantization
    scheme = node.rules.scheme(operator)
    common = pair_fields(node, left, right, target.name)
    if operator == "MUL":
        requant = requant_from_scales(
            scheme, s_in=a.scale, s_w=b.scale, s_out=to.scale, zero_point=to.zero_point, clamp_min=target.low,
            clamp_max=target.high,
        )  # fmt: skip
        return Mul(**common, left_zero_point=a.zero_point, right_zero_point=b.zero_point, requant=requant)
    clamp, shift = (target.low, target.high), LEFT_SHIFT if to.format.bits <= formulas.TABLE_BITS else LEFT_SHIFT_16
    operands = (a.scale, a.zero_point), (b.scale, b.zero_point)
    scales, requant = scaled_sum(scheme, operands, (to.scale, to.zero_point), clamp, shift)
    return Add(**common, left=scales[0], right=scales[1], scheme=requant.scheme, requant=requant)
