"""Matrix products: with a constant a dense layer, of two activations a MatMul between transpositions."""

from __future__ import annotations

from accelsim.graph import Layer, MatMul
from accelsim.importers.matmul import ACCEPTED, product_of
from accelsim.importers.onnx.lower.mac import lower_constant_matmul, lower_constant_qlinear_matmul
from accelsim.importers.onnx.network import Codes, Pending, Target
from accelsim.importers.onnx.refusal import RefusalError
from accelsim.importers.onnx.site import Site
from accelsim.numerics import Requantization
from accelsim.quant import requantization_from_scales

OPERATOR = "BATCH_MATMUL"


def lower_matmul(site: Site) -> None:
    """DequantizeLinear -> MatMul -> QuantizeLinear."""
    if site.is_constant(1):
        lower_constant_matmul(site)
        return
    _need_computed_left(site)
    site.result(_pending(site, site.codes(0), site.codes(1)))


def lower_qlinear_matmul(site: Site) -> None:
    """a, s, z, b, s, z, s_y, z_y."""
    if site.is_constant(3):
        lower_constant_qlinear_matmul(site)
        return
    _need_computed_left(site)
    site.emit(_pending(site, site.scaled(0, 1, 2), site.scaled(3, 4, 5)), site.quantization(6, 7))


def _need_computed_left(site: Site) -> None:
    site.need(
        not site.is_constant(0),
        "its left operand is constant and its right one is computed at run time",
        "a constant right operand, or two that are computed",
    )


def _pending(site: Site, left: Codes, right: Codes) -> Pending:
    """The product; its layers are made with its codes."""
    product = product_of(left.shape, right.shape)
    if product is None:
        raise RefusalError(f"it multiplies {list(left.shape)} with {list(right.shape)}", ACCEPTED)
    zero_points = left.known.zero_point, right.known.zero_point

    def emit(target: Target) -> None:
        sources = (
            site.net.ordered(left, product.left, "rows_first"),
            site.net.ordered(right, product.right, "columns_first"),
        )
        requant = _requant(site, left, right, target)

        def layer(output: str) -> Layer:
            return MatMul(
                name=site.layer_name, inputs=sources, output=output, geometry=product.geometry, weights=None,
                weight_format=right.format, input_zero_point=zero_points[0], right_zero_point=zero_points[1],
                requant=requant,
            )  # fmt: skip

        made = Codes(target.name, product.shape, target.quantization.format, target.quantization)
        site.net.from_ordered(made, product.output, "rows_first", layer)

    return Pending(product.shape, emit, f"a {site.node.op}")


def _requant(site: Site, left: Codes, right: Codes, target: Target) -> Requantization:
    return requantization_from_scales(
        site.rules.scheme(OPERATOR),
        s_in=left.known.scale,
        s_w=right.known.scale,
        s_out=target.quantization.scale,
        zero_point=target.quantization.zero_point,
        clamp_min=target.low,
        clamp_max=target.high,
    )
