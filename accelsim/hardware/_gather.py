"""Numba kernel of window by window transfers: the bursts under the taps of each window, and the commands that move them."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.hardware._dram import BANKS, BL, BURST, CLOSE_READ, GROUPS, LONG_AGO, UNITS, WINDOW, _burst, _closed
from accelsim.numba_cache import njit


@njit
def gathers(d: Any, base: int, bits: int, shape: Any, rows: Any, columns: Any, ranges: Any) -> Any:
    """int64 (3, tiles): bursts at the port, DRAM clocks, activations of fetching the windows of each tile.

    ``base``: first bit of the tensor (n, ih, iw, ic) = ``shape``; ``rows`` (oh, kh) and ``columns`` (ow, kw): input row and column
    under each output and tap, -1 for none; ``ranges`` (tiles, 12) as of :class:`accelsim.hardware.im2col.Windows`. Taps are fetched
    in the order of the matrix, the channels of each at once; taps that follow each other in memory share a burst, so that no more
    bytes are asked for than moved. Each command as early as in :func:`accelsim.hardware._dram.transfers`, columns in that order.
    """
    tiles = len(ranges)
    found = np.zeros((3, tiles), dtype=np.int64)
    row, opened = np.empty(d[GROUPS] * d[BANKS], dtype=np.int64), np.empty(d[GROUPS] * d[BANKS], dtype=np.int64)
    used, group = np.empty_like(row), np.empty((2, d[GROUPS]), dtype=np.int64)
    last = np.empty(2 + WINDOW, dtype=np.int64)
    for i in range(tiles):
        row[:], opened[:], used[:], group[:], last[:] = -1, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO
        last[1] = 0
        done = end = -1
        n0, n1, y0, y1, x0, x1, ky0, ky1, kx0, kx1, c0, c1 = ranges[i]
        for n in range(n0, n1):
            for y in range(y0, y1):
                for x in range(x0, x1):
                    for ky in range(ky0, ky1):
                        for kx in range(kx0, kx1):
                            if rows[y, ky] < 0 or columns[x, kx] < 0:
                                continue
                            pixel = (n * shape[1] + rows[y, ky]) * shape[2] + columns[x, kx]
                            begin = base + (pixel * shape[3] + c0) * bits
                            first = begin // d[BURST]
                            if first == done and begin >= end:
                                first += 1
                            end = base + (pixel * shape[3] + c1) * bits
                            done = (end - 1) // d[BURST]
                            found[0, i] += done + 1 - first
                            for b in range(first * d[UNITS], (done + 1) * d[UNITS]):
                                found[2, i] += _burst(d, b, d[CLOSE_READ], row, opened, used, group, last)
        if d[UNITS] > 0 and done >= 0:
            found[1, i] = last[0] + d[BL]
            for bank in range(len(row)):
                if row[bank] >= 0:
                    found[1, i] = max(found[1, i], _closed(d, bank, opened, used, d[CLOSE_READ]))
    return found
