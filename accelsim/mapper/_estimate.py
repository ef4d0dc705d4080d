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
from accelsim.numba_cache import inner, njit
from accelsim.program.compiled import ORDERS, Nest, loads_of, nest_of

NOTHING_FITS = -1


class Candidates(NamedTuple):
    """``pixels`` (P, 3): oh, ow, n; ``taps`` (T, 2): kh, kw; ``channels`` (C, 3): oc, ic, groups; ``rows``, ``columns`` (P, T):
    extents of the input under a tile."""

    pixels: Any
    taps: Any
    channels: Any
    rows: Any
    columns: Any


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


def tile_at(pixels: Any, taps: Any, channels: Any) -> Loops:
    """The tile of one candidate of each kind."""
    return Loops(pixels[2], pixels[0], pixels[1], channels[0], channels[1], taps[0], taps[1], channels[2])


_tile_at = njit(tile_at)


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


@njit
def best_tiling(
    machine: Machine, dram: DramSide, layer: Loops, candidates: Candidates, slack: float, figures: Any
) -> tuple[int, float, float]:
    """(index, DRAM bytes, array cycles) of the best tiling; the index is NOTHING_FITS where none fits.

    ``figures`` (4, candidates) is room for cycles, traffic, work and tiles of each, cycles infinite at first. The index is
    ``(order * pixels + pixel) * taps + tap) * channels + channel``. Every tile is taken at full size; padding that im2col
    leaves out of a fetch is taken to be fetched. Of the tilings within ``slack`` (a fraction) of the fewest cycles, the one of least
    traffic, then array cycles, then tiles. Where the weights are kept from part to part of a layer only tilings with all of them in
    one tile count, which cost the port nothing.
    """
    pixels, taps, channels = candidates.pixels, candidates.taps, candidates.channels
    cycles, traffic, work, tiles = figures[0], figures[1], figures[2], figures[3]
    depth = min(machine.depth.weights, machine.depth.activations)
    # Pixels innermost: what weights take and how often they are loaded does not depend on them.
    for t in range(len(taps)):
        for c in range(len(channels)):
            some = _tile_at(pixels[0], taps[t], channels[c])
            weights, weight_cycles = _weights(
                machine, dram, some, footprint(machine.operands, machine.im2col, some, some.n).weights
            )
            for p in range(len(pixels)):
                tile, extent = (
                    _tile_at(pixels[p], taps[t], channels[c]),
                    (candidates.rows[p, t], candidates.columns[p, t]),
                )
                held = footprint(machine.operands, machine.im2col, tile, tile.n * extent[0] * extent[1])
                if not fits(machine.capacity, held):
                    continue
                nest = nest_of(layer, tile)
                if dram.weights_kept and nest.channels * nest.steps > 1:
                    continue
                # As if no tile found its weights in the array: what the loop order saves there only the search counts.
                size = Tile(tile.n * tile.oh * tile.ow, tile.kh * tile.kw * tile.ic, tile.oc, tile.groups, False)
                cost = tile_cost(machine.array, size)
                inputs, input_cycles = _inputs(machine, dram, tile, extent, held)
                outputs, output_cycles = _outputs(machine, dram, tile, held.outputs)
                moves = Moves(weight_cycles, input_cycles, output_cycles)
                # Both loop orders make the same tiles: only how often operands are loaded differs.
                for order in range(ORDERS):
                    loads, i = loads_of(order, nest), ((order * len(pixels) + p) * len(taps) + t) * len(channels) + c
                    cycles[i] = _cycles(machine.dma, depth, nest, loads, moves, cost)
                    traffic[i] = loads[0] * weights + loads[1] * inputs + nest.spatial * nest.channels * outputs
                    work[i], tiles[i] = float(nest.computes) * cost.cycles, nest.computes
    best = _least(cycles, traffic, work, tiles, slack)
    return best, traffic[best], work[best]


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


@inner
def _least(cycles: Any, traffic: Any, work: Any, tiles: Any, slack: float) -> int:
    """The first candidate of least (traffic, work, tiles) among those within ``slack`` of the fewest cycles."""
    fewest, best = np.inf, NOTHING_FITS
    for i in range(len(cycles)):
        fewest = min(fewest, cycles[i])
    enough = fewest * (1 + slack)
    for i in range(len(cycles)):
        if cycles[i] <= enough and cycles[i] < np.inf:
            gain = traffic[best] - traffic[i] if best >= 0 else 1.0
            gain = work[best] - work[i] if gain == 0 else gain
            gain = tiles[best] - tiles[i] if gain == 0 else gain
            best = i if gain > 0 else best
    return best
