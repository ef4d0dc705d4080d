"""Numba loop behind :mod:`accelsim.kernels.peaks`."""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.graph.compiled import input_row
from accelsim.numba_cache import njit


class Tiles(NamedTuple):
    """Rows and columns of the output; kernel rows, kernel columns and channels of one tile of the reduction."""

    oh: int
    ow: int
    kh: int
    kw: int
    ic: int


@njit
def prefix_peaks(x: Any, w: Any, bias: Any, plan: Any, tiles: Any, peaks: Any) -> None:
    """Widen ``peaks`` (lowest, highest) to every partial sum of every output, the bias first.

    ``x`` (n, ih, iw, ic) has its zero point taken off, ``w`` is (oc, kh, kw, ic/groups); int64 sums. The reduction runs tile
    by tile (kernel rows, columns, channels), inside a tile kernel row, kernel column, channel; a partial sum stands after each
    group of products of a tile, padding included, and at its end.
    """
    oc, kh, kw, ic = w.shape
    p, size = plan, plan.group
    low, high = peaks[0], peaks[1]
    for n in range(x.shape[0]):
        for oy in range(tiles.oh):
            for ox in range(tiles.ow):
                for c in range(oc):
                    first, total = c // p.oc_per_group * ic, bias[c]
                    low, high = min(low, total), max(high, total)
                    for ky0 in range(0, kh, tiles.kh):
                        for kx0 in range(0, kw, tiles.kw):
                            for i0 in range(0, ic, tiles.ic):
                                left = size
                                for ky in range(ky0, min(ky0 + tiles.kh, kh)):
                                    row = input_row(oy, ky, p.stride_h, p.dilation_h, p.pad_top, p.upsample_h, p.ih)
                                    for kx in range(kx0, min(kx0 + tiles.kw, kw)):
                                        column = input_row(
                                            ox, kx, p.stride_w, p.dilation_w, p.pad_left, p.upsample_w, p.iw
                                        )
                                        for i in range(i0, min(i0 + tiles.ic, ic)):
                                            # Padding adds nothing but takes its place in a group, as in the adder tree.
                                            if row >= 0 and column >= 0:
                                                total += w[c, ky, kx, i] * x[n, row, column, first + i]
                                            left -= 1
                                            if left == 0:
                                                low, high, left = min(low, total), max(high, total), size
                                low, high = min(low, total), max(high, total)
    peaks[0], peaks[1] = low, high
