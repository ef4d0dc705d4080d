"""The space of tilings of one MAC layer, as arrays that the kernel of the search walks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import MacGeometry
from accelsim.hardware import ceil_div

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Space:
    """Pixel tiles (P, 5), tap tiles (T, 4), channel tiles (C, 3) and input extents, as :func:`accelsim.mapper._bounds.search` reads them."""

    pixels: Integers
    taps: Integers
    channels: Integers
    rows: Integers
    columns: Integers

    @property
    def size(self) -> int:
        """Tilings, two loop orders each."""
        return 2 * len(self.pixels) * len(self.taps) * len(self.channels)


def space_of(g: MacGeometry, *others: MacGeometry, gathered: bool = False) -> Space:
    """Every tiling of ``g`` whose tiles are of one size but for the last along each axis, and no larger than that needs.

    Several groups, and several images, stand in a tile only whole; the former as :class:`~accelsim.program.MacMapping` wants.
    ``others`` are no larger shares of the same layer, on which the same tiles must fit; the sums over tiles are the least of any.
    ``gathered``: input rows and columns count once per window that is fetched, padding excepted.
    """
    heights, widths, kh, kw = (sizes(size) for size in (g.oh, g.ow, g.kh, g.kw))
    channels = [(oc, ic, 1) for oc in sizes(g.oc_per_group) for ic in sizes(g.ic_per_group)]
    channels += [(g.oc_per_group, g.ic_per_group, groups) for groups in sizes(g.groups) if groups > 1]
    rows = np.stack([_extents(share, "h", heights, kh, gathered) for share in (g, *others)])
    least, most = rows.min(axis=0), rows.max(axis=0)
    return Space(
        pixels=_pixels(heights, widths, g.n),
        taps=_pairs(kh, kw),
        channels=np.array(channels, dtype=np.int64),
        rows=np.stack([least[0], most[1], least[2]]),
        columns=_extents(g, "w", widths, kw, gathered),
    )


def sizes(size: int) -> list[int]:
    """``ceil(size / n)`` for every n, ascending: the tile sizes that no smaller one equals in number of tiles."""
    return sorted({ceil_div(size, n) for n in range(1, size + 1)})


def _pixels(heights: list[int], widths: list[int], images: int) -> Integers:
    """(oh, ow, place, place, images) of every tile of pixels."""
    one = np.pad(_pairs(heights, widths), ((0, 0), (0, 1)), constant_values=1)
    whole = [(heights[-1], widths[-1], len(heights) - 1, len(widths) - 1, n) for n in sizes(images) if n > 1]
    return np.concatenate([one, np.array(whole, dtype=np.int64).reshape(-1, 5)])


def _pairs(first: list[int], second: list[int]) -> Integers:
    """(size, size, place, place) of every pair."""
    return np.array([(a, b, i, j) for i, a in enumerate(first) for j, b in enumerate(second)], dtype=np.int64)


def _extents(g: MacGeometry, axis: str, tiles: list[int], taps: list[int], gathered: bool) -> Integers:
    """Input rows (or columns): summed over all tiles, the most under one tile, those under the first."""
    out, kernel = (g.oh, g.kh) if axis == "h" else (g.ow, g.kw)
    extents = np.zeros((3, len(tiles), len(taps)), dtype=np.int64)
    for i, tile in enumerate(tiles):
        for j, tap in enumerate(taps):
            outs, firsts = np.arange(0, out, tile), np.arange(0, kernel, tap)
            under = _fetched(g, axis, outs, firsts) if gathered else _rows_under(g, axis, outs, firsts, tile, tap)
            extents[:, i, j] = under.sum(), under.max(), under[0, 0]
    return extents


def _fetched(g: MacGeometry, axis: str, outs: Integers, taps: Integers) -> Integers:
    """Input rows fetched for the tiles of outputs and taps that begin at ``outs`` and ``taps``, once per window."""
    inside = (g.axis(axis).sources >= 0).astype(np.int64)
    fetched: Integers = np.add.reduceat(np.add.reduceat(inside, outs, axis=0), taps, axis=1)
    return fetched


def _rows_under(g: MacGeometry, axis: str, outs: Integers, taps: Integers, tile: int, tap: int) -> Integers:
    """Input rows that each tile of outputs and taps reads, clipped to the image, shape (outs, taps)."""
    under = g.axis(axis)
    last_outs, last_taps = np.minimum(outs + tile, under.out), np.minimum(taps + tap, under.taps)
    lo, hi = under.rows_under((outs[:, None], last_outs[:, None]), (taps, last_taps))
    rows: Integers = hi - lo
    return rows
