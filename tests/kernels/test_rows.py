"""Layers that work row by row, resizing and extremes: each against its rule in plain numbers, every tile against the whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import GraphError
from accelsim.graph import FloatTableSoftmax, LayerNorm, ReduceMax, ReduceMin, ResizeNearest, VectorLayer
from accelsim.kernels._rows import integer_root
from accelsim.numerics import INT8
from tests.kernels.layers import cut, random_codes
from tests.kernels.test_vector import evaluate_box, layer_of, whole

Rng = np.random.Generator
seeds = st.integers(0, 2**32 - 1)


def float_table_softmax(rng: Rng) -> VectorLayer:
    shape = tuple(int(i) for i in rng.integers(1, 9, int(rng.integers(1, 5))))
    table = np.exp((np.arange(256) - 255) * rng.uniform(0.01, 0.3) + rng.uniform(0, 20)).astype(np.float32)
    factor = float(rng.integers(100, 300))
    return layer_of(
        FloatTableSoftmax, [shape], shape, exp_table=table, output_factor=factor,
        output_zero_point=int(rng.integers(-128, 128)), output_min=-120, output_max=125,
    )  # fmt: skip


def layer_norm(rng: Rng) -> VectorLayer:
    shape = tuple(int(i) for i in rng.integers(1, 9, int(rng.integers(1, 5))))
    bits = int(rng.integers(10, 31))
    return layer_of(
        LayerNorm, [shape], shape, multiplier=rng.integers(-(2**bits), 2**bits, shape[-1]),
        bias=rng.integers(-(2 ** (bits + 14)), 2 ** (bits + 14), shape[-1]), epsilon=int(rng.integers(0, 2**30)),
        variance_shift=2 * int(rng.integers(0, 15)), output_shift=bits + 15, output_min=-120, output_max=125,
    )  # fmt: skip


def resize_nearest(rng: Rng) -> VectorLayer:
    n, h, w, c = (int(i) for i in rng.integers(1, 6, 4))
    rows, columns = (np.sort(rng.integers(0, size, int(rng.integers(1, 9)))) for size in (h, w))
    shape = (n, len(rows), len(columns), c)
    return layer_of(ResizeNearest, [(n, h, w, c)], shape, rows=rows, columns=columns)


def extreme(rng: Rng) -> VectorLayer:
    shape = tuple(int(i) for i in rng.integers(1, 6, 4))
    axes = tuple(sorted(int(i) for i in rng.choice(4, int(rng.integers(1, 4)), replace=False)))
    kept = tuple(1 if i in axes else size for i, size in enumerate(shape))
    return layer_of([ReduceMax, ReduceMin][int(rng.integers(2))], [shape], kept, axes=axes)


def rule_float_table_softmax(layer: Any, x: np.ndarray, place: tuple[int, ...]) -> int:
    """numpy scalars: sums of float32, the share a float64."""
    row = [int(code) for code in x[place[:-1]]]
    terms = [layer.exp_table[255 - (max(row) - code)] for code in row]
    total = np.float32(0)
    for term in terms:
        total = np.float32(total + term)
    share = float(terms[place[-1]]) * layer.output_factor / float(total)
    return min(max(round(float(share)) + layer.output_zero_point, -120), 125)


def rule_layer_norm(layer: Any, x: np.ndarray, place: tuple[int, ...]) -> int:
    """Plain integers, the root by math.isqrt."""
    row = [int(code) for code in x[place[:-1]]]
    n, total = len(row), sum(row)
    spread = n * sum(code * code for code in row) - total * total
    normalized = 0
    if spread:
        scaled, doublings = (spread << layer.variance_shift) + layer.epsilon, layer.variance_shift // 2
        while scaled < 2**60:
            scaled, doublings = scaled * 4, doublings + 1
        shift = 61 - layer.NORMALIZED_BITS - doublings
        difference = n * row[place[-1]] - total
        normalized = (difference * (2**61 // math.isqrt(scaled)) + 2 ** (shift - 1)) >> shift
    at = place[-1]
    half = 2 ** (layer.output_shift - 1)
    code = (normalized * int(layer.multiplier[at]) + int(layer.bias[at]) + half) >> layer.output_shift
    return min(max(code, -120), 125)


def rule_resize_nearest(layer: Any, x: np.ndarray, place: tuple[int, ...]) -> int:
    n, row, column, c = place
    return int(x[n, int(layer.rows[row]), int(layer.columns[column]), c])


def rule_extreme(layer: Any, x: np.ndarray, place: tuple[int, ...]) -> int:
    codes = [int(c) for c in x[tuple(slice(None) if i in layer.axes else at for i, at in enumerate(place))].ravel()]
    return max(codes) if isinstance(layer, ReduceMax) else min(codes)


MAKERS: dict[str, Callable[[Rng], VectorLayer]] = {
    make.__name__: make for make in (float_table_softmax, layer_norm, resize_nearest, extreme)
}


@pytest.mark.parametrize("kind", MAKERS)
@settings(deadline=None, max_examples=40)
@given(seed=seeds)
def test_each_element_follows_its_rule(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = MAKERS[kind](rng)
    x = random_codes(rng, layer.shapes[0], INT8)
    got, rule = whole(layer, x), globals()[f"rule_{kind}"]
    assert got.shape == layer.shape
    for place in np.ndindex(layer.shape):
        assert int(got[place]) == rule(layer, x, place), (layer, place)


@pytest.mark.parametrize("kind", MAKERS)
@settings(deadline=None, max_examples=40)
@given(seed=seeds)
def test_tiles_equal_the_same_boxes_of_the_whole(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = MAKERS[kind](rng)
    x = random_codes(rng, layer.shapes[0], INT8)
    expected = whole(layer, x)
    axes = [[(0, size)] if i in layer.whole_axes else cut(rng, size) for i, size in enumerate(layer.shape)]
    for box in product(*axes):
        lo, hi = zip(*box, strict=True)
        np.testing.assert_array_equal(evaluate_box(layer, [x], lo, hi), expected[tuple(slice(a, b) for a, b in box)])


@settings(deadline=None, max_examples=200)
@given(value=st.one_of(st.integers(1, 2**62 - 1), st.integers(1, 2**31 - 1).map(lambda r: r * r), st.integers(1, 99)))
def test_the_integer_root_is_the_largest_whose_square_fits(value: int) -> None:
    assert integer_root(value) == math.isqrt(value)
    assert integer_root(max(value - 1, 1)) == math.isqrt(max(value - 1, 1))


def normalized_exactly(row: list[int], place: int, layer: Any) -> Fraction:
    """The real value, to 80 bits."""
    n, total = len(row), sum(row)
    spread = n * sum(code * code for code in row) - total * total
    square = Fraction(layer.epsilon, 2**layer.variance_shift) + spread
    root = Fraction(math.isqrt(square.numerator * 2**200 // square.denominator), 2**100)
    return Fraction(n * row[place] - total) / root


@pytest.mark.parametrize("size", [2, 7, 64, 768, 4096])
@settings(deadline=None, max_examples=20)
@given(seed=seeds)
def test_layer_norm_stays_within_its_error_bound(size: int, seed: int) -> None:
    """A multiplier of 2^24 behind 24 bits shows the normalized value itself, in steps of its 20 fractional bits."""
    rng = np.random.default_rng(seed)
    low = int(rng.integers(-128, 127))
    x = rng.integers(low, int(rng.integers(low + 1, 128)), (1, size), endpoint=True).astype(np.int8)
    layer = layer_of(
        LayerNorm, [x.shape], x.shape, multiplier=np.full(size, 2**24), bias=np.zeros(size, np.int64),
        epsilon=int(rng.integers(1, 2**40)), variance_shift=16, output_shift=24, output_min=-(2**31), output_max=2**31 - 1,
    )  # fmt: skip
    got = whole(layer, x)
    row = [int(code) for code in x[0]]
    for place in rng.integers(0, size, 5):
        exact = normalized_exactly(row, int(place), layer)
        bound = Fraction(1, 2**21) + abs(exact) / 2**29
        assert abs(Fraction(int(got[0, place]), 2**20) - exact) <= bound


def test_a_constant_row_normalizes_to_its_bias() -> None:
    x = np.full((1, 5), 77, np.int8)
    for epsilon in (0, 1):
        bias = np.arange(5) << 30
        layer = layer_of(
            LayerNorm, [x.shape], x.shape, multiplier=np.full(5, 2**30), bias=bias, epsilon=epsilon, output_shift=30
        )
        assert whole(layer, x)[0].tolist() == [0, 1, 2, 3, 4]


def test_rows_share_out_the_whole_factor() -> None:
    """Equal codes have equal shares, and shares sum to about the factor."""
    table = np.exp((np.arange(256) - 255) / 8).astype(np.float32)
    x = np.array([[3, 3, 3, 3], [-128, -128, -128, 127]], np.int8)
    layer = layer_of(FloatTableSoftmax, [x.shape], x.shape, exp_table=table, output_min=0, output_max=255)
    assert whole(layer, x).tolist() == [[64, 64, 64, 64], [0, 0, 0, 255]]


@pytest.mark.parametrize("rows", [[0, 2, 1], [0, 1, 4], [-1, 0, 1], [0, 1]])
def test_row_indices_that_do_not_ascend_or_leave_the_image_are_refused(rows: list[int]) -> None:
    with pytest.raises(GraphError, match=r"layer 'layer': indices of axis 1 must be 3 ascending numbers in \[0, 4\)"):
        layer_of(ResizeNearest, [(1, 4, 1, 1)], (1, 3, 1, 1), rows=np.array(rows), columns=np.array([0]))
