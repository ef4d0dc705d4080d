"""The window rule against a walk over a spread image, cell by cell: plain numbers, numpy and compiled code say the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.graph import AveragePool2D, Axis, Boxes, MacGeometry, same_window, window_extent
from accelsim.graph.compiled import input_row, rows_under
from tests.generate import random_program

AXES = st.builds(
    Axis,
    size=st.integers(1, 9),
    out=st.integers(1, 7),
    taps=st.integers(1, 5),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    pad=st.integers(-4, 9),
    upsample=st.integers(1, 4),
)


def walked(axis: Axis) -> np.ndarray:
    """Input under each output and tap, looked up in an image that really is spread and padded."""
    cells = dict.fromkeys(range(-60, 120), -1) | {i * axis.upsample: i for i in range(axis.size)}
    place = -axis.pad
    found = []
    for _ in range(axis.out):
        found.append([cells[place + tap] for tap in range(0, axis.taps * axis.dilation, axis.dilation)])
        place += axis.stride
    return np.array(found)


@given(AXES)
def test_what_an_output_and_a_tap_meet(axis: Axis) -> None:
    expected = walked(axis)
    np.testing.assert_array_equal(axis.sources, expected)
    for (out, tap), source in np.ndenumerate(expected):
        assert axis.input_index(out, tap) == source
        compiled = input_row(out, tap, axis.stride, axis.dilation, axis.pad, axis.upsample, axis.size)
        assert compiled == source


@given(AXES, st.data())
def test_how_many_pairs_of_a_tile_meet_the_image(axis: Axis, data: st.DataObject) -> None:
    ends = [st.lists(st.integers(0, most), min_size=2, max_size=2).map(sorted) for most in (axis.out, axis.taps)]
    tiles = data.draw(st.lists(st.tuples(*ends), max_size=5))
    (a, b), (c, d) = (np.array([tile[k] for tile in tiles], dtype=np.int64).reshape(-1, 2).T for k in (0, 1))
    expected = [(walked(axis)[a:b, c:d] >= 0).sum() for (a, b), (c, d) in tiles]
    np.testing.assert_array_equal(axis.met((a, b), (c, d)), expected)


@given(AXES, st.data())
def test_what_lies_under_a_tile(axis: Axis, data: st.DataObject) -> None:
    """The stretch of the image between first and last place of a tile: never misses a source, never leaves the image."""
    a, b = sorted(data.draw(st.lists(st.integers(0, axis.out), min_size=2, max_size=2, unique=True)))
    c, d = sorted(data.draw(st.lists(st.integers(0, axis.taps), min_size=2, max_size=2, unique=True)))
    lo, hi = axis.rows_under((np.array([a]), np.array([b])), (c, d))
    first = a * axis.stride - axis.pad + c * axis.dilation
    last = (b - 1) * axis.stride - axis.pad + (d - 1) * axis.dilation
    between = [i for i in range(axis.size) if first <= i * axis.upsample <= last]
    assert list(range(int(lo[0]), int(hi[0]))) == between
    assert {i for i in walked(axis)[a:b, c:d].ravel().tolist() if i >= 0} <= set(between)
    assert rows_under(axis, a, b, c, d) == (lo[0], hi[0]) == axis.rows_under((a, b), (c, d))
    assert hi[0] - lo[0] <= axis.span(b - a, d - c) <= axis.size


@given(AXES)
def test_how_much_all_windows_cover(axis: Axis) -> None:
    """The span is reached by some padding, and the reach is the last place that any tap stands at."""
    moved = [axis._replace(pad=-shift) for shift in range(axis.upsample * (axis.size + 1))]
    wide = axis._replace(size=100)
    assert max(
        int(np.subtract(*one._replace(size=100).rows_under((0, axis.out), (0, axis.taps))[::-1])) for one in moved
    ) == (wide.span(axis.out, axis.taps))
    places = [y * axis.stride + k * axis.dilation for y in range(axis.out) for k in range(axis.taps)]
    assert axis.reach == max(places) + 1


@given(st.integers(1, 30), st.integers(1, 7), st.integers(1, 5), st.integers(1, 4))
def test_same_padding_is_the_least_that_covers_every_stride(size: int, taps: int, stride: int, dilation: int) -> None:
    out, total = same_window(size, taps, stride, dilation)
    assert out == len(range(0, size, stride))
    covered = (out - 1) * stride + window_extent(taps, dilation)
    assert total == max(covered - size, 0)


@pytest.mark.parametrize("seed", range(6))
def test_geometries_know_their_axes_and_their_bands(seed: int) -> None:
    """A band of output rows meets the same input rows as those rows of the whole."""
    for layer in random_program(seed).graph.layers:
        g = getattr(layer, "geometry", None)
        if isinstance(g, MacGeometry):
            lo = g.oh // 2
            np.testing.assert_array_equal(g.output_rows(lo, g.oh).axis("h").sources, g.axis("h").sources[lo:])


def test_rows_and_columns_are_not_exchanged() -> None:
    g = MacGeometry(
        n=1, ih=1, iw=2, ic=1, oh=3, ow=4, oc=1, kh=5, kw=6, stride_h=7, stride_w=8, dilation_h=9, dilation_w=10,
        pad_top=11, pad_left=12, upsample_h=13, upsample_w=14,
    )  # fmt: skip
    assert g.axis("h") == Axis(size=1, out=3, taps=5, stride=7, dilation=9, pad=11, upsample=13)
    assert g.axis("w") == Axis(size=2, out=4, taps=6, stride=8, dilation=10, pad=12, upsample=14)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(5, 9))
def test_pools_read_by_the_same_rule(kernel: int, stride: int, pad: int, size: int) -> None:
    out = max(1, (size + 2 * pad - kernel) // stride + 1)
    pool = AveragePool2D(
        name="p", inputs=("x",), output="y", shapes=((1, size, size, 1),), shape=(1, out, out, 1), kernel=(kernel, kernel),
        stride=(stride, stride), pad=(pad, pad),
    )  # fmt: skip
    for y in range(out):
        (read,) = pool.reads(Boxes(np.array([[0, y, 0, 0]]), np.array([[1, y + 1, out, 1]])))
        rows = [row for row in range(y * stride - pad, y * stride - pad + kernel) if 0 <= row < size]
        assert list(range(read.lo[0, 1], read.hi[0, 1])) == rows
