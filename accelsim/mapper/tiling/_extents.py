"""Numba kernel of what of the input lies under tiles of outputs and taps along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.graph import Axis
from accelsim.graph.compiled import rows_under
from accelsim.hardware.compiled import parts
from accelsim.numba_cache import inner, tiered


@inner
def under_tiles(axis: Axis, tile: int, tap: int) -> tuple[int, int, int]:
    """Inputs along an axis under tiles of so many outputs and taps: summed over all tiles, the most under one, those under the first.

    Between the tiles at either end, which padding may clip, all are alike where nothing is spread.
    """
    outs, taps = parts(axis.out, tile), parts(axis.taps, tap)
    most, total, first = 0, 0, 0
    for k in range(taps):
        low, high = k * tap, min((k + 1) * tap, axis.taps)
        whole = (tile - 1) * axis.stride + (high - low - 1) * axis.dilation + 1
        y = 0
        while y < outs:
            lo, hi = rows_under(axis, y * tile, min((y + 1) * tile, axis.out), low, high)
            total, most = total + hi - lo, max(most, hi - lo)
            if y == 0 and k == 0:
                first = hi - lo
            y += 1
            # As many tiles more as end before the image does, and are whole, see as much each.
            if axis.upsample == 1 and lo > 0 and hi - lo == whole:
                alike = min((axis.size - hi) // (tile * axis.stride), axis.out // tile - y)
                if alike > 0:
                    total += alike * whole
                    y += alike
    return total, most, first


@tiered(lambda axis, tiles, taps, windows: len(tiles) * len(taps))
def extents_of(axis: Axis, tiles: Any, taps: Any, windows: bool) -> Any:
    """:func:`under_tiles` for every pair of sizes, int64 (3 * tiles * taps,); ``windows``: of inputs fetched once per window."""
    found, count = np.empty(3 * len(tiles) * len(taps), dtype=np.int64), len(tiles) * len(taps)
    for i in range(len(tiles)):
        for j in range(len(taps)):
            at = i * len(taps) + j
            if windows:
                found[at], found[at + count], found[at + 2 * count] = (
                    axis.out * axis.taps, tiles[i] * taps[j], tiles[i] * taps[j]
                )  # fmt: skip
            else:
                total, most, first = under_tiles(axis, tiles[i], taps[j])
                found[at], found[at + count], found[at + 2 * count] = total, most, first
    return found
