"""One tile of products, against one product at a time in plain integers."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import AccumulatorOverflowError
from accelsim.graph import Conv2D, MacGeometry
from accelsim.kernels.mac import accumulate, accumulate_block
from accelsim.numerics import INT8, INT16, INT32, INT64, UINT8, IntFormat, Overflow
from tests.kernels.layers import cut, geometries, random_codes, random_layer, sums_by_definition

seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=60)
ORIGIN = (0, 0, 0, 0)


def add_tile(sums: np.ndarray, layer: Conv2D, x: np.ndarray, box: Any, **options: Any) -> None:
    """One tile of ``layer``: ``box`` holds the ranges n, oh, ow, oc, kh, kw, ic; the input block is cut as the Program cuts it."""
    g = layer.geometry
    n, y, column, o, ky, kx, i = box
    rows = _span(y, ky, g.stride_h, g.dilation_h, g.pad_top, g.upsample_h, g.ih)
    columns = _span(column, kx, g.stride_w, g.dilation_w, g.pad_left, g.upsample_w, g.iw)
    first, last = o[0] // g.oc_per_group, (o[1] - 1) // g.oc_per_group
    channels = first * g.ic_per_group + i[0], last * g.ic_per_group + i[1]
    accumulate_block(
        sums,
        x[slice(*n), slice(*rows), slice(*columns), slice(*channels)],
        layer.weights[slice(*o), slice(*ky), slice(*kx), slice(*i)],
        geometry=g,
        output_origin=(n[0], y[0], column[0], o[0]),
        input_origin=(n[0], rows[0], columns[0], channels[0]),
        weight_origin=(o[0], ky[0], kx[0], i[0]),
        input_zero_point=layer.input_zero_point,
        where=layer.name,
        **options,
    )


def _span(out: Any, taps: Any, stride: int, dilation: int, pad: int, upsample: int, size: int) -> tuple[int, int]:
    lo = -(-(out[0] * stride - pad + taps[0] * dilation) // upsample)
    hi = ((out[1] - 1) * stride - pad + (taps[1] - 1) * dilation) // upsample + 1
    lo = min(max(lo, 0), size)
    return lo, max(lo, min(hi, size))


def whole(layer: Conv2D, x: np.ndarray, *, accumulator: IntFormat, overflow: Overflow) -> np.ndarray:
    sums = bias_block(layer)
    ranges = [(0, size) for size in (*layer.geometry.output_shape, *layer.geometry.weight_shape[1:])]
    add_tile(sums, layer, x, ranges, accumulator=accumulator, overflow=overflow)
    return sums


def bias_block(layer: Conv2D) -> np.ndarray:
    sums = np.zeros(layer.geometry.output_shape, dtype=np.int64)
    if layer.bias is not None:
        sums += layer.bias
    return sums


@relaxed
@given(geometries(), seeds, st.sampled_from([INT8, UINT8, INT16]))
def test_whole_layer_equals_the_definition(g: MacGeometry, seed: int, fmt: IntFormat) -> None:
    rng = np.random.default_rng(seed)
    layer, x = random_layer(g, rng, fmt=fmt), random_codes(rng, g.input_shape, fmt)
    np.testing.assert_array_equal(accumulate(layer, x), sums_by_definition(layer, x))


@relaxed
@given(geometries(), seeds)
def test_tiles_in_any_cut_add_up_to_the_whole(g: MacGeometry, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer, x = random_layer(g, rng), random_codes(rng, g.input_shape, INT8)
    sums = bias_block(layer)
    axes = [cut(rng, size) for size in (*g.output_shape[:3], g.groups, *g.weight_shape[1:])]
    for *nyx, group, ky, kx, i in product(*axes):
        channels = group[0] * g.oc_per_group, group[1] * g.oc_per_group
        tile = sums[tuple(slice(*r) for r in (*nyx, channels))]
        part = tile.copy()
        add_tile(part, layer, x, (*nyx, channels, ky, kx, i), accumulator=INT32, overflow=Overflow.WRAP)
        tile[...] = part
    np.testing.assert_array_equal(sums, accumulate(layer, x))


@relaxed
@given(
    geometries(),
    seeds,
    st.integers(8, 24),
    st.sampled_from([Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC, Overflow.WRAP]),
    st.sampled_from([INT8, INT16]),
)
def test_narrow_accumulators_equal_the_definition(
    g: MacGeometry, seed: int, bits: int, overflow: Overflow, fmt: IntFormat
) -> None:
    rng = np.random.default_rng(seed)
    layer, x = random_layer(g, rng, fmt=fmt), random_codes(rng, g.input_shape, fmt)
    expected = sums_by_definition(layer, x, accumulator=IntFormat(bits), overflow=overflow)
    np.testing.assert_array_equal(whole(layer, x, accumulator=IntFormat(bits), overflow=overflow), expected)


@relaxed
@given(geometries(), seeds, st.integers(8, 24))
def test_a_trap_names_the_first_sum_that_leaves_its_range(g: MacGeometry, seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    layer, x = random_layer(g, rng), random_codes(rng, g.input_shape, INT8)
    options = {"accumulator": IntFormat(bits), "overflow": Overflow.TRAP}
    try:
        expected = sums_by_definition(layer, x, **options)
    except AccumulatorOverflowError:
        with pytest.raises(AccumulatorOverflowError, match="layer 'layer': the sum at output") as raised:
            whole(layer, x, **options)
        saturated = sums_by_definition(layer, x, accumulator=IntFormat(bits), overflow=Overflow.SATURATE)
        exact = sums_by_definition(layer, x)
        changed = [tuple(int(i) for i in place) for place in np.argwhere(saturated != exact)]
        assert not changed or raised.value.data["output"] <= changed[0]
    else:
        np.testing.assert_array_equal(whole(layer, x, **options), expected)


def line(products: list[tuple[int, int]], *, bias: int = 0, fmt: IntFormat = INT8) -> tuple[Conv2D, np.ndarray]:
    """A layer of one output that sums the given (weight, code) products in order."""
    g = MacGeometry(n=1, ih=1, iw=1, ic=len(products), oh=1, ow=1, oc=1)
    weights, codes = zip(*products, strict=True)
    layer = Conv2D(
        name="layer",
        inputs=("x",),
        output="y",
        geometry=g,
        weights=np.array(weights, dtype=fmt.dtype).reshape(g.weight_shape),
        weight_format=fmt,
        bias=np.array([bias]),
    )
    return layer, np.array(codes, dtype=fmt.dtype).reshape(g.input_shape)


def test_saturation_depends_on_the_order_of_products() -> None:
    up, down = (100, 100), (-100, 100)
    accumulator = IntFormat(15)
    for products, expected in (([up, up, down], 16383 - 10000), ([up, down, up], 10000)):
        layer, x = line(products)
        assert whole(layer, x, accumulator=accumulator, overflow=Overflow.SATURATE).item() == expected


def test_a_bias_that_does_not_fit_is_clamped_before_the_first_product() -> None:
    layer, x = line([(1, -1)], bias=1000)
    assert whole(layer, x, accumulator=IntFormat(8), overflow=Overflow.SATURATE).item() == 126


def test_symmetric_saturation_stops_at_minus_the_largest_value() -> None:
    layer, x = line([(-100, 100)] * 3)
    assert whole(layer, x, accumulator=IntFormat(12), overflow=Overflow.SATURATE_SYMMETRIC).item() == -2047
    assert whole(layer, x, accumulator=IntFormat(12), overflow=Overflow.SATURATE).item() == -2048


def test_sums_at_the_edge_of_64_bits_saturate() -> None:
    big = 2**31 - 1
    layer, x = line([(big, big), (big, big), (big, big), (-1, 1)], bias=2**62, fmt=INT32)
    saturated = whole(layer, x, accumulator=INT64, overflow=Overflow.SATURATE).item()
    assert saturated == INT64.max - 1
    wrapped = whole(layer, x, accumulator=INT64, overflow=Overflow.WRAP).item()
    assert wrapped == (2**62 + 3 * big**2 - 1 + 2**63) % 2**64 - 2**63


def test_a_wide_enough_accumulator_never_traps() -> None:
    layer, x = line([(-128, -128)] * 100, bias=5)
    assert whole(layer, x, accumulator=IntFormat(22), overflow=Overflow.TRAP).item() == 100 * 128 * 128 + 5
    with pytest.raises(AccumulatorOverflowError, match=r"output \(0, 0, 0, 0\) left the 21-bit accumulator") as raised:
        whole(layer, x, accumulator=IntFormat(21), overflow=Overflow.TRAP)
    assert raised.value.data["layer"] == "layer"


def test_a_passing_excursion_traps_although_the_total_fits() -> None:
    layer, x = line([(100, 100), (-100, 100)])
    with pytest.raises(AccumulatorOverflowError):
        whole(layer, x, accumulator=IntFormat(14), overflow=Overflow.TRAP)


def test_a_bias_over_nothing_but_padding_is_fitted_too() -> None:
    g = MacGeometry(n=2, ih=1, iw=1, ic=1, oh=1, ow=1, oc=1, pad_left=1)
    weights, x = np.ones(g.weight_shape, np.int8), np.ones(g.input_shape, np.int8)
    layer = Conv2D(
        name="l", inputs=("x",), output="y", geometry=g, weights=weights, weight_format=INT8, bias=np.array([821])
    )
    for part in (x, x[:, :, :0]):
        for overflow, expected in ((Overflow.SATURATE, 127), (Overflow.WRAP, 821 - 768)):
            sums = np.full((2, 1, 1, 1), 821, np.int64)
            options = dict.fromkeys(("output_origin", "input_origin", "weight_origin"), ORIGIN)
            accumulate_block(
                sums,
                part,
                weights,
                geometry=g,
                **options,
                input_zero_point=0,
                accumulator=INT8,
                overflow=overflow,
                where=layer.name,
            )
            assert (sums == expected).all()


@pytest.mark.parametrize("empty", ["x", "weights", "sums"])
def test_an_empty_operand_adds_nothing(empty: str) -> None:
    layer, x = line([(1, 1), (2, 2)])
    weights, sums = layer.weights, np.full((1, 1, 1, 1), 7, dtype=np.int64)
    if empty == "x":
        x = x[:, :0]
    elif empty == "weights":
        weights = weights[..., :0]
    else:
        sums = sums[:0]
    accumulate_block(
        sums,
        x,
        weights,
        geometry=layer.geometry,
        output_origin=ORIGIN,
        input_origin=ORIGIN,
        weight_origin=ORIGIN,
        input_zero_point=0,
        accumulator=INT32,
        overflow=Overflow.SATURATE,
        where="layer",
    )
    assert (sums == 7).all()
