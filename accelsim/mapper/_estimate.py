"""Numba kernel of the greedy mapper: cycles and DRAM traffic of every candidate tiling of a MAC layer, and the best one.

What a tile holds, moves and takes is asked of :mod:`accelsim.hardware.compiled`; here it is put together.

Functions of many records are inlined: a call would copy every field of theirs, which took a third of the time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware import AT_DMA, Bursts, Dma, Footprint, Loops, Machine
from accelsim.hardware.compiled import (
    Tile,
    TileCost,
    box_bytes,
    fill_cycles,
    fits,
    footprint,
    tile_cost,
    transfer_cycles,
    windows_bytes,
)
from accelsim.mapper._candidates import Candidates
from accelsim.numba_cache import inner, njit
from accelsim.program.compiled import ORDERS, Nest, loads_of, nest_of

NOTHING_FITS = -1
CYCLES, TRAFFIC, WORK, TILES, INDEX = range(5)
"""Rows of what is noted of tilings that were among the fastest when they were met: estimated cycles, DRAM bytes, array cycles, tiles,
and ``((order * pixels + pixel) * taps + tap) * channels + channel``."""
FIGURES = INDEX + 1


class DramSide(NamedTuple):
    """What an estimate needs of the DRAM: its bursts, the inner three sizes of the tensors as they stand there, what is kept on
    chip instead, and the size of coded weights over their own (0: they are not coded)."""

    bursts: Bursts
    weights: Any
    inputs: Any
    outputs: Any
    inputs_kept: bool
    outputs_kept: bool
    weights_kept: bool
    coded: float


class Moves(NamedTuple):
    """Cycles of one load of weights, of one of inputs, and of one store; 0 where it is kept."""

    weight_cycles: float
    input_cycles: float
    output_cycles: float


@inner
def _tile_at(pixels: Any, taps: Any, channels: Any) -> Loops:
    """The tile of one candidate of each kind."""
    return Loops(pixels[2], pixels[0], pixels[1], channels[0], channels[1], taps[0], taps[1], channels[2])


@inner
def _port(dma: Dma, bursts: Bursts, size: float, commands: float) -> float:
    """Cycles of one transfer at the port: its bytes, or the mean of its commands."""
    if bursts.size == 1:  # whole bytes and no rows: divided as integers, which is several times faster
        return float(transfer_cycles(dma, 1, int(size), 0))
    return float(transfer_cycles(dma, 1, size, commands + size / bursts.size * bursts.each))


@njit(inline="always")
def _weights(machine: Machine, dram: DramSide, tile: Loops, held: int) -> Any:
    """(bytes on the bus, cycles) of one load of a tile's weights, ``held`` bytes of them on chip; nothing where they are kept."""
    if dram.weights_kept:
        return 0.0, 0.0
    burst, size = dram.bursts.size, float(held)
    if dram.coded > 0:
        size = np.ceil(size * dram.coded / burst) * burst
    elif burst > 1:
        size = box_bytes(
            burst, machine.operands.weight_bits, (tile.groups * tile.oc, tile.kh, tile.kw, tile.ic), dram.weights
        )
    return size, _port(machine.dma, dram.bursts, size, dram.bursts.read)


@njit(inline="always")
def _inputs(machine: Machine, dram: DramSide, tile: Loops, extent: tuple[int, int], held: Footprint) -> Any:
    """As :func:`_weights`, of its inputs, under which lie ``extent`` rows and columns of the image."""
    if dram.inputs_kept:
        return 0.0, 0.0
    burst, size, (rows, columns) = dram.bursts.size, float(held.inputs), extent
    channels, bits = tile.groups * tile.ic, machine.operands.activation_bits
    if burst > 1 and machine.im2col.mode == AT_DMA and tile.oh * tile.ow * tile.kh * tile.kw > rows * columns:
        pixels = tile.n * tile.oh * tile.ow
        size = windows_bytes(burst, bits, pixels, (tile.kh, tile.kw), channels, dram.inputs)
    elif burst > 1:
        size = box_bytes(burst, bits, (tile.n, rows, columns, channels), dram.inputs)
    cycles = _port(machine.dma, dram.bursts, size, dram.bursts.read)
    if held.held > size:  # else nothing is unrolled, and a division is saved
        cycles = float(fill_cycles(machine.im2col, cycles, size, float(held.held)))
    return size, cycles


