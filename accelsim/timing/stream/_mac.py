"""Numba kernel of the tile operations of one MAC layer, in program order: the rules of :mod:`accelsim.builder.mac_layer`.

Sizes along an axis are of two kinds, so that what tiles cost is asked of :mod:`accelsim.hardware` once a kind; the loops only add.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.graph import Axis
from accelsim.graph.compiled import rows_under
from accelsim.hardware import Array, Loops, Unit
from accelsim.hardware.compiled import Tile, moved_no_faster, packed_bytes, parts, tile_cost, unit_cycles
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
    Operand,
    State,
    array_of_chip,
    digit,
    dma_of_chip,
    freed_places,
    loops_of_record,
    moved,
    operand_of,
    windows_of_record,
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

    One loop: a call for each tile took several times as long as the tile. What takes a division, cycles above all, is asked again only
    where a size is another than that of the tile before.
    """
    record, work = network.layers[index], state.work
    layer, tile, (rows, columns) = loops_of_record(record), loops_of_record(tiling), windows_of_record(record)
    dma, weights_outer, at = dma_of_chip(chip), tiling.order == WEIGHTS_OUTER, network.operands.first[index]
    left, right = operand_of(network, at, state), Operand(NONE, NONE, NONE)
    if network.operands.first[index + 1] - at > 1:
        right = operand_of(network, at + 1, state)
    inputs_kept, weights_kept, outputs_kept = left.keeper != NONE, right.keeper != NONE, state.kept.outputs[index]
    freed = freed_places(state.kept, work.recalled, index) if outputs_kept else NONE

    channels = channel_tiles(layer, tile)
    note_grid(state.grids, index, layer, tile, weights_outer, len(channels.outputs))
    state.grids.first[index] = ends.stores
    images = image_sides(layer.n, tile.n, state.grids, left.under)
    down = window_sides(rows, tile.oh, tile.kh, state.grids, left.under, 1)
    across = window_sides(columns, tile.ow, tile.kw, state.grids, left.under, 2)
    deep = input_channels(layer, tile, channels, state.grids, left.under)
    costs = tile_costs(array_of_chip(chip, width, record.weight_bits, record.activation_bits), layer, tile, channels)
    (ny, kys), (nx, kxs), kcs = down.extent.shape, across.extent.shape, deep.extent.shape[1]
    places, blocks, steps = images.extent.shape[0] * ny * nx, len(channels.outputs), kys * kxs * kcs

    # Plain arrays from here on: helpers that are passed them count references, which took half as long as all else.
    engine, cycles, latency, first, waits, consumers, stores, recalled = work
    left_first = state.grids.first[left.under] if left.under != NONE else 0
    right_first = state.grids.first[right.under] if right.under != NONE else 0
    i, w, stored = ends
    weight_load, input_load, last_compute, last_block, last_place, last_group = NONE, NONE, NONE, NONE, NONE, NONE
    weight_elements, input_elements, volume = NONE, NONE, NONE
    weight_size, input_size, weight_cycles, input_cycles, lanes, store_size, store_cycles = 0, 0, 0, 0, 0, 0, 0
    # Summed up here and noted in the end: additions in memory took a third of the time.
    weight_bytes, input_bytes, input_fill, output_fill, macs, requants, stream = 0, 0, 0, 0, 0, 0, 0
    weight_reads, activation_reads, sum_writes = 0, 0, 0
    busy_weights, busy_inputs, busy_array, busy_requantizer, busy_stores = 0, 0, 0, 0, 0
    for slow in range(blocks if weights_outer else places):
        for fast in range(places if weights_outer else blocks):
            c, s = (slow, fast) if weights_outer else (fast, slow)
            x, n = s % nx, s // nx
            y, n = n % ny, n // ny
            oh, ow = min(tile.oh, layer.oh - y * tile.oh), min(tile.ow, layer.ow - x * tile.ow)
            pixels, outputs = images.extent[n, 0] * oh * ow, channels.outputs[c]
            # Which of the kinds of tiles that `costs` holds this one is of.
            kind = (4 if images.extent[n, 0] < tile.n else 0) + (2 if oh < tile.oh else 0) + (1 if ow < tile.ow else 0)
            block = 0 if outputs == channels.outputs[0] and channels.groups[c] == channels.groups[0] else 1
            for k in range(steps):
                kc, ky = k % kcs, k // kcs
                kx, ky = ky % kxs, ky // kxs
                kh, kw = min(tile.kh, layer.kh - ky * tile.kh), min(tile.kw, layer.kw - kx * tile.kw)
                ic = min(tile.ic, layer.ic - kc * tile.ic)
                # The reduction is innermost: with several steps every tile has other weights and inputs than the one before.
                new_weights = steps > 1 or c != last_block
                if new_weights:
                    if outputs * kh * kw * ic != weight_elements:
                        weight_elements = outputs * kh * kw * ic
                        weight_size = packed_bytes(weight_elements, record.weight_bits)
                        weight_cycles = moved(chip, dma, weights_kept, weight_size)
                    by, late = (RECALL, 0) if weights_kept else (LOAD_WEIGHTS, dma.latency_cycles)
                    engine[i], cycles[i], latency[i], first[i] = by, weight_cycles, late, w
                    free, consumers[WEIGHTS, 1] = consumers[WEIGHTS, chip.weight_depth - 1], consumers[WEIGHTS, 0]
                    waits[w], w = free, w + int(free != NONE)
                    place = 0
                    if right.under != NONE:
                        place = digit(state.grids, right.under, 0, channels.last[c])
                        place += digit(state.grids, right.under, 1, ky * tile.kh + kh - 1)
                        place += digit(state.grids, right.under, 2, kx * tile.kw + kw - 1)
                        place += digit(state.grids, right.under, 3, kc * tile.ic + ic - 1)
                    on = stores[right_first + place] if right.under != NONE else right.behind
                    waits[w], w = on, w + int(on != NONE)
                    if weights_kept:
                        recalled[right.keeper] = i
                        counts.recalled_weight_bytes += weight_size
                        counts.recalled_bytes += weight_size
                        counts.recall_busy += weight_cycles
                    else:
                        weight_bytes += weight_size
                        busy_weights += weight_cycles
                    weight_load = i
                    i += 1
                if steps > 1 or s != last_place or channels.group[c] != last_group:
                    elements = images.extent[n, 0] * down.extent[y, ky] * across.extent[x, kx] * deep.extent[c, kc]
                    if elements != input_elements:
                        input_elements, input_size = elements, packed_bytes(elements, record.activation_bits)
                        input_cycles = moved(chip, dma, inputs_kept, input_size)
                    by, late = (RECALL, 0) if inputs_kept else (LOAD_ACTIVATIONS, dma.latency_cycles)
                    engine[i], cycles[i], latency[i], first[i] = by, input_cycles, late, w
                    free, consumers[ACTIVATIONS, 1] = (
                        consumers[ACTIVATIONS, chip.activation_depth - 1],
                        consumers[ACTIVATIONS, 0],
                    )
                    waits[w], w = free, w + int(free != NONE)
                    if elements > 0 or left.under == NONE:  # what is all padding waits for no store under it
                        place = images.before[n, 0] + down.before[y, ky] + across.before[x, kx] + deep.before[c, kc]
                        on = stores[left_first + place] if left.under != NONE else left.behind
                        waits[w], w = on, w + int(on != NONE)
                    if inputs_kept:
                        recalled[left.keeper] = i
                        counts.recalled_bytes += input_size
                        counts.recall_busy += input_cycles
                    else:
                        input_bytes += input_size
                        busy_inputs += input_cycles
                    input_fill += input_size
                    input_load = i
                    i += 1
                reduction = (4 if kh < tile.kh else 0) + (2 if kw < tile.kw else 0) + (1 if ic < tile.ic else 0)
                there = 0 if new_weights else 1
                busy = costs.cycles[kind, block, reduction, there]
                engine[i], cycles[i], latency[i], first[i] = (
                    COMPUTE,
                    busy,
                    costs.latency[kind, block, reduction, there],
                    w,
                )
                waits[w], waits[w + 1], w = weight_load, input_load, w + 2
                if k == 0:
                    free, consumers[ACCUMULATORS, 1] = (
                        consumers[ACCUMULATORS, chip.accumulator_depth - 1],
                        consumers[ACCUMULATORS, 0],
                    )
                    waits[w], w = free, w + int(free != NONE)
                elif chip.pipelined == 0:  # else it follows its sums through the array
                    waits[w], w = last_compute, w + 1
                busy_array += busy
                stream += costs.stream[kind, block, reduction, there]
                weight_reads += costs.weights[kind, block, reduction, there]
                activation_reads += costs.inputs[kind, block, reduction, there]
                sum_writes += costs.sums[kind, block, reduction, there]
                macs += pixels * outputs * kh * kw * ic
                consumers[WEIGHTS, 0], consumers[ACTIVATIONS, 0], last_compute = i, i, i
                i += 1
                last_block, last_place, last_group = c, s, channels.group[c]
            if pixels * outputs != volume:
                volume = pixels * outputs
                lanes, store_size = (
                    unit_cycles(Unit(chip.requantizer_lanes, 0), volume, 0),
                    packed_bytes(volume, record.output_bits),
                )
                store_cycles = moved_no_faster(
                    Unit(1, chip.output_width), moved(chip, dma, outputs_kept, store_size), store_size
                )
            engine[i], cycles[i], latency[i], first[i] = REQUANTIZE, lanes, 0, w
            waits[w], w = last_compute, w + 1
            free, consumers[OUTPUTS, 1] = consumers[OUTPUTS, chip.output_depth - 1], consumers[OUTPUTS, 0]
            waits[w], w = free, w + int(free != NONE)
            consumers[ACCUMULATORS, 0] = i
            i += 1
            by, late = (KEEP, 0) if outputs_kept else (STORE, dma.latency_cycles)
            engine[i], cycles[i], latency[i], first[i] = by, store_cycles, late, w
            waits[w], w = freed, w + int(freed != NONE)
            waits[w], w, freed = i - 1, w + 1, NONE  # what stood in the place before holds up the first store alone
            consumers[OUTPUTS, 0] = stores[stored] = i
            busy_requantizer += lanes
            requants += volume
            output_fill += store_size
            busy_stores += store_cycles
            stored += 1
            i += 1
    counts.operations, counts.tiles, counts.macs, counts.requants = (
        i - ends.operations,
        stored - ends.stores,
        macs,
        requants,
    )
    counts.weight_bytes, counts.weight_fill, counts.input_bytes, counts.input_fill = (
        weight_bytes,
        weight_bytes,
        input_bytes,
        input_fill,
    )
    counts.weight_reads, counts.activation_reads, counts.sum_writes = (
        weight_reads,
        activation_reads,
        sum_writes * width.sum_words,
    )
    counts.compute_busy, counts.stream, counts.requantize_busy, counts.output_fill = (
        busy_array,
        stream,
        busy_requantizer,
        output_fill,
    )
    counts.load_weights_busy, counts.load_activations_busy = busy_weights, busy_inputs
    counts.stored_bytes, counts.store_busy = (0, 0) if outputs_kept else (output_fill, busy_stores)
    counts.kept_bytes, counts.keep_busy = (output_fill, busy_stores) if outputs_kept else (0, 0)
    return Ends(i, w, stored)
