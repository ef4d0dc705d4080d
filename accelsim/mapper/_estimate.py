"""Numba kernel of the greedy mapper: cycles and DRAM traffic of every candidate tiling of a MAC layer, and the best one.

What a tile holds, moves and takes is asked of :mod:`accelsim.hardware.compiled`; here it is put together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware import Bursts, Footprint, Loops, Machine
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
from accelsim.numba_cache import njit
from accelsim.program.compiled import ORDERS, Nest, nest_of

NOTHING_FITS = -1
IN_DRAM = 2
"""Place in :data:`accelsim.hardware.im2col.MODES`: windows are unrolled as they are fetched."""


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
    """Bytes on the bus of one load of weights, one of inputs and one store, and the cycles that each takes; 0 where it is kept."""

    weights: float
    inputs: float
    outputs: float
    weight_cycles: float
    input_cycles: float
    output_cycles: float


@njit
def _bus(machine: Machine, dram: DramSide, tile: Loops, rows: int, columns: int, held: Footprint) -> Any:
    """Bytes of whole bursts of a tile's weights, inputs and outputs."""
    burst, bits, g = dram.bursts.size, machine.operands, tile
    if dram.coded > 0:
        weights = np.ceil(held.weights * dram.coded / burst) * burst
    else:
        weights = box_bytes(burst, bits.weight_bits, (g.groups * g.oc, g.kh, g.kw, g.ic), dram.weights)
    if machine.im2col.mode == IN_DRAM and g.oh * g.ow * g.kh * g.kw > rows * columns:
        taps, pixels = (g.kh, g.kw), g.n * g.oh * g.ow
        inputs = windows_bytes(burst, bits.activation_bits, pixels, taps, g.groups * g.ic, dram.inputs)
    else:
        inputs = box_bytes(burst, bits.activation_bits, (g.n, rows, columns, g.groups * g.ic), dram.inputs)
    return weights, inputs, box_bytes(burst, bits.output_bits, (g.n, g.oh, g.ow, g.groups * g.oc), dram.outputs)


@njit
def _port(machine: Machine, bursts: Bursts, size: float, commands: float) -> float:
    """Cycles of one transfer at the port: its bytes, or the mean of its commands."""
    return float(transfer_cycles(machine.dma, 1, size, commands + size / bursts.size * bursts.each))


@njit
def _moves(machine: Machine, dram: DramSide, tile: Loops, rows: int, columns: int, held: Footprint) -> Moves:
    """What one load and one store of a tile move."""
    weights, inputs, outputs = float(held.weights), float(held.inputs), float(held.outputs)
    if dram.bursts.size > 1:
        weights, inputs, outputs = _bus(machine, dram, tile, rows, columns, held)
    elif dram.coded > 0:
        weights = np.ceil(weights * dram.coded)
    weight_cycles = input_cycles = output_cycles = 0.0
    if dram.weights_kept:
        weights = 0.0
    else:
        weight_cycles = _port(machine, dram.bursts, weights, dram.bursts.read)
    if dram.inputs_kept:
        inputs = 0.0
    else:
        loaded = _port(machine, dram.bursts, inputs, dram.bursts.read)
        input_cycles = float(fill_cycles(machine.im2col, loaded, inputs, float(held.held)))
    if dram.outputs_kept:
        outputs = 0.0
    elif outputs > 0:
        output_cycles = _port(machine, dram.bursts, outputs, dram.bursts.write)
    return Moves(weights, inputs, outputs, weight_cycles, input_cycles, output_cycles)


@njit
def _cycles(machine: Machine, nest: Nest, moves: Moves, cost: TileCost) -> float:
    """The longest of the DRAM port, the array, and the round trip of a buffer slot (load, latency, compute, free again), plus the
    first load, which nothing hides; where one queue moves everything, the first load, the work and the store of each tile of the
    output in turn."""
    moved, stores = moves.weight_cycles + moves.input_cycles, nest.spatial * nest.channels
    load = moved + machine.dma.latency_cycles + cost.latency
    stored = stores * moves.output_cycles
    loads = nest.weight_loads * moves.weight_cycles + nest.input_loads * moves.input_cycles
    depth = min(machine.depth.weights, machine.depth.activations)
    trips = max(nest.weight_loads, nest.input_loads) * (load + cost.cycles) // depth
    if machine.dma.queues == 1 and moves.input_cycles > 0 and stored > 0:
        first = load if nest.steps > 1 else load - moved + loads / stores
        beside = max(float(nest.steps) * cost.cycles, max((nest.steps - 1) * moved, trips / stores))
        return stores * (first + beside) + stored
    return max(loads + stored, max(float(nest.computes) * cost.cycles, trips)) + load