@njit(inline="always")
def _outputs(machine: Machine, dram: DramSide, tile: Loops, held: int) -> Any:
    """As :func:`_weights`, of one store of its outputs."""
    if dram.outputs_kept:
        return 0.0, 0.0
    burst, size = dram.bursts.size, float(held)
    if burst > 1:
        box = tile.n, tile.oh, tile.ow, tile.groups * tile.oc
        size = box_bytes(burst, machine.operands.output_bits, box, dram.outputs)
    return size, _port(machine.dma, dram.bursts, size, dram.bursts.write) if size > 0 else 0.0


@njit(inline="always")
def _cycles(dma: Dma, depth: int, nest: Nest, loads: tuple[int, int], moves: Moves, cost: TileCost) -> float:
    """The longest of the DRAM port, the array, and the round trip of a buffer slot (load, latency, compute, free again), plus the
    first load, which nothing hides; where one queue moves everything, the first load, the work and the store of each tile of the
    output in turn."""
    weight_loads, input_loads = loads
    moved, stores = moves.weight_cycles + moves.input_cycles, nest.spatial * nest.channels
    load = moved + dma.latency_cycles + cost.latency
    stored = stores * moves.output_cycles
    loaded = weight_loads * moves.weight_cycles + input_loads * moves.input_cycles
    trips: float = np.floor(max(weight_loads, input_loads) * (load + cost.cycles) / depth)
    if dma.queues == 1 and moves.input_cycles > 0 and stored > 0:
        first = load if nest.steps > 1 else load - moved + loaded / stores
        beside = max(float(nest.steps) * cost.cycles, max((nest.steps - 1) * moved, trips / stores))
        return stores * (first + beside) + stored
    return max(loaded + stored, max(float(nest.computes) * cost.cycles, trips)) + load


class Chosen(NamedTuple):
    """The best tiling: whether there is one, its tile and loop order, and the estimated DRAM bytes and array cycles."""

    fits: bool
    tile: Loops
    order: int
    traffic: float
    work: float


