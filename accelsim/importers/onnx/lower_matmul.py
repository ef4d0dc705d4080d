"""Matrix products: with a constant a dense layer, of two activations a MatMul between transpositions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from accelsim.graph import Layer, MacGeometry, MatMul
from accelsim.importers.onnx.lower_mac import lower_constant_matmul, lower_constant_qlinear_matmul
from accelsim.importers.onnx.network import Codes, Pending, Shape, Target
from accelsim.importers.onnx.site import Site
from accelsim.numerics import Requantization
from accelsim.quant import requantization_from_scales

OPERATOR = "BATCH_MATMUL"
ACCEPTED = "matrices (..., m, k) and (..., k, n) with equal leading axes, or a right operand without them"
MAX_AXES = 8


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


@dataclass(frozen=True)
class _Product:
    """The geometry, the shape of the result, and the order in which ONNX's axes are read and written.

    ``rows_first`` is (m, *batch, k or n), of the left operand and the result; ``columns_first`` (*batch, n, k), of the right one.
    """

    geometry: MacGeometry
    shape: Shape
    rows_first: Shape
    columns_first: Shape


def _product_of(site: Site, a: Shape, b: Shape) -> _Product:
    """Shapes (*batch, m, k) and (*batch, k, n); where the right operand is one matrix, all rows of the left one are its m."""
    what = f"it multiplies {list(a)} with {list(b)}"
    site.need(2 <= min(len(a), len(b)) and max(len(a), len(b)) <= MAX_AXES, what, ACCEPTED)
    site.need(a[-1] == b[-2], what, "equal inner sizes")
    one_matrix = math.prod(b[:-2]) == 1 and len(b) <= len(a)
    site.need(one_matrix or a[:-2] == b[:-2], f"{what}, whose leading axes are spread", ACCEPTED)
    rank, groups = len(a), 1 if one_matrix else math.prod(b[:-2])
    m, k, n = (math.prod(a[:-1]) if one_matrix else a[-2]), a[-1], b[-1]
    return _Product(
        geometry=MacGeometry(n=1, ih=m, iw=1, ic=groups * k, oh=m, ow=1, oc=groups * n, groups=groups),
        shape=(*a[:-1], n),
        rows_first=tuple(range(rank)) if one_matrix else (rank - 2, *range(rank - 2), rank - 1),
        columns_first=(*range(len(b) - 2), len(b) - 1, len(b) - 2),
    )


def _pending(site: Site, left: Codes, right: Codes) -> Pending:
    """The product; its layers are made with its codes."""
    product = _product_of(site, left.shape, right.shape)
    zero_points = left.known.zero_point, right.known.zero_point

    def emit(target: Target) -> None:
        sources = (
            site.net.ordered(left, product.rows_first, "rows_first"),
            site.net.ordered(right, product.columns_first, "columns_first"),
        )
        requant = _requant(site, left, right, target)

        def layer(output: str) -> Layer:
            return MatMul(
                name=site.layer_name, inputs=sources, output=output, geometry=product.geometry, weights=None,
                weight_format=right.format, input_zero_point=zero_points[0], right_zero_point=zero_points[1],
                requant=requant,
            )  # fmt: skip

        made = Codes(target.name, product.shape, target.quantization.format, target.quantization)
        site.net.from_ordered(made, product.rows_first, "rows_first", layer)

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
