"""Numba loop behind :mod:`accelsim.kernels.peaks`. ``plan`` is the flat int64 record that its caller builds."""

from __future__ import annotations

from typing import Any

from accelsim.graph.compiled import input_row
from accelsim.numba_cache import njit


@njit
def prefix_peaks(x: Any, w: Any, bias: Any, plan: Any, peaks: Any) -> None:
    """Widen ``peaks`` (lowest, highest) to every partial sum of every output, the bias first.

    ``x`` (n, ih, iw, ic) has its zero point taken off, ``w`` is (oc, kh, kw, ic/groups); int64 sums. The reduction runs tile
    by tile (kernel rows, columns, channels), inside a tile kernel row, kernel column, channel; a partial sum stands after each
    ``size`` products of a tile, padding included, and at its end.
    """
    sh, sw, dh, dw, pt, pl, uh, uw, oh, ow, ocg, tkh, tkw, tic, size = plan
    oc, kh, kw, ic = w.shape
    low, high = peaks[0], peaks[1]
    for n in range(x.shape[0]):
        for oy in range(oh):
            for ox in range(ow):
                for c in range(oc):
                    first, total = c // ocg * ic, bias[c]
                    low, high = min(low, total), max(high, total)
                    for ky0 in range(0, kh, tkh):
                        for kx0 in range(0, kw, tkw):
                            for i0 in range(0, ic, tic):
                                left = size
                                for ky in range(ky0, min(ky0 + tkh, kh)):
                                    row = input_row(oy, ky, sh, dh, pt, uh, x.shape[1])
                                    for kx in range(kx0, min(kx0 + tkw, kw)):
                                        column = input_row(ox, kx, sw, dw, pl, uw, x.shape[2])
                                        for i in range(i0, min(i0 + tic, ic)):
                                            if row >= 0 and column >= 0:
                                                total += w[c, ky, kx, i] * x[n, row, column, first + i]
                                            left -= 1
                                            if left == 0:
                                                low, high, left = min(low, total), max(high, total), size
                                low, high = min(low, total), max(high, total)
    peaks[0], peaks[1] = low, high
