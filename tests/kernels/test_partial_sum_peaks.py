"""Peaks of partial sums against a loop in plain Python, over strides, padding, groups, upsampling and tiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from accelsim.graph import Conv2D, MacGeometry, MacLayer
from accelsim.kernels.mac import accumulate
from accelsim.kernels.peaks import partial_sum_peaks
from accelsim.numerics import INT8

GEOMETRIES = {
    "valid": MacGeometry(n=1, ih=5, iw=4, ic=3, oh=3, ow=2, oc=4, kh=3, kw=3),
    "padded, strided": MacGeometry(
        n=2, ih=5, iw=5, ic=2, oh=3, ow=3, oc=3, kh=3, kw=3, stride_h=2, stride_w=2, pad_top=1, pad_left=1
    ),
    "dilated": MacGeometry(n=1, ih=6, iw=6, ic=2, oh=2, ow=2, oc=2, kh=3, kw=3, dilation_h=2, dilation_w=2),
    "grouped": MacGeometry(n=1, ih=4, iw=4, ic=6, oh=3, ow=3, oc=4, kh=2, kw=2, groups=2),
    "depthwise": MacGeometry(n=1, ih=4, iw=4, ic=3, oh=4, ow=4, oc=3, kh=3, kw=3, pad_top=1, pad_left=1, groups=3),
    "upsampled": MacGeometry(
        n=1, ih=3, iw=3, ic=2, oh=5, ow=5, oc=2, kh=3, kw=3, upsample_h=2, upsample_w=2, pad_top=1
    ),
    "dense": MacGeometry(n=1, ih=3, iw=1, ic=9, oh=3, ow=1, oc=5),
}


def layer_of(g: MacGeometry, seed: int, *, bias: bool = True) -> MacLayer:
    rng = np.random.default_rng(seed)
    return Conv2D(
        name="layer",
        inputs=("x",),
        output="y",
        geometry=g,
        weights=rng.integers(-128, 128, g.weight_shape).astype(np.int8),
        weight_format=INT8,
        bias=rng.integers(-20000, 20000, g.oc).astype(np.int64) if bias else None,
        input_zero_point=int(rng.integers(-128, 128)),
    )


def source(out: int, tap: int, stride: int, dilation: int, pad: int, upsample: int, size: int) -> int | None:
    spread = out * stride - pad + tap * dilation
    inside = spread >= 0 and spread % upsample == 0 and spread // upsample < size
    return spread // upsample if inside else None


def prefixes(layer: MacLayer, x: np.ndarray, tile: tuple[int, int, int]) -> list[list[int]]:
    """Every partial sum of every output, the bias first."""
    g, found = layer.geometry, []
    axes = (g.kh, g.kw, g.ic_per_group)
    starts = itertools.product(*(range(0, size, step) for size, step in zip(axes, tile, strict=True)))
    order = [
        tap
        for start in starts
        for tap in itertools.product(
            *(range(a, min(a + step, size)) for a, step, size in zip(start, tile, axes, strict=True))
        )
    ]
    for n, oy, ox, c in np.ndindex(g.output_shape):
        sums = [0 if layer.bias is None else int(layer.bias[c])]
        for ky, kx, i in order:
            row = source(oy, ky, g.stride_h, g.dilation_h, g.pad_top, g.upsample_h, g.ih)
            column = source(ox, kx, g.stride_w, g.dilation_w, g.pad_left, g.upsample_w, g.iw)
            if row is not None and column is not None:
                code = int(x[n, row, column, c // g.oc_per_group * g.ic_per_group + i])
                sums.append(sums[-1] + int(layer.weights[c, ky, kx, i]) * (code - layer.input_zero_point))
        found.append(sums)
    return found


@pytest.mark.parametrize("tile", [None, (1, 1, 1), (2, 3, 2), (1, 2, 1)], ids=str)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_peaks_are_those_of_every_prefix(name, tile):
    g = GEOMETRIES[name]
    for seed in range(3):
        layer = layer_of(g, seed, bias=seed != 1)
        x = np.random.default_rng(seed).integers(-128, 128, g.input_shape).astype(np.int8)
        sums = prefixes(layer, x, tile or (g.kh, g.kw, g.ic_per_group))
        low, high = min(map(min, sums)), max(map(max, sums))
        assert partial_sum_peaks(layer, x, reduction_tile=tile) == (low, high)
        assert [row[-1] for row in sums] == accumulate(layer, x).ravel().tolist()


def test_the_order_of_tiles_changes_peaks_but_not_sums():
    g = MacGeometry(n=1, ih=1, iw=2, ic=2, oh=1, ow=1, oc=1, kh=1, kw=2)
    weights = np.array([[[[100, -100], [100, -100]]]], np.int8)
    layer = Conv2D(
        name="l",
        inputs=("x",),
        output="y",
        geometry=g,
        weights=weights,
        weight_format=INT8,
        bias=None,
        input_zero_point=0,
    )
    x = np.full((1, 1, 2, 2), 10, np.int8)
    assert partial_sum_peaks(layer, x) == (0, 1000)
    assert partial_sum_peaks(layer, x, reduction_tile=(1, 2, 1)) == (0, 2000)
    assert accumulate(layer, x).tolist() == [[[[0]]]]
