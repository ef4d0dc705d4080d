"""Numba kernels of what a block of a MAC layer looks up in its loops: sizes and places along axes, costs of each kind of tile."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.builder._emit import linked, tiles_before
from accelsim.builder.records import NONE, Block, Grids, MacJob, Source
from accelsim.graph import Axis
from accelsim.graph.compiled import rows_under
from accelsim.hardware import Array, Loops, Requantizer
from accelsim.hardware.compiled import Tile, fill_of, folds_of, held_cost, last_sums, parts, requantize_lag
from accelsim.numba_cache import borrowing, inner


class Sides(NamedTuple):
    """Of every pair of tiles along two axes (outputs and taps, or channel tiles and input channels): first and last + 1 input under
    them, and the tiles of each grid of the producer before the last one that holds them (grids, pairs)."""

    low: Any
    high: Any
    before: Any


@inner
def new_sides(rows: int, columns: int, grids: Grids, source: Source) -> Sides:
    """Room for so many pairs."""
    count = linked(grids, source.grid) if source.boxwise else 0
    return Sides(
        np.empty((rows, columns), np.int64),
        np.empty((rows, columns), np.int64),
        np.empty((count, rows, columns), np.int64),
    )


@borrowing
def note_side(sides: Sides, r: int, c: int, span: tuple[int, int], axis: int, grids: Grids, source: Source) -> None:
    """The inputs from ``span[0]`` to ``span[1] - 1`` of an axis lie under pair (r, c)."""
    low, high = span
    sides.low[r, c], sides.high[r, c], grid = low, high, source.grid
    for g in range(sides.before.shape[0]):
        sides.before[g, r, c] = tiles_before(grids, grid, axis, low, high)
        grid = grids.next[grid]


@inner
def window_sides(axis: Axis, tile: int, tap: int, which: int, grids: Grids, source: Source) -> Sides:
    """Along rows (``which`` 1) or columns (2) of the input."""
    outs, taps = parts(axis.out, tile), parts(axis.taps, tap)
    sides = new_sides(outs, taps, grids, source)
    for y in range(outs):
        for k in range(taps):
            span = rows_under(axis, y * tile, min((y + 1) * tile, axis.out), k * tap, min((k + 1) * tap, axis.taps))
            note_side(sides, y, k, span, which, grids, source)
    return sides


class Channels(NamedTuple):
    """Channel tiles: output channels, last of them, groups that they stand in, and the first of those."""

    outputs: Any
    last: Any
    groups: Any
    group: Any


@inner
def channel_tiles(layer: Loops, tile: Loops) -> Channels:
    """Those of whole groups, or of some channels of one."""
    whole = tile.groups > 1 or tile.oc >= layer.oc
    each = 1 if whole else parts(layer.oc, tile.oc)
    count = parts(layer.groups, tile.groups) * each
    found = Channels(
        np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    )
    for c in range(count):
        group, part = c // each * tile.groups, c % each
        if whole:
            groups = min(tile.groups, layer.groups - group)
            lo, hi = group * layer.oc, (group + groups) * layer.oc
        else:
            groups = 1
            lo, hi = group * layer.oc + part * tile.oc, group * layer.oc + min((part + 1) * tile.oc, layer.oc)
        found.outputs[c], found.last[c], found.groups[c], found.group[c] = hi - lo, hi - 1, groups, group
    return found


@inner
def input_channels(job: MacJob, begin: int, channels: Channels, grids: Grids, source: Source) -> Sides:
    """From the first channel of a tile's first group to the last of its last; those of the block ``begin`` there."""
    layer, tile = job.layer, job.tile
    count, depths = len(channels.outputs), parts(layer.ic, tile.ic)
    sides, group, groups = new_sides(count, depths, grids, source), channels.group, channels.groups
    for c in range(count):
        for k in range(depths):
            low = begin + group[c] * layer.ic + k * tile.ic
            high = begin + (group[c] + groups[c] - 1) * layer.ic + min((k + 1) * tile.ic, layer.ic)
            note_side(sides, c, k, (low, high), 3, grids, source)
    return sides


@inner
def image_sides(size: int, tile: int, begin: int, grids: Grids, source: Source) -> Sides:
    """Images of each tile of them."""
    count = parts(size, tile)
    sides = new_sides(count, 1, grids, source)
    for n in range(count):
        note_side(sides, n, 0, (begin + n * tile, begin + min((n + 1) * tile, size)), 0, grids, source)
    return sides


