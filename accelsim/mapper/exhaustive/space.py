"""The space of tilings of one MAC layer, as arrays that the kernel of the search walks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import PIXEL, MacGeometry
from accelsim.mapper.tiling import tile_sizes

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Space:
    """Pixel tiles (P, 5), tap tiles (T, 4), channel tiles (C, 3) and input extents, as the kernel of the search reads them."""

    pixels: Integers
    taps: Integers
    channels: Integers
    rows: Integers
    columns: Integers

    @property
    def size(self) -> int:
        """Tilings, two loop orders each."""
        return 2 * len(self.pixels) * len(self.taps) * len(self.channels)


def space_of(g: MacGeometry, *others: MacGeometry, gathered: bool = False, pool: tuple[int, int] = PIXEL) -> Space:
    """Every tiling of ``g`` whose tiles are of one size but for the last along each axis, and no larger than that needs.

    Several groups, and several images, stand in a tile only whole; the former as :class:`~accelsim.program.MacMapping` wants.
    ``others`` are no larger shares of the same layer, on which the same tiles must fit; the sums over tiles are the least of any.
    ``gathered``: input rows and columns count once per window that is fetched, padding excepted. ``pool``: rows and columns of which tiles
    have multiples.
    """
    heights, widths, kh, kw = tile_sizes(g.oh, pool[0]), tile_sizes(g.ow, pool[1]), tile_sizes(g.kh), tile_sizes(g.kw)
    several = [(g.oc_per_group, g.ic_per_group, groups) for groups in tile_sizes(g.groups) if groups > 1]
    one = np.pad(
        _pairs(tile_sizes(g.oc_per_group), tile_sizes(g.ic_per_group))[:, :2], ((0, 0), (0, 1)), constant_values=1
    )
    rows = np.stack([_extents(share, "h", heights, kh, gathered) for share in (g, *others)])
    least, most = rows.min(axis=0), rows.max(axis=0)
    return Space(
        pixels=_pixels(heights, widths, g.n),
        taps=_pairs(kh, kw),
        channels=np.concatenate([one, np.array(several, dtype=np.int64).reshape(-1, 3)]),
        rows=np.stack([least[0], most[1], least[2]]),
        columns=_extents(g, "w", widths, kw, gathered),
    )


def space_size(g: MacGeometry) -> tuple[int, int]:
    """Before :func:`space_of` makes them: how many tilings there are, and the numbers of the longest array that lists them."""
    heights, widths, images, kh, kw, oc, ic, groups = (
        len(tile_sizes(size)) for size in (g.oh, g.ow, g.n, g.kh, g.kw, g.oc_per_group, g.ic_per_group, g.groups)
    )
    pixels, channels = heights * widths + images - 1, oc * ic + groups - 1
    return 2 * pixels * kh * kw * channels, max(pixels, channels, g.oh * g.kh, g.ow * g.kw)


def _pixels(heights: list[int], widths: list[int], images: int) -> Integers:
    """(oh, ow, place, place, images) of every tile of pixels."""
    one = np.pad(_pairs(heights, widths), ((0, 0), (0, 1)), constant_values=1)
    whole = [(heights[-1], widths[-1], len(heights) - 1, len(widths) - 1, n) for n in tile_sizes(images) if n > 1]
    return np.concatenate([one, np.array(whole, dtype=np.int64).reshape(-1, 5)])


def _pairs(first: list[int], second: list[int]) -> Integers:
    """(size, size, place, place) of every pair."""
    i, j = (places.reshape(-1) for places in np.indices((len(first), len(second))))
    return np.stack([np.array(first, dtype=np.int64)[i], np.array(second, dtype=np.int64)[j], i, j], axis=1)


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
