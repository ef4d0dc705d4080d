"""ONNX's own operators between the Quant nodes of a QONNX graph: layers that start float chains, operators that go on."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import AveragePool2D, Dense, MacGeometry, Mean
from accelsim.importers.onnx.chain import Sums, chain, mean_chain
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.formulas import Floats
from accelsim.importers.onnx.layout import Layout
from accelsim.importers.onnx.lower.chain import with_bias
from accelsim.importers.onnx.lower.mac import Form, convolution_form, stored_zero_points
from accelsim.importers.onnx.lower.reduce import axes_of, reduced_fields, shapes_of
from accelsim.importers.onnx.lower.shape import join
from accelsim.importers.onnx.lower.window import global_fields, pool_fields
from accelsim.importers.onnx.network import CHANNELS_LAST, Codes, Real
from accelsim.importers.qonnx.quantizer import QuantizedWeights
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import IntFormat


def lower_conv(node: NodeContext) -> None:
    """Sums of codes over quantized weights; the bias, float or quantized, is added after them."""
    image, given = _activation(node), _weights(node, 1)
    form, given = convolution_form(node, image, given)
    sums = _sums(node, image, form, _centred(node, given, 0))
    with_bias(node, chain(sums, sums.shape, "a Conv", channel=form.order[-1]))


class _Factors(NamedTuple):
    """Codes without their zero points, and the scales and zero points that the quantizer had."""

    weights: NDArray[Any]
    format: IntFormat
    scales: Floats
    zero_points: NDArray[np.int64] | None


def _sums(node: NodeContext, image: Codes, form: Form, given: _Factors) -> Sums:
    """``given`` weights (oc, ic/groups, kh, kw)."""
    weights = given.weights.transpose(0, 2, 3, 1)
    return Sums(
        node=node, kind=form.kind, operator=form.operator, image=image, source=form.source, shape=form.shape,
        geometry=form.geometry, order=form.order, weights=np.ascontiguousarray(weights), weight_format=given.format,
        unit=_unit(image, given.scales), scales=given.scales, zero_points=given.zero_points,
    )  # fmt: skip


def lower_product(node: NodeContext) -> None:
    """MatMul, or Gemm with alpha and beta 1, with constant weights."""
    image, given = _activation(node), _weights(node, 1)
    turned = bool(node.integer("transB", 0))
    factors = node.integer("transA", 0), node.number("alpha", 1.0), node.number("beta", 1.0)
    node.need(factors == (0, 1.0, 1.0), f"its transA, alpha and beta are {factors}", "0, 1 and 1")
    node.need(given.codes.ndim == 2, f"its weights have shape {list(given.codes.shape)}", "a matrix")
    held = _centred(node, given, 0 if turned else 1)
    matrix = held.weights if turned else held.weights.T
    units, k = matrix.shape
    fits = bool(image.shape) and image.shape[-1] == k
    node.need(fits, f"it multiplies {list(image.shape)} with {k} x {units} weights", "equal inner sizes")
    rows = math.prod(image.shape[:-1])
    sums = Sums(
        node=node, kind=Dense, operator="FULLY_CONNECTED", image=image, source=node.net.plain(image),
        shape=(*image.shape[:-1], units), geometry=MacGeometry(n=1, ih=rows, iw=1, ic=k, oh=rows, ow=1, oc=units),
        order=tuple(range(len(image.shape))),
        weights=np.ascontiguousarray(matrix.reshape(units, 1, 1, k)), weight_format=held.format,
        unit=_unit(image, held.scales), scales=held.scales, zero_points=held.zero_points,
    )  # fmt: skip
    with_bias(node, chain(sums, sums.shape, f"a {node.op}", channel=len(sums.shape) - 1))


def lower_average_pool(node: NodeContext) -> None:
    """A sum over the window, divided in the chain."""
    image = _activation(node)
    node.need(not node.integer("ceil_mode", 0), "its ceil_mode is on", "ceil_mode 0")
    node.image(image)
    fields, shape = pool_fields(node, image, Layout(CHANNELS_LAST))
    layer = AveragePool2D(
        **fields, output="", rule="sums", input_zero_point=image.known.zero_point,
        count_include_pad=bool(node.integer("count_include_pad", 0)),
    )  # fmt: skip
    node.result(mean_chain(node, image, layer, layer.whole, (shape, shape)))


def lower_global_average_pool(node: NodeContext) -> None:
    """The same over all rows and columns."""
    image = _activation(node)
    node.image(image)
    layer = Mean(**global_fields(node, image), output="")
    n, c, _, _ = image.shape
    node.result(mean_chain(node, image, layer, layer.count, ((n, c, 1, 1), (n, c, 1, 1))))


def lower_reduce_mean(node: NodeContext) -> None:
    """ReduceMean and ReduceSum likewise, over any constant axes."""
    image, axes = _activation(node), axes_of(node)
    if not axes:
        return
    shapes = shapes_of(node, image, axes)
    fields = reduced_fields(node, image, axes, shapes[0])
    zero = image.known.zero_point
    layer = Mean(**fields, output="", source_operator=node.op.upper(), input_zero_point=zero)
    node.result(mean_chain(node, image, layer, layer.count if node.op == "ReduceMean" else 1, shapes))


def lower_concat(node: NodeContext) -> None:
    """Codes of one quantization side by side."""
    if not all(isinstance(node.value(i), Real) for i in range(len(node.inputs))):
        raise RefusalError("an operand of it is not quantized", "a Quant after each of its operands")
    parts = [node.codes(i) for i in range(len(node.inputs))]
    same = {(part.format, part.quantization) for part in parts}
    node.need(len(same) == 1, "its operands differ in scale or bit-width", "one quantization for all of them")
    join(node, parts)


def _activation(node: NodeContext) -> Codes:
    value = node.value(0)
    if not isinstance(value, Real):
        node.codes(0)
        raise RefusalError("its input is codes without a scale", "a Quant before it")
    return value.codes


def _weights(node: NodeContext, position: int) -> QuantizedWeights:
    value = node.value(position)
    if not isinstance(value, QuantizedWeights) or not value.codes.size:
        raise RefusalError(f"its weights (input {position}) are not quantized", "a constant behind a Quant")
    return value


def _centred(node: NodeContext, given: QuantizedWeights, axis: int) -> _Factors:
    """Scales and zero points are per tensor or along ``axis``."""
    node.need(
        given.axis in (None, axis), f"the scales of its weights differ along axis {given.axis}", f"axis {axis}, or one"
    )
    zeros = given.zero_points
    if not zeros.any():
        return _Factors(given.codes, given.format, given.scales, None)
    fmt = IntFormat(given.format.bits + 1)
    spread = zeros if zeros.size == 1 else zeros.reshape([-1 if i == axis else 1 for i in range(given.codes.ndim)])
    centred = np.subtract(given.codes, spread, dtype=fmt.dtype, casting="unsafe")
    stored = stored_zero_points(zeros, fmt, bits=given.format.bits, signed=given.format.signed)
    return _Factors(centred, fmt, given.scales, stored)


def _unit(image: Codes, scales: Floats) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = np.float64(image.known.scale) * scales.astype(np.float64)
    return unit
