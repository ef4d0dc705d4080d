"""Random MAC layers and vector layers, and the pure-int definition of a MAC layer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import numpy as np
from hypothesis import strategies as st

from accelsim.graph import Conv2D, MacGeometry, MacLayer
from accelsim.numerics import INT8, INT16, INT64, IntFormat, Overflow, Requant, fit

Rng = np.random.Generator

DIVIDE_BY_256 = Requant("tflite_double", np.array([2**30]), np.array([-7]), 1, -128, 127)


@st.composite
def geometries(draw: Any) -> MacGeometry:
    """Small grouped convolutions with stride, dilation, padding and inserted zeros; some taps reach outside the image."""
    small = st.integers(1, 3)
    groups, icg, ocg = draw(small), draw(small), draw(st.sampled_from([1, 1, 2, 3, 17]))
    if draw(st.booleans()):
        groups, icg, ocg = draw(st.sampled_from([1, 5, 16, 19])), 1, 1
    return MacGeometry(
        n=draw(st.integers(1, 2)),
        ih=draw(st.integers(1, 5)),
        iw=draw(st.integers(1, 5)),
        ic=groups * icg,
        oh=draw(st.integers(1, 5)),
        ow=draw(st.integers(1, 5)),
        oc=groups * ocg,
        kh=draw(small),
        kw=draw(small),
        stride_h=draw(small),
        stride_w=draw(small),
        dilation_h=draw(st.integers(1, 2)),
        dilation_w=draw(st.integers(1, 2)),
        pad_top=draw(st.integers(-1, 3)),
        pad_left=draw(st.integers(-1, 3)),
        upsample_h=draw(st.sampled_from([1, 1, 2])),
        upsample_w=draw(st.sampled_from([1, 1, 3])),
        groups=groups,
    )


def random_layer(g: MacGeometry, rng: Rng, *, fmt: IntFormat = INT8, requant: Requant = DIVIDE_BY_256) -> Conv2D:
    """A layer of ``g`` with weights over their whole range."""
    return Conv2D(
        name="layer",
        inputs=("x",),
        output="y",
        geometry=g,
        weights=random_codes(rng, g.weight_shape, INT8),
        weight_format=INT8,
        bias=rng.integers(-3000, 3000, g.oc) if rng.random() < 0.8 else None,
        input_zero_point=0 if fmt == INT16 else int(rng.integers(-128, 128)),
        requant=requant,
        accumulator=INT64,
    )


def random_codes(rng: Rng, shape: tuple[int, ...], fmt: IntFormat) -> np.ndarray:
    """Codes over the whole range, the ends drawn often."""
    values = rng.integers(fmt.min, fmt.max, shape, endpoint=True)
    ends = rng.random(shape)
    return np.where(ends < 0.1, fmt.min, np.where(ends > 0.9, fmt.max, values)).astype(fmt.dtype)


def sums_by_definition(
    layer: MacLayer,
    x: np.ndarray,
    *,
    accumulator: IntFormat = INT64,
    overflow: Overflow = Overflow.WRAP,
    tile: tuple[int, int, int] | None = None,
    per_add: int | str = 1,
) -> np.ndarray:
    """Sums of the whole layer in the order ky, kx, channel, each addition fitted to the accumulator.

    The reduction is cut into tiles of (kernel rows, kernel columns, channels), a tile into groups of ``per_add`` products,
    products on padding included; a group is one addition.
    """
    g = layer.geometry
    groups = list(additions(g, tile or (g.kh, g.kw, g.ic_per_group), per_add))
    sums = np.zeros(g.output_shape, dtype=object)
    for n, y, column, o in np.ndindex(g.output_shape):
        total = fit(0 if layer.bias is None else int(layer.bias[o]), accumulator, overflow)
        for group in groups:
            exact = 0
            for ky, kx, i in group:
                code = _code(g, x, n, y, column, ky, kx, o // g.oc_per_group * g.ic_per_group + i)
                if code is not None:
                    exact += int(layer.weights[o, ky, kx, i]) * (code - layer.input_zero_point)
            total = fit(total + exact, accumulator, overflow)
        sums[n, y, column, o] = total
    return sums.astype(np.int64)


def additions(g: MacGeometry, tile: tuple[int, int, int], per_add: int | str) -> Iterator[list[tuple[int, int, int]]]:
    """The taps (ky, kx, channel) of each addition, tile after tile."""
    sizes = g.kh, g.kw, g.ic_per_group
    for start in product(*(range(0, size, step) for size, step in zip(sizes, tile, strict=True))):
        ranges = (range(a, min(a + step, size)) for a, step, size in zip(start, tile, sizes, strict=True))
        taps = list(product(*ranges))
        width = len(taps) if per_add == "tile" else int(per_add)
        yield from (taps[i : i + width] for i in range(0, len(taps), width))


def _code(g: MacGeometry, x: np.ndarray, n: int, y: int, column: int, ky: int, kx: int, channel: int) -> int | None:
    """The code under a tap; None on padding and inserted zeros."""
    row, row_rest = divmod(y * g.stride_h - g.pad_top + ky * g.dilation_h, g.upsample_h)
    place, place_rest = divmod(column * g.stride_w - g.pad_left + kx * g.dilation_w, g.upsample_w)
    if row_rest or place_rest or not (0 <= row < g.ih and 0 <= place < g.iw):
        return None
    return int(x[n, row, place, channel])


def cut(rng: Rng, size: int) -> list[tuple[int, int]]:
    """``size`` cut into pieces at random."""
    at = sorted({0, size, *(int(i) for i in rng.integers(0, size + 1, int(rng.integers(0, 3))))})
    return list(pairwise(at))
