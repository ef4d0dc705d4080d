"""Numba kernel of the tile operations of one MAC layer, in program order: the rules of :mod:`accelsim.builder.mac_layer`.

Sizes along an axis are of two kinds, so that what tiles cost is asked of :mod:`accelsim.hardware` once a kind; the loops only add.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.graph import Axis
from accelsim.graph.compiled import rows_under
from accelsim.hardware import Array, Loops, Unit
from accelsim.hardware.compiled import Tile, moved_no_faster, parts, tile_cost, transfer_cycles, unit_cycles
from accelsim.numba_cache import inner
from accelsim.program.compiled import WEIGHTS_OUTER
from accelsim.timing.stream._state import (
    ACCUMULATORS,
    ACTIVATIONS,
    COMPUTE,
    KEEP,
    LOAD_ACTIVATIONS,
    LOAD_WEIGHTS,
    OUTPUTS,
    RECALL,
    REQUANTIZE,
    STORE,
    WEIGHTS,
    Ends,
    Grids,
    State,
    array_of_chip,
    digit,
    dma_of_chip,
    freed_places,
    last_store,
    source_of,
)
from accelsim.timing.stream.records import NONE, Network


class Sides(NamedTuple):
    """Of every pair of tiles along two axes (outputs and taps, or channel tiles and input channels): inputs under them, and the tiles
    of the producer before the last one that holds them."""

    extent: Any
    before: Any


@inner
def window_sides(axis: Axis, tile: int, tap: int, grids: Grids, source: int, which: int) -> Sides:
    """Along rows (``which`` 1) or columns (2) of the input; no ``source``: nothing before."""
    outs, taps = parts(axis.out, tile), parts(axis.taps, tap)
    sides = Sides(np.empty((outs, taps), np.int64), np.zeros((outs, taps), np.int64))
    for y in range(outs):
        for k in range(taps):
            lo, hi = rows_under(axis, y * tile, min((y + 1) * tile, axis.out), k * tap, min((k + 1) * tap, axis.taps))
            sides.extent[y, k] = hi - lo
            if source != NONE and hi > lo:
                sides.before[y, k] = digit(grids, source, which, hi - 1)
    return sides


class Channels(NamedTuple):
    """Channel tiles: output channels, groups that they stand in, and the first of those."""

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
def input_channels(layer: Loops, tile: Loops, channels: Channels, grids: Grids, source: int) -> Sides:
    """From the first channel of a tile's first group to the last of its last."""
    count, depths = len(channels.outputs), parts(layer.ic, tile.ic)
    sides = Sides(np.empty((count, depths), np.int64), np.zeros((count, depths), np.int64))
    for c in range(count):
        for k in range(depths):
            lo, hi = k * tile.ic, min((k + 1) * tile.ic, layer.ic)
            sides.extent[c, k] = (channels.groups[c] - 1) * layer.ic + hi - lo
            if source != NONE:
                last = (channels.group[c] + channels.groups[c] - 1) * layer.ic + hi - 1
                sides.before[c, k] = digit(grids, source, 3, last)
    return sides


@inner
def image_sides(size: int, tile: int, grids: Grids, source: int) -> Sides:
    """Images of each tile of them."""
    count = parts(size, tile)
    sides = Sides(np.empty((count, 1), np.int64), np.zeros((count, 1), np.int64))
    for i in range(count):
        last = min((i + 1) * tile, size)
        sides.extent[i, 0] = last - i * tile
        if source != NONE:
            sides.before[i, 0] = digit(grids, source, 0, last - 1)
    return sides


@inner
def note_grid(grids: Grids, index: int, layer: Loops, tile: Loops, weights_outer: bool, channels: int) -> None:
    """How the layer stores its output, for those that read it."""
    sizes, tiles = (layer.n, layer.oh, layer.ow, layer.groups * layer.oc), (tile.n, tile.oh, tile.ow, tile.oc)
    for a in range(4):
        grids.unit[index, a], grids.tile[index, a] = sizes[a], tiles[a]
        grids.per_unit[index, a] = parts(sizes[a], tiles[a])
    whole = tile.groups > 1 or tile.oc >= layer.oc
    if whole:
        grids.tile[index, 3] = tile.groups * layer.oc
    else:
        grids.unit[index, 3] = layer.oc
        grids.per_unit[index, 3] = parts(layer.oc, tile.oc)
    spatial = grids.per_unit[index, 0], grids.per_unit[index, 1], grids.per_unit[index, 2]
    grids.stride[index, 3] = spatial[0] * spatial[1] * spatial[2] if weights_outer else 1
    inner = 1 if weights_outer else channels
    grids.stride[index, 2] = inner
    grids.stride[index, 1] = inner * spatial[2]
    grids.stride[index, 0] = inner * spatial[2] * spatial[1]
    grids.count[index] = spatial[0] * spatial[1] * spatial[2] * channels


