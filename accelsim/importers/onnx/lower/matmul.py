"""Matrix products: with a constant a dense layer, of two activations a MatMul between transpositions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.graph import Conv2D, Dense, Layer, MatMul
from accelsim.importers.matmul import ACCEPTED, Product, product_of
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.lower.mac import (
    Form,
    dequantized_weights,
    lower_constant_matmul,
    lower_constant_qlinear_matmul,
    mac,
    operands_of,
    quantized_weights,
)
from accelsim.importers.onnx.network import Codes, Pending, Target, Weights
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import Requantization
from accelsim.quant import requantization_from_scales

OPERATOR = "BATCH_MATMUL"


def lower_matmul(node: NodeContext) -> None:
    """DequantizeLinear -> MatMul -> QuantizeLinear."""
    if node.is_constant(0):
        node.result(_of_constant(node, node.codes(1), dequantized_weights(node, 0), is_left=True))
    elif not node.is_constant(1):
        node.result(_pending(node, node.codes(0), node.codes(1)))
    elif len(node.shape(1)) == 2:
        lower_constant_matmul(node)
    else:
        node.result(_of_constant(node, node.codes(0), dequantized_weights(node, 1), is_left=False))


def lower_qlinear_matmul(node: NodeContext) -> None:
    """a, s, z, b, s, z, s_y, z_y."""
    to = node.quantization(6, 7)
    if node.is_constant(0):
        weights = quantized_weights(node, 0, 1, 2, axis=len(node.shape(0)) - 2)
        node.emit(_of_constant(node, node.scaled(3, 4, 5), weights, is_left=True), to)
    elif not node.is_constant(3):
        node.emit(_pending(node, node.scaled(0, 1, 2), node.scaled(3, 4, 5)), to)
    elif len(node.shape(3)) == 2:
        lower_constant_qlinear_matmul(node)
    else:
        weights = quantized_weights(node, 3, 4, 5, axis=len(node.shape(3)) - 1)
        node.emit(_of_constant(node, node.scaled(0, 1, 2), weights, is_left=False), to)


def _of_constant(node: NodeContext, image: Codes, weights: Weights, *, is_left: bool) -> Pending:
    """A product with constant matrices of any leading axes; with a constant on the left, that of the turned operands is turned."""
    product = product_of(image.shape, weights.codes.shape, turned=(is_left, is_left))
    if product is None or not weights.codes.size:
        operands = [list(image.shape), list(weights.codes.shape)]
        left, right = reversed(operands) if is_left else operands
        raise RefusalError(f"it multiplies {left} with {right}", ACCEPTED)
    channels = weights.codes.ndim - (2 if is_left else 1)
    node.need(
        weights.axis in (None, channels), f"the scales of its constant differ along axis {weights.axis}", f"{channels}"
    )
    rank, geometry = len(product.shape), product.geometry
    order, shape = product.output, product.shape
    if is_left:
        order = tuple({rank - 1: rank - 2, rank - 2: rank - 1}.get(axis, axis) for axis in order)
        shape = (*shape[:-2], shape[-1], shape[-2])
    source = node.net.ordered(image, product.left, "rows_first")
    form = Form(Conv2D if geometry.groups > 1 else Dense, "FULLY_CONNECTED", source, geometry, shape, order)
    return mac(node, form, image, operands_of(node, _as_kernel(weights, product), (0, 1, 2, 3), None))


def _as_kernel(weights: Weights, product: Product) -> Weights:
    """Weights (groups * columns, 1, 1, k), with a scale for each of them where the columns have scales."""
    turned = weights.codes.transpose(product.right)
    units, k = product.geometry.oc, turned.shape[-1]
    kernel = replace(weights, codes=turned.reshape(units, 1, 1, k))
    if weights.axis is None:
        return kernel
    shape = [1] * weights.codes.ndim
    shape[weights.axis] = -1
    place = np.arange(weights.codes.shape[weights.axis]).reshape(shape)
    channel = np.broadcast_to(place, weights.codes.shape).transpose(product.right)[..., 0].reshape(-1)
    scales = weights.scales if weights.scales.size == 1 else weights.scales[channel]
    zeros = weights.zero_points if weights.zero_points.size == 1 else weights.zero_points[channel]
    return replace(kernel, scales=scales, zero_points=zeros, axis=0)


def _pending(node: NodeContext, left: Codes, right: Codes) -> Pending:
    """The product; its layers are made with its codes."""
    product = product_of(left.shape, right.shape)
    if product is None:
        raise RefusalError(f"it multiplies {list(left.shape)} with {list(right.shape)}", ACCEPTED)
    zero_points = left.known.zero_point, right.known.zero_point

    def emit(target: Target) -> None:
        sources = (
            node.net.ordered(left, product.left, "rows_first"),
            node.net.ordered(right, product.right, "columns_first"),
        )
        requant = _requant(node, left, right, target)

        def layer(output: str) -> Layer:
            return MatMul(
                name=node.layer_name, inputs=sources, output=output, geometry=product.geometry, weights=None,
                weight_format=right.format, input_zero_point=zero_points[0], right_zero_point=zero_points[1],
                requant=requant,
            )  # fmt: skip

        made = Codes(target.name, product.shape, target.quantization.format, target.quantization)
        node.net.from_ordered(made, product.output, "rows_first", layer)

    return Pending(product.shape, emit, f"a {node.op}")


def _requant(node: NodeContext, left: Codes, right: Codes, target: Target) -> Requantization:
    return requantization_from_scales(
        node.rules.scheme(OPERATOR),
        s_in=left.known.scale,
        s_w=right.known.scale,
        s_out=target.quantization.scale,
        zero_point=target.quantization.zero_point,
        clamp_min=target.low,
        clamp_max=target.high,
    )
