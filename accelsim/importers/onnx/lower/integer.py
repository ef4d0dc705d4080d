"""ConvInteger and MatMulInteger: sums as int32 codes, or folded with the float operators after them into one layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from accelsim.importers.onnx.chain import Chained, Quantizer, Sums, chain
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.file.records import type_name
from accelsim.importers.onnx.following import goes_on
from accelsim.importers.onnx.formulas import Codes as CodeArray
from accelsim.importers.onnx.formulas import Floats, Quantization, format_of, quantize
from accelsim.importers.onnx.lower.mac import Form, Operands, convolution_form, operands_of, product_form
from accelsim.importers.onnx.network import Codes, Real, Weights
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import INT32, Requant

IDENTITY = Requant("shift_floor", np.ones(1, np.int32), np.zeros(1, np.int32), 0, INT32.min, INT32.max)
"""Sums as they are."""
BYTES = "int8 or uint8"
"""Operands of both operators (Operators.md, ConvInteger and MatMulInteger)."""


@dataclass(frozen=True, eq=False)
class SumCodes(Codes):
    """Sums that are a tensor of int32 codes; ``chained`` are the same ones for a consumer that scales them."""

    chained: Chained = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class LinearQuantizer(Quantizer):
    """QuantizeLinear at the end of a chain: the zero point comes after the rounding, half to even."""

    def codes(self, real: Floats) -> CodeArray:
        """``saturate(round_half_even(x / scale) + zero_point)``."""
        return quantize(real, self.quantization)


def lower_conv_integer(node: NodeContext) -> None:
    """x, w, z_x, z_w; ``w`` constant, its zero point per tensor or per output channel."""
    image, weights = _image(node), _weights(node, axis=0)
    form, weights = convolution_form(node, image, weights)
    _sums(node, form, image, operands_of(node, weights, (0, 2, 3, 1), None))


def lower_matmul_integer(node: NodeContext) -> None:
    """A, B, z_A, z_B; ``B`` a constant matrix, its zero point per tensor or per column."""
    image, weights = _image(node), _weights(node, axis=1)
    form, turned = product_form(node, image, weights, transposed=False)
    _sums(node, form, image, operands_of(node, turned, (0, 1, 2, 3), None))


def _image(node: NodeContext) -> Codes:
    value = node.value(0)
    if not isinstance(value, Codes):
        node.codes(0)
        raise RefusalError("its input is dequantized", "codes that are computed at run time")
    node.need(value.format.bits == 8, f"its input is {value.format}", BYTES)
    zero = 0
    if node.optional(2) is not None:
        given = node.array(2, "zero points")
        node.need(
            given.size == 1 and format_of(given.dtype) == value.format,
            f"its input has {given.size} zero points of {given.dtype}",
            f"one of {value.format}",
        )
        zero = int(given.reshape(-1)[0])
    return replace(Codes(value.tensor, value.shape, value.format), quantization=Quantization(1.0, zero, value.format))


def _weights(node: NodeContext, *, axis: int) -> Weights:
    codes = node.array(1, "weights")
    node.need(codes.dtype in (np.int8, np.uint8), f"its weights are {codes.dtype}", BYTES)
    zeros = np.zeros(1, np.int64)
    if node.optional(3) is not None:
        given = node.array(3, "zero points")
        node.need(
            given.dtype == codes.dtype and given.ndim <= 1 and given.size > 0,
            f"the zero points of its weights are {given.dtype} of shape {list(given.shape)}, its weights {codes.dtype}",
            "the type of the weights, one per tensor or one per output channel",
        )
        zeros = given.reshape(-1).astype(np.int64)
    return Weights(codes, np.ones(1, np.float32), zeros, axis if len(zeros) > 1 else None)


def _sums(node: NodeContext, form: Form, image: Codes, operands: Operands) -> None:
    """A chain where every consumer is a Cast; else a layer that writes the sums, from which a Cast starts the chain anew."""
    base = Sums(
        node=node, kind=form.kind, operator=form.operator, image=image, source=form.source, shape=form.shape,
        geometry=form.geometry, order=form.order, weights=operands.weights, weight_format=operands.format, zero_points=operands.zero_points,
        unit=np.ones(1), scales=np.ones(1, np.float32),
    )  # fmt: skip
    chained = chain(base, form.shape, f"a {node.op}", channel=form.order[-1])
    name, model = node.output_name, node.net.model
    consumers = model.consumers(name)
    if consumers and name not in model.outputs and all(consumer.op == "Cast" for consumer in consumers):
        node.result(chained)
        return
    base.need_int32()
    known = Quantization(1.0, 0, INT32)
    made = node.net.make(name, form.shape, INT32, known)
    base.emit(made, IDENTITY)
    node.result(SumCodes(made.tensor, made.shape, made.format, known, chained=chained))


def lower_cast(node: NodeContext) -> None:
    """Sums of ConvInteger or MatMulInteger, or codes, as real numbers; anything to the type that it has."""
    kind, value = type_name(node.integer("to", 0)), node.value(0)
    node.ignore("saturate", "round_mode")  # of casts to narrower floats
    if isinstance(value, Codes) and kind == str(value.format).upper():
        node.result(value)
        return
    node.need(kind == "FLOAT", f"it casts to {kind}", "FLOAT, or the type that its operand has")
    if isinstance(value, SumCodes):
        node.result(value.chained)
    elif isinstance(value, Codes):
        plain = Quantization(1.0, 0, value.format)
        node.net.label(value, plain)
        node.result(Real(replace(value, quantization=plain)))
    else:
        node.result(value)


def behind_sums(
    plain: Callable[[NodeContext], None], chained: Callable[[NodeContext], None]
) -> Callable[[NodeContext], None]:
    """``chained`` where an operand is a chain, or where the result of dequantized codes goes on as one; ``plain`` elsewhere."""

    def lower(node: NodeContext) -> None:
        operands = [node.glance(i) for i in range(len(node.inputs))]
        begun = any(isinstance(value, Chained) for value in operands)
        given = [value for value in operands if not isinstance(value, Weights | np.ndarray)]
        begins = (
            bool(given) and all(isinstance(value, Real) for value in given) and goes_on(node.net.model, node.outputs[0])
        )
        (chained if begun or begins else plain)(node)

    return lower


def quantize_sums(node: NodeContext) -> None:
    """QuantizeLinear at the end of a chain."""
    node.need(not node.integer("block_size", 0), "it quantizes in blocks", "one scale for an activation")
    value, to, name = node.value(0), node.quantization(1, 2), node.output_name
    node.ignore("axis", "saturate")
    assert isinstance(value, Chained)
    scale, zero = np.array([to.scale], np.float32), np.array([to.zero_point])
    final = LinearQuantizer(scale, zero, None, to.format, to.format.min, to.format.max, "ROUND")
    made = node.net.make(name, value.shape, to.format, to)
    value.base.settle(value, final, name)
    node.result(made)