class Costs(NamedTuple):
    """Of each kind of tile (see :func:`tile_costs`): cycles on the array, those that stream, latency, element accesses."""

    cycles: Any
    stream: Any
    latency: Any
    weights: Any
    inputs: Any
    sums: Any


@inner
def _size(size: int, tile: int, rest: bool) -> int:
    """Of a full tile along an axis, or of the remainder; 0 where there is none."""
    return size % tile if rest else min(size, tile)


@inner
def tile_costs(array: Array, layer: Loops, tile: Loops, channels: Channels) -> Costs:
    """(8, 2, 8, 2): of pixels (with 4, 2, 1 for the remainder of images, rows, columns), channel tiles (as the first, or as the last),
    reductions (with 4, 2, 1 for that of kernel rows, kernel columns, channels), and weights that are there already (1) or not."""
    shape = (8, 2, 8, 2)
    costs = Costs(
        np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64),
        np.empty(shape, np.int64), np.empty(shape, np.int64),
    )  # fmt: skip
    last = len(channels.outputs) - 1
    for p in range(8):
        pixels = (
            _size(layer.n, tile.n, p & 4 > 0)
            * _size(layer.oh, tile.oh, p & 2 > 0)
            * _size(layer.ow, tile.ow, p & 1 > 0)
        )
        for r in range(8):
            reduction = _size(layer.kh, tile.kh, r & 4 > 0) * _size(layer.kw, tile.kw, r & 2 > 0)
            reduction *= _size(layer.ic, tile.ic, r & 1 > 0)
            if pixels == 0 or reduction == 0:
                continue
            for c in range(2):
                at = 0 if c == 0 else last
                groups = channels.groups[at]
                for kept in range(2):
                    cost = tile_cost(array, Tile(pixels, reduction, channels.outputs[at] // groups, groups, kept == 1))
                    costs.cycles[p, c, r, kept], costs.stream[p, c, r, kept] = cost.cycles, cost.stream_cycles
                    costs.latency[p, c, r, kept], costs.weights[p, c, r, kept] = cost.latency, cost.weight_reads
                    costs.inputs[p, c, r, kept] = cost.activation_reads
                    costs.sums[p, c, r, kept] = cost.accumulator_writes
    return costs


@inner
def mac_operations(
    index: int, network: Network, chip: Any, width: Any, tiling: Any, state: State, ends: Ends, counts: Any
) -> Ends:
    """Write the operations of layer ``index`` behind those before it, and what they did into ``counts``.

    One loop: a call for each tile took several times as long as the tile.
    """
    record, operands = network.layers[index], network.operands
    kept, grids, work = state
    layer = Loops(record.n, record.oh, record.ow, record.oc, record.ic, record.kh, record.kw, record.groups)
    tile = Loops(tiling.n, tiling.oh, tiling.ow, tiling.oc, tiling.ic, tiling.kh, tiling.kw, tiling.groups)
    rows = Axis(record.h_size, layer.oh, layer.kh, record.h_stride, record.h_dilation, record.h_pad, record.h_upsample)
    columns = Axis(
        record.w_size, layer.ow, layer.kw, record.w_stride, record.w_dilation, record.w_pad, record.w_upsample
    )
    dma, weights_outer = dma_of_chip(chip), tiling.order == WEIGHTS_OUTER
    array = array_of_chip(chip, width, record.weight_bits, record.activation_bits)
    requantizer, output_port, resident = (
        Unit(chip.requantizer_lanes, 0),
        Unit(1, chip.output_width),
        Unit(1, chip.activation_width),
    )

    at = operands.first[index]
    source, under, inputs_kept = source_of(operands, at, kept)
    behind = last_store(grids, work, source) if source != NONE and under == NONE else NONE
    other, other_under, weights_kept, weights_behind = NONE, NONE, False, NONE
    if operands.first[index + 1] - at > 1:
        other, other_under, weights_kept = source_of(operands, at + 1, kept)
        weights_behind = last_store(grids, work, other) if other != NONE and other_under == NONE else NONE
    outputs_kept = kept.outputs[index]

    channels = channel_tiles(layer, tile)
    note_grid(grids, index, layer, tile, weights_outer, len(channels.outputs))
    grids.first[index] = ends.stores
    images = image_sides(layer.n, tile.n, grids, under)
    down = window_sides(rows, tile.oh, tile.kh, grids, under, 1)
    across = window_sides(columns, tile.ow, tile.kw, grids, under, 2)
    deep = input_channels(layer, tile, channels, grids, under)
    costs = tile_costs(array, layer, tile, channels)

    engine, cycles, latency, first, waits, consumers, stores = (
        work.engine, work.cycles, work.latency, work.first, work.waits, work.consumers, work.stores
    )  # fmt: skip
    i, w, stored = ends
    begin = i
    nx, ny = across.extent.shape[0], down.extent.shape[0]
    places, blocks = images.extent.shape[0] * ny * nx, len(channels.outputs)
    kys, kxs, kcs = down.extent.shape[1], across.extent.shape[1], deep.extent.shape[1]
    steps = kys * kxs * kcs
    weight_load, input_load, compute = NONE, NONE, NONE
    last_block, last_place, last_group = NONE, NONE, NONE
    weight_size, weight_cycles, input_size, input_cycles, volume, lanes, store_size, store_cycles = (
        -1,
        0,
        -1,
        0,
        -1,
        0,
        -1,
        0,
    )
    weight_bytes, input_bytes, recalled_bytes, recalled_weights, output_bytes, macs, requants = 0, 0, 0, 0, 0, 0, 0
    weight_reads, input_reads, sum_writes, stream, tiles = 0, 0, 0, 0, 0
    busy_w, busy_a, busy_c, busy_r, busy_s = 0, 0, 0, 0, 0
    free_places = freed_places(kept, work.recalled, index) if outputs_kept else NONE
    for slow in range(blocks if weights_outer else places):
        for fast in range(places if weights_outer else blocks):
            c, s = (slow, fast) if weights_outer else (fast, slow)
            x, n = s % nx, s // nx
            y, n = n % ny, n // ny
            oh, ow = min(tile.oh, layer.oh - y * tile.oh), min(tile.ow, layer.ow - x * tile.ow)
            pixels = images.extent[n, 0] * oh * ow
            kind = (4 if images.extent[n, 0] < tile.n else 0) + (2 if oh < tile.oh else 0) + (1 if ow < tile.ow else 0)
            outputs = channels.outputs[c]
            block = 0 if outputs == channels.outputs[0] and channels.groups[c] == channels.groups[0] else 1
            for k in range(steps):
                kc, rest = k % kcs, k // kcs
                kx, ky = rest % kxs, rest // kxs
                kh, kw, ic = (
                    min(tile.kh, layer.kh - ky * tile.kh), min(tile.kw, layer.kw - kx * tile.kw),
                    min(tile.ic, layer.ic - kc * tile.ic),
                )  # fmt: skip
                new_weights = steps > 1 or c != last_block
                if new_weights:
                    size = (outputs * kh * kw * ic * record.weight_bits + 7) // 8
                    if size != weight_size:
                        weight_size = size
                        weight_cycles = (
                            unit_cycles(resident, 1, size) if weights_kept else transfer_cycles(dma, 1, size, 0)
                        )
                    engine[i], cycles[i], latency[i] = (
                        (RECALL, weight_cycles, 0)
                        if weights_kept
                        else (LOAD_WEIGHTS, weight_cycles, dma.latency_cycles)
                    )
                    first[i] = w
                    free = consumers[WEIGHTS, chip.weight_depth - 1]
                    consumers[WEIGHTS, 1] = consumers[WEIGHTS, 0]
                    if free != NONE:
                        waits[w] = free
                        w += 1
                    if other != NONE:
                        on = weights_behind
                        if other_under != NONE:
                            on = digit(grids, other, 0, channels.last[c]) + digit(
                                grids, other, 1, min((ky + 1) * tile.kh, layer.kh) - 1
                            )
                            on += digit(grids, other, 2, min((kx + 1) * tile.kw, layer.kw) - 1)
                            on += digit(grids, other, 3, min((kc + 1) * tile.ic, layer.ic) - 1)
                            on = stores[grids.first[other] + on]
                        waits[w] = on
                        w += 1
                    if weights_kept:
                        recalled_weights += size
                        recalled_bytes += size
                        work.recalled[other] = i
                        counts.recall_busy += weight_cycles
                    else:
                        weight_bytes += size
                        busy_w += weight_cycles
                    weight_load = i
                    i += 1
                if steps > 1 or s != last_place or channels.group[c] != last_group:
                    elements = images.extent[n, 0] * down.extent[y, ky] * across.extent[x, kx] * deep.extent[c, kc]
                    size = (elements * record.activation_bits + 7) // 8
                    if size != input_size:
                        input_size = size
                        input_cycles = (
                            unit_cycles(resident, 1, size) if inputs_kept else transfer_cycles(dma, 1, size, 0)
                        )
                    engine[i], cycles[i], latency[i] = (
                        (RECALL, input_cycles, 0)
                        if inputs_kept
                        else (LOAD_ACTIVATIONS, input_cycles, dma.latency_cycles)
                    )
                    first[i] = w
                    free = consumers[ACTIVATIONS, chip.activation_depth - 1]
                    consumers[ACTIVATIONS, 1] = consumers[ACTIVATIONS, 0]
                    if free != NONE:
                        waits[w] = free
                        w += 1
                    if under != NONE and elements > 0:
                        on = images.before[n, 0] + down.before[y, ky] + across.before[x, kx] + deep.before[c, kc]
                        waits[w] = stores[grids.first[under] + on]
                        w += 1
                    elif behind != NONE:
                        waits[w] = behind
                        w += 1
                    if inputs_kept:
                        recalled_bytes += size
                        work.recalled[source] = i
                        counts.recall_busy += input_cycles
                    else:
                        busy_a += input_cycles
                    input_bytes += size
                    input_load = i
                    i += 1
                reduction = (4 if kh < tile.kh else 0) + (2 if kw < tile.kw else 0) + (1 if ic < tile.ic else 0)
                there = 0 if new_weights else 1
                engine[i], first[i] = COMPUTE, w
                cycles[i], latency[i] = (
                    costs.cycles[kind, block, reduction, there],
                    costs.latency[kind, block, reduction, there],
                )
                waits[w], waits[w + 1] = weight_load, input_load
                w += 2
                if k > 0:
                    if chip.pipelined == 0:
                        waits[w] = compute
                        w += 1
                else:
                    free = consumers[ACCUMULATORS, chip.accumulator_depth - 1]
                    consumers[ACCUMULATORS, 1] = consumers[ACCUMULATORS, 0]
                    if free != NONE:
                        waits[w] = free
                        w += 1
                busy_c += cycles[i]
                stream += costs.stream[kind, block, reduction, there]
                weight_reads += costs.weights[kind, block, reduction, there]
                input_reads += costs.inputs[kind, block, reduction, there]
                sum_writes += costs.sums[kind, block, reduction, there]
                macs += pixels * outputs * kh * kw * ic
                consumers[WEIGHTS, 0], consumers[ACTIVATIONS, 0], compute = i, i, i
                i += 1
                last_block, last_place, last_group = c, s, channels.group[c]
            elements = pixels * outputs
            if elements != volume:
                volume, lanes = elements, unit_cycles(requantizer, elements, 0)
                store_size = (elements * record.output_bits + 7) // 8
                store_cycles = (
                    unit_cycles(resident, 1, store_size) if outputs_kept else transfer_cycles(dma, 1, store_size, 0)
                )
                store_cycles = moved_no_faster(output_port, store_cycles, store_size)
            engine[i], cycles[i], latency[i], first[i] = REQUANTIZE, lanes, 0, w
            waits[w] = compute
            w += 1
            free = consumers[OUTPUTS, chip.output_depth - 1]
            consumers[OUTPUTS, 1] = consumers[OUTPUTS, 0]
            if free != NONE:
                waits[w] = free
                w += 1
            consumers[ACCUMULATORS, 0] = i
            busy_r += lanes
            requants += elements
            i += 1
            engine[i], cycles[i], latency[i], first[i] = (
                KEEP if outputs_kept else STORE,
                store_cycles,
                0 if outputs_kept else dma.latency_cycles,
                w,
            )
            if tiles == 0 and free_places != NONE:
                waits[w] = free_places
                w += 1
            waits[w] = i - 1
            w += 1
            consumers[OUTPUTS, 0] = stores[stored] = i
            busy_s += store_cycles
            output_bytes += store_size
            stored += 1
            tiles += 1
            i += 1
    counts.operations, counts.tiles, counts.macs, counts.requants = i - begin, tiles, macs, requants
    counts.weight_bytes = counts.weight_fill = weight_bytes
    counts.recalled_bytes, counts.recalled_weight_bytes = recalled_bytes, recalled_weights
    counts.input_bytes, counts.input_fill = 0 if inputs_kept else input_bytes, input_bytes
    counts.stored_bytes, counts.kept_bytes = (0, output_bytes) if outputs_kept else (output_bytes, 0)
    counts.output_fill, counts.weight_reads, counts.activation_reads = output_bytes, weight_reads, input_reads
    counts.sum_writes, counts.stream = sum_writes * width.sum_words, stream
    counts.load_weights_busy, counts.load_activations_busy, counts.compute_busy, counts.requantize_busy = (
        busy_w,
        busy_a,
        busy_c,
        busy_r,
    )
    counts.store_busy, counts.keep_busy = (0, busy_s) if outputs_kept else (busy_s, 0)
    return Ends(i, w, stored)
