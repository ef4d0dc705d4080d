"""Sizes of tiles along every axis of the MAC layers of a network, and what of the input lies under them: the same on every machine."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accelsim.graph import PIXEL, Axis, MacGeometry
from accelsim.hardware import ceil_div

if TYPE_CHECKING:
    from accelsim.mapper.tiling._choice import Space

Index = NDArray[np.int64]
MOST_PARTS = 256
"""Parts that an axis is cut into at most one by one; from there on their number doubles."""


def tile_sizes(size: int, window: int = 1) -> list[int]:
    """``ceil(size / n)`` for every n, ascending: the tile sizes that no smaller one equals in number of tiles; about ``2 sqrt(size)``.

    Of an axis whose tiles must hold whole windows of so many elements, ``window`` times those of its windows.
    """
    if window > 1:
        return [window * windows for windows in tile_sizes(size // window)]
    found, n = [], 1
    while True:
        found.append(ceil_div(size, n))
        if found[-1] == 1:
            return found[::-1]
        n = (size - 1) // (found[-1] - 1) + 1  # the least with which tiles are smaller


def some_sizes(size: int, window: int = 1) -> Index:
    """:func:`tile_sizes`, or of a very long axis some of them."""
    if window > 1:
        return window * some_sizes(size // window)
    if math.isqrt(size) <= MOST_PARTS:
        return np.array(tile_sizes(size), dtype=np.int64)
    parts = np.concatenate([np.arange(1, MOST_PARTS), 2 ** np.arange(MOST_PARTS.bit_length() - 1, size.bit_length())])
    return np.unique(np.concatenate([[1], -(-size // parts)])).astype(np.int64)


def coarse(ascending: Index) -> NDArray[np.bool_]:
    """A few of the sizes: the largest, powers of two, as arrays have rows and columns, and what leaves no two of them more than double."""
    chosen: NDArray[np.bool_] = (ascending & (ascending - 1)) == 0
    last = 4 * int(ascending[-1])
    for place in range(len(ascending) - 1, -1, -1):
        below = int(ascending[max(place - 1, 0)])
        if chosen[place] or 2 * below < last or place == len(ascending) - 1:
            chosen[place], last = True, int(ascending[place])
    return chosen


def space_of(
    geometries: Sequence[MacGeometry | None],
    *,
    windows: bool = False,
    pools: Sequence[tuple[int, int]] | None = None,
    others: Sequence[Set[Axis]] | None = None,
) -> Space:
    """Of layers with these loop nests (None: no MAC layer); ``windows``: inputs are fetched once per window, padding included. ``pools``:
    of each layer the rows and columns of which its tiles have multiples, for a pool in the same pass. ``others``: rows of other shares of
    each layer, in whose tiles it must have room as well."""
    from accelsim.mapper.tiling._choice import AXES, Space
    from accelsim.mapper.tiling._extents import extents_of

    found, tables = list[Index](), list[Index]()
    first, places, at, place = list[list[int]](), list[list[int]](), 0, 0
    known: dict[tuple[int, int], Index] = {}
    alike: dict[tuple[MacGeometry, tuple[int, int], Set[Axis]], int] = {}
    count = len(geometries)
    keys = zip(geometries, pools or [PIXEL] * count, others or [frozenset[Axis]()] * count, strict=True)
    for index, (g, pool, beside) in enumerate(keys):
        if g is None or (g, pool, beside) in alike:
            first.append(first[alike[g, pool, beside]] if g is not None else [at] * (AXES + 1))
            places.append(places[alike[g, pool, beside]] if g is not None else [0, 0])
            continue
        alike[g, pool, beside] = index
        lists = []
        rest = ((size, 1) for size in (g.n, g.kh, g.kw, g.oc_per_group, g.ic_per_group, g.groups))
        for side in ((g.oh, pool[0]), (g.ow, pool[1]), *rest):
            if side not in known:
                known[side] = some_sizes(*side)
            lists.append(known[side])
        first.append([at, *(at + np.cumsum([len(x) for x in lists])).tolist()])
        at = first[-1][-1]
        found += lists
        rows = extents_of(g.axis("h"), lists[0], lists[3], windows)
        most = slice(len(rows) // 3, len(rows) // 3 * 2)
        for axis in beside:
            rows[most] = np.maximum(rows[most], extents_of(axis, lists[0], lists[3], windows)[most])
        columns = extents_of(g.axis("w"), lists[1], lists[4], windows)
        tables += [rows, columns]
        places.append([place, place + len(rows)])
        place += len(rows) + len(columns)
    none = np.zeros(0, np.int64)
    return Space(
        np.concatenate([none, *found]),
        np.concatenate([none.astype(np.bool_), *(coarse(one) for one in found)]),
        np.array(first, np.int64).reshape(-1, AXES + 1),
        np.concatenate([none, *tables]),
        np.array(places, np.int64).reshape(-1, 2),
    )