@njit
def choose(machine: Machine, dram: DramSide, layer: Loops, candidates: Candidates, slack: float) -> Chosen:
    """The best tiling among ``candidates``.

    Every tile is taken at full size; padding that im2col leaves out of a fetch is taken to be fetched. Of the tilings within ``slack`` (a
    fraction) of the fewest cycles, the one of least traffic, then array cycles, then tiles. Where the weights are kept from part to part
    of a layer only tilings with all of them in one tile count, which cost the port nothing.
    """
    pixels, taps, channels = candidates.pixels, candidates.taps, candidates.channels
    found, count = np.empty((FIGURES, ORDERS * len(pixels) * len(taps) * len(channels))), 0
    depth, enough = min(machine.depth.weights, machine.depth.activations), np.inf
    spatial = np.empty(len(pixels), dtype=np.int64)
    for p in range(len(pixels)):
        spatial[p] = nest_of(layer, _tile_at(pixels[p], taps[0], channels[0])).spatial
    # Large tiles first, which are fast: the others are then left out sooner. Pixels innermost: what weights take does not depend on them.
    for t in range(len(taps) - 1, -1, -1):
        for c in range(len(channels) - 1, -1, -1):
            some = _tile_at(pixels[0], taps[t], channels[c])
            held_weights = footprint(machine.operands, machine.im2col, some, some.n).weights
            if held_weights > machine.capacity.weights:
                continue
            weights, weight_cycles = _weights(machine, dram, some, held_weights)
            one = nest_of(layer, some)
            if dram.weights_kept and one.channels * one.steps > 1:
                continue
            for p in range(len(pixels) - 1, -1, -1):
                nest = Nest(spatial[p], one.groups, one.channels, one.steps, spatial[p] * one.channels * one.steps)
                first, second = loads_of(0, nest), loads_of(1, nest)
                if min(first[0], second[0]) * weight_cycles > enough:
                    continue
                tile, extent = (
                    _tile_at(pixels[p], taps[t], channels[c]),
                    (candidates.rows[p, t], candidates.columns[p, t]),
                )
                held = footprint(machine.operands, machine.im2col, tile, tile.n * extent[0] * extent[1])
                if not fits(machine.capacity, held):
                    continue
                inputs, input_cycles = _inputs(machine, dram, tile, extent, held)
                outputs, output_cycles = _outputs(machine, dram, tile, held.outputs)
                moves = Moves(weight_cycles, input_cycles, output_cycles)
                # Neither loop order is among the best if its transfers alone take too long; what tiles cost is then not asked.
                stored = nest.spatial * nest.channels * output_cycles
                least = min(
                    first[0] * weight_cycles + first[1] * input_cycles,
                    second[0] * weight_cycles + second[1] * input_cycles,
                )
                if least + stored > enough:
                    continue
                # As if no tile found its weights in the array: what the loop order saves there only the search counts.
                size = Tile(tile.n * tile.oh * tile.ow, tile.kh * tile.kw * tile.ic, tile.oc, tile.groups, False)
                cost = tile_cost(machine.array, size)
                # Both loop orders make the same tiles: only how often operands are loaded differs.
                for order in range(ORDERS):
                    loads = first if order == 0 else second
                    cycles = _cycles(machine.dma, depth, nest, loads, moves, cost)
                    if cycles > enough:
                        continue
                    enough = min(enough, cycles * (1 + slack))
                    found[CYCLES, count], found[TILES, count] = cycles, nest.computes
                    found[TRAFFIC, count] = (
                        loads[0] * weights + loads[1] * inputs + nest.spatial * nest.channels * outputs
                    )
                    found[WORK, count] = float(nest.computes) * cost.cycles
                    found[INDEX, count] = ((order * len(pixels) + p) * len(taps) + t) * len(channels) + c
                    count += 1
    if count == 0:
        return Chosen(False, layer, 0, 0.0, 0.0)
    best = _least(found, count, enough)
    index = int(found[INDEX, best])
    rest, c = index // len(channels), index % len(channels)
    rest, t = rest // len(taps), rest % len(taps)
    tile = _tile_at(pixels[rest % len(pixels)], taps[t], channels[c])
    return Chosen(True, tile, rest // len(pixels), found[TRAFFIC, best], found[WORK, best])


@njit(inline="always")
def _least(found: Any, count: int, enough: float) -> int:
    """Of the first ``count`` columns that take ``enough`` cycles at most the one of least traffic, then work, tiles and index."""
    best = NOTHING_FITS
    for i in range(count):
        if found[CYCLES, i] > enough:
            continue
        less = best == NOTHING_FITS
        for row in range(TRAFFIC, INDEX + 1):
            if best != NOTHING_FITS and found[row, i] != found[row, best]:
                less = found[row, i] < found[row, best]
                break
        best = i if less else best
    return best


@njit
def smallest(machine: Machine, candidates: Candidates) -> Any:
    """The least that any candidate asks of each memory, int64 (weights, activations, accumulators, outputs)."""
    least = np.full(4, 2**62, dtype=np.int64)
    for p in range(len(candidates.pixels)):
        for t in range(len(candidates.taps)):
            for c in range(len(candidates.channels)):
                tile = _tile_at(candidates.pixels[p], candidates.taps[t], candidates.channels[c])
                area = tile.n * candidates.rows[p, t] * candidates.columns[p, t]
                held = footprint(machine.operands, machine.im2col, tile, area)
                for k, size in enumerate((held.weights, held.held, held.sums, held.outputs)):
                    least[k] = min(least[k], size)
    return least
