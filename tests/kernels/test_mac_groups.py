"""Adder trees: several products per addition, against plain integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import AccumulatorOverflowError
from accelsim.graph import Conv2D, MacGeometry
from accelsim.kernels.mac import accumulate, group_size
from accelsim.kernels.peaks import partial_sum_peaks
from accelsim.numerics import INT8, INT16, INT32, INT64, IntFormat, Overflow
from tests.kernels.layers import additions, geometries, random_codes, random_layer, sums_by_definition
from tests.kernels.test_mac import add_tile, bias_block, line

seeds = st.integers(0, 2**32 - 1)
relaxed = settings(deadline=None, max_examples=60)
per_adds = st.sampled_from([1, 2, 3, 4, 7, 8, 16, 100, 65_536, "tile"])
clamping = st.sampled_from([Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC])


def in_tiles(layer: Conv2D, x: np.ndarray, tile: tuple[int, int, int], **options: Any) -> np.ndarray:
    """The whole layer, its reduction cut as the Program cuts it."""
    g, sums = layer.geometry, bias_block(layer)
    whole = [(0, size) for size in g.output_shape]
    for ky in range(0, g.kh, tile[0]):
        for kx in range(0, g.kw, tile[1]):
            for i in range(0, g.ic_per_group, tile[2]):
                starts = zip((ky, kx, i), tile, (g.kh, g.kw, g.ic_per_group), strict=True)
                add_tile(sums, layer, x, (*whole, *((a, min(a + t, size)) for a, t, size in starts)), **options)
    return sums


def random_tile(rng: np.random.Generator, g: MacGeometry) -> tuple[int, int, int]:
    return tuple(int(rng.integers(1, size + 1)) for size in (g.kh, g.kw, g.ic_per_group))


@relaxed
@given(geometries(), seeds, st.integers(8, 34), clamping, per_adds, st.sampled_from([INT8, INT16]))
def test_clamped_groups_equal_the_definition(
    g: MacGeometry, seed: int, bits: int, overflow: Overflow, per_add: int | str, fmt: IntFormat
) -> None:
    rng = np.random.default_rng(seed)
    layer, x, tile = random_layer(g, rng, fmt=fmt), random_codes(rng, g.input_shape, fmt), random_tile(rng, g)
    options = {"accumulator": IntFormat(bits), "overflow": overflow}
    expected = sums_by_definition(layer, x, tile=tile, per_add=per_add, **options)
    np.testing.assert_array_equal(in_tiles(layer, x, tile, products_per_add=per_add, **options), expected)


@relaxed
@given(geometries(), seeds, st.integers(8, 24), per_adds)
def test_wrapping_does_not_depend_on_groups(g: MacGeometry, seed: int, bits: int, per_add: int | str) -> None:
    rng = np.random.default_rng(seed)
    layer, x, tile = random_layer(g, rng), random_codes(rng, g.input_shape, INT8), random_tile(rng, g)
    options = {"accumulator": IntFormat(bits), "overflow": Overflow.WRAP}
    expected = sums_by_definition(layer, x, tile=tile, per_add=per_add, **options)
    np.testing.assert_array_equal(in_tiles(layer, x, tile, products_per_add=per_add, **options), expected)
    np.testing.assert_array_equal(sums_by_definition(layer, x, **options), expected)


@relaxed
@given(geometries(), seeds, st.integers(8, 22), per_adds)
def test_traps_judge_additions_not_products(g: MacGeometry, seed: int, bits: int, per_add: int | str) -> None:
    rng = np.random.default_rng(seed)
    layer, x, tile = random_layer(g, rng), random_codes(rng, g.input_shape, INT8), random_tile(rng, g)
    options = {"accumulator": IntFormat(bits), "overflow": Overflow.TRAP}
    try:
        expected = sums_by_definition(layer, x, tile=tile, per_add=per_add, **options)
    except AccumulatorOverflowError:
        with pytest.raises(AccumulatorOverflowError, match="layer 'layer': the sum at output"):
            in_tiles(layer, x, tile, products_per_add=per_add, **options)
    else:
        np.testing.assert_array_equal(in_tiles(layer, x, tile, products_per_add=per_add, **options), expected)


@relaxed
@given(geometries(), seeds, per_adds)
def test_peaks_are_the_width_at_which_traps_stop(g: MacGeometry, seed: int, per_add: int | str) -> None:
    rng = np.random.default_rng(seed)
    layer, x, tile = random_layer(g, rng), random_codes(rng, g.input_shape, INT8), random_tile(rng, g)
    low, high = partial_sum_peaks(layer, x, reduction_tile=tile, products_per_add=per_add)
    bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
    options = {"overflow": Overflow.TRAP, "products_per_add": per_add}
    fits = in_tiles(layer, x, tile, accumulator=IntFormat(bits), **options)
    np.testing.assert_array_equal(fits, accumulate(layer, x))
    if bits > 1:
        with pytest.raises(AccumulatorOverflowError):
            in_tiles(layer, x, tile, accumulator=IntFormat(bits - 1), **options)


@relaxed
@given(geometries(), st.integers(1, 12), st.data())
def test_additions_cover_every_tap_once(g: MacGeometry, per_add: int, data: Any) -> None:
    rng = np.random.default_rng(data.draw(seeds))
    groups = list(additions(g, random_tile(rng, g), per_add))
    assert all(1 <= len(group) <= per_add for group in groups)
    taps = [tap for group in groups for tap in group]
    assert sorted(taps) == list(np.ndindex(g.kh, g.kw, g.ic_per_group))
    assert [group_size(per_add, n) for n in (1, 5, 50)] == [min(per_add, n) for n in (1, 5, 50)]
    assert (group_size("tile", 50), group_size("tile", 0), group_size(7, 0)) == (50, 1, 1)


def test_a_tree_forgives_an_excursion_that_single_products_do_not() -> None:
    layer, x = line([(100, 100), (100, 100), (-100, 100), (-100, 100)])
    options = {"accumulator": IntFormat(15), "overflow": Overflow.SATURATE}
    sums = {t: in_tiles(layer, x, (1, 1, 4), products_per_add=t, **options).item() for t in (1, 2, 3, 4, "tile")}
    assert sums == {1: 16383 - 20000, 2: 16383 - 20000, 3: 0, 4: 0, "tile": 0}
    assert in_tiles(layer, x, (1, 1, 2), products_per_add="tile", **options).item() == 16383 - 20000


def test_padding_takes_a_place_in_the_tree() -> None:
    """Three columns of which the first is padding: pairs are (padding, 1st) and (2nd), not (1st, 2nd)."""
    g = MacGeometry(n=1, ih=1, iw=2, ic=1, oh=1, ow=1, oc=1, kw=3, pad_left=1)
    layer = Conv2D(
        name="layer",
        inputs=("x",),
        output="y",
        geometry=g,
        weights=np.array([50, 100, -100], np.int8).reshape(g.weight_shape),
        weight_format=INT8,
    )
    x = np.array([100, 100], np.int8).reshape(g.input_shape)
    options = {"accumulator": IntFormat(12), "overflow": Overflow.SATURATE}
    assert in_tiles(layer, x, (1, 3, 1), products_per_add=2, **options).item() == 2047 - 4095 - 0  # not 0
    assert in_tiles(layer, x, (1, 3, 1), products_per_add=3, **options).item() == 0
    assert partial_sum_peaks(layer, x, products_per_add=2) == (0, 10_000)
    assert partial_sum_peaks(layer, x, products_per_add=3) == (0, 0)


@pytest.mark.parametrize("per_add", [2, 3, "tile"])
def test_groups_wider_than_64_bits_are_exact(per_add: int | str) -> None:
    """Each product is 2^62: four of them exceed 64 bits inside the tree, where nothing may be lost."""
    big = -(2**31)
    layer, x = line([(big, big)] * 4 + [(2**31 - 1, big)] * 3 + [(5, 7)], bias=-9, fmt=INT32)
    for overflow in (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC):
        options = {"accumulator": INT64, "overflow": overflow}
        expected = sums_by_definition(layer, x, per_add=per_add, **options)
        assert in_tiles(layer, x, (1, 1, 8), products_per_add=per_add, **options).tolist() == expected.tolist()
    options = {"accumulator": INT64, "overflow": Overflow.TRAP, "products_per_add": per_add}
    if per_add == "tile":
        assert in_tiles(layer, x, (1, 1, 8), **options).item() == 2**62 + 3 * 2**31 + 35 - 9
    else:
        with pytest.raises(AccumulatorOverflowError):
            in_tiles(layer, x, (1, 1, 8), **options)


def test_wide_weights_do_not_overflow_narrow_rows() -> None:
    """A 16-bit code times a 32-bit weight needs more than 32 bits, however narrow the accumulator."""
    for per_add in (1, 2):
        layer, x = line([(2**31 - 1, 1000), (-(2**31) + 1, 1000), (3, 4)], fmt=INT32)
        options = {"accumulator": IntFormat(20), "overflow": Overflow.SATURATE}
        expected = sums_by_definition(layer, x.astype(np.int16), per_add=per_add, **options)
        found = in_tiles(layer, x.astype(np.int16), (1, 1, 3), products_per_add=per_add, **options)
        assert found.tolist() == expected.tolist()


def test_tiles_restart_the_groups() -> None:
    rng = np.random.default_rng(3)
    g = MacGeometry(n=1, ih=1, iw=1, ic=9, oh=1, ow=1, oc=40)
    layer, x = random_layer(g, rng), random_codes(rng, g.input_shape, INT8)
    options = {"accumulator": IntFormat(14), "overflow": Overflow.SATURATE, "products_per_add": 4}
    whole, cut_in_three = (in_tiles(layer, x, (1, 1, ic), **options) for ic in (9, 3))
    assert (whole != cut_in_three).any()