@njit
def best_tiling(
    machine: Machine, dram: DramSide, layer: Loops, candidates: Candidates, slack: float
) -> tuple[int, float, float]:
    """(index, DRAM bytes, array cycles) of the best tiling; the index is NOTHING_FITS where none fits.

    The index is ``(order * pixels + pixel) * taps + tap) * channels + channel``. Every tile is taken at full size; padding that im2col
    leaves out of a fetch is taken to be fetched. Of the tilings within ``slack`` (a fraction) of the fewest cycles, the one of least
    traffic, then array cycles, then tiles. Where the weights are kept from part to part of a layer only tilings with all of them in
    one tile count, which cost the port nothing.
    """
    pixels, taps, channels = candidates.pixels, candidates.taps, candidates.channels
    combinations = len(pixels) * len(taps) * len(channels)
    cycles = np.full(ORDERS * combinations, np.inf)
    traffic, work, tiles = np.empty_like(cycles), np.empty_like(cycles), np.empty_like(cycles)
    at = -1
    for p in range(len(pixels)):
        for t in range(len(taps)):
            rows, columns = candidates.rows[p, t], candidates.columns[p, t]
            for c in range(len(channels)):
                at += 1
                tile = tile_at(pixels[p], taps[t], channels[c])
                held = footprint(machine.operands, machine.im2col, tile, tile.n * rows * columns)
                if not fits(machine.capacity, held):
                    continue
                nest = nest_of(0, layer, tile)
                if dram.weights_kept and nest.channels * nest.steps > 1:
                    continue
                size = Tile(tile.n * tile.oh * tile.ow, tile.kh * tile.kw * tile.ic, tile.oc, tile.groups, False)
                cost = tile_cost(machine.array, size)
                moves = _moves(machine, dram, tile, rows, columns, held)
                # Both loop orders make the same tiles: only how often operands are loaded differs.
                for order in range(ORDERS):
                    nest, i = nest_of(order, layer, tile), order * combinations + at
                    cycles[i] = _cycles(machine, nest, moves, cost)
                    loaded = nest.weight_loads * moves.weights + nest.input_loads * moves.inputs
                    traffic[i] = loaded + nest.spatial * nest.channels * moves.outputs
                    work[i], tiles[i] = float(nest.computes) * cost.cycles, nest.computes
    best = _least(cycles, traffic, work, tiles, slack)
    return best, traffic[best], work[best]


@njit
def tile_at(pixels: Any, taps: Any, channels: Any) -> Loops:
    """The tile of one candidate of each kind."""
    return Loops(pixels[2], pixels[0], pixels[1], channels[0], channels[1], taps[0], taps[1], channels[2])


@njit
def smallest(machine: Machine, candidates: Candidates) -> Any:
    """The least that any candidate asks of each memory, int64 (weights, activations, accumulators, outputs)."""
    least = np.full(4, 2**62, dtype=np.int64)
    for p in range(len(candidates.pixels)):
        for t in range(len(candidates.taps)):
            for c in range(len(candidates.channels)):
                tile = tile_at(candidates.pixels[p], candidates.taps[t], candidates.channels[c])
                area = tile.n * candidates.rows[p, t] * candidates.columns[p, t]
                held = footprint(machine.operands, machine.im2col, tile, area)
                for k, size in enumerate((held.weights, held.held, held.sums, held.outputs)):
                    least[k] = min(least[k], size)
    return least


@njit
def _least(cycles: Any, traffic: Any, work: Any, tiles: Any, slack: float) -> int:
    """The first candidate of least (traffic, work, tiles) among those within ``slack`` of the fewest cycles."""
    enough, best = cycles.min() * (1 + slack), NOTHING_FITS
    if not np.isfinite(enough):
        return NOTHING_FITS
    for i in range(len(cycles)):
        if cycles[i] <= enough and (
            best < 0 or (traffic[i], work[i], tiles[i]) < (traffic[best], work[best], tiles[best])
        ):
            best = i
    return best
