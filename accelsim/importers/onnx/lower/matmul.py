"""Matrix products: with a constant a dense layer, of two activations a MatMul between transpositions."""

from __future__ import annotations

from accelsim.graph import Layer, MatMul
from accelsim.importers.matmul import ACCEPTED, product_of
from accelsim.importers.onnx.context import NodeContext
from accelsim.importers.onnx.lower.mac import lower_constant_matmul, lower_constant_qlinear_matmul
from accelsim.importers.onnx.network import Codes, Pending, Target
from accelsim.importers.refusal import RefusalError
from accelsim.numerics import Requantization
from accelsim.quant import requantization_from_scales

OPERATOR = "BATCH_MATMUL"


def lower_matmul(node: NodeContext) -> None:
    """DequantizeLinear -> MatMul -> QuantizeLinear."""
    if node.is_constant(1):
        lower_constant_matmul(node)
        return
    _need_computed_left(node)
    node.result(_pending(node, node.codes(0), node.codes(1)))


def lower_qlinear_matmul(node: NodeContext) -> None:
    """a, s, z, b, s, z, s_y, z_y."""
    if node.is_constant(3):
        lower_constant_qlinear_matmul(node)
        return
    _need_computed_left(node)
    node.emit(_pending(node, node.scaled(0, 1, 2), node.scaled(3, 4, 5)), node.quantization(6, 7))


def _need_computed_left(node: NodeContext) -> None:
    node.need(
        not node.is_constant(0),
        "its left operand is constant and its right one is computed at run time",
        "a constant right operand, or two that are computed",
    )


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