@borrowing
def note_grid(grids: Grids, block: Block, job: MacJob, channels: int) -> None:
    """How the block stores its output, for those that read it."""
    layer, tile, grid = job.layer, job.tile, block.grid
    sizes, tiles = (layer.n, layer.oh, layer.ow, layer.groups * layer.oc), (tile.n, tile.oh, tile.ow, tile.oc)
    begin = (block.image, block.row, 0, block.channel)
    for a in range(4):
        grids.begin[grid, a], grids.end[grid, a] = begin[a], begin[a] + sizes[a]
        grids.unit[grid, a], grids.tile[grid, a] = sizes[a], tiles[a]
        grids.per_unit[grid, a] = parts(sizes[a], tiles[a])
    whole = tile.groups > 1 or tile.oc >= layer.oc
    if whole:
        grids.tile[grid, 3] = tile.groups * layer.oc
    else:
        grids.unit[grid, 3] = layer.oc
        grids.per_unit[grid, 3] = parts(layer.oc, tile.oc)
    spatial = grids.per_unit[grid, 0], grids.per_unit[grid, 1], grids.per_unit[grid, 2]
    grids.stride[grid, 3] = spatial[0] * spatial[1] * spatial[2] if job.weights_outer else 1
    inner = 1 if job.weights_outer else channels
    grids.stride[grid, 2] = inner
    grids.stride[grid, 1] = inner * spatial[2]
    grids.stride[grid, 0] = inner * spatial[2] * spatial[1]
    grids.count[grid], grids.next[grid] = spatial[0] * spatial[1] * spatial[2] * channels, NONE


class Costs(NamedTuple):
    """Of each kind of tile (see :func:`tile_costs`): cycles on the array, those that stream, latency, with a requantizer that streams
    cycles until the first sums and behind the last, element accesses; and from when its weights are on chip until its first fold has them."""

    cycles: Any
    stream: Any
    latency: Any
    lead: Any
    tail: Any
    weights: Any
    inputs: Any
    sums: Any
    fill: Any


@inner
def _size(size: int, tile: int, rest: bool) -> int:
    """Of a full tile along an axis, or of the remainder; 0 where there is none."""
    return size % tile if rest else min(size, tile)


@inner
def tile_costs(array: Array, unit: Requantizer, layer: Loops, tile: Loops, channels: Channels) -> Costs:
    """(8, 2, 8, 2): of pixels (with 4, 2, 1 for the remainder of images, rows, columns), channel tiles (as the first, or as the last),
    reductions (with 4, 2, 1 for that of kernel rows, kernel columns, channels), and weights that are there already (1) or not; ``fill``
    is of channel tiles and reductions alone."""
    shape = (8, 2, 8, 2)
    costs = Costs(
        np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64),
        np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64),
        np.empty(shape[1:3], np.int64),
    )  # fmt: skip
    last = len(channels.outputs) - 1
    for r in range(8):
        taps = _size(layer.kh, tile.kh, r & 4 > 0) * _size(layer.kw, tile.kw, r & 2 > 0)
        depth = _size(layer.ic, tile.ic, r & 1 > 0)
        if taps * depth == 0:
            continue
        for c in range(2):
            at = 0 if c == 0 else last
            groups = channels.groups[at]
            outputs = channels.outputs[at] // groups
            held = folds_of(array, taps, depth, outputs, groups)
            costs.fill[c, r] = fill_of(array, taps, depth, outputs, groups)
            for p in range(8):
                pixels = _size(layer.n, tile.n, p & 4 > 0) * _size(layer.oh, tile.oh, p & 2 > 0)
                pixels *= _size(layer.ow, tile.ow, p & 1 > 0)
                for kept in range(2 if pixels > 0 else 0):
                    one = Tile(pixels, taps, depth, outputs, groups, kept == 1)
                    cost = held_cost(array, held, one)
                    costs.cycles[p, c, r, kept], costs.stream[p, c, r, kept] = cost.cycles, cost.stream_cycles
                    costs.latency[p, c, r, kept], costs.weights[p, c, r, kept] = cost.latency, cost.weight_reads
                    costs.inputs[p, c, r, kept] = cost.activation_reads
                    costs.sums[p, c, r, kept] = cost.accumulator_writes
                    costs.lead[p, c, r, kept], costs.tail[p, c, r, kept] = 0, 0
                    if unit.streams:
                        sums = last_sums(array, held, one)
                        costs.lead[p, c, r, kept] = sums.first
                        costs.tail[p, c, r, kept] = requantize_lag(unit, sums)
    return costs
