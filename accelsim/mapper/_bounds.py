"""Numba kernel of the mapping search: a lower bound of cycles and the energy of every tiling that fits, the best of them kept.

The space is (pixel tiles) x (tap tiles) x (channel tiles) x (loop orders). All sums over tiles are taken by their distinct sizes,
full and remainder along each axis, so that a tiling costs the same however many tiles it has.

Functions of many records are inlined: a call would copy every field of theirs, which took a third of the time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware import AT_ARRAY, Loops, Machine
from accelsim.hardware.compiled import (
    Tile,
    channel_bits,
    fits,
    footprint,
    packed_bytes,
    parts,
    tile_cost,
    transfer_cycles,
    unit_cycles,
)
from accelsim.numba_cache import njit
from accelsim.program.compiled import ORDERS, Nest, loads_of, nest_of

CYCLES, ENERGY, EDP = range(3)
"""Objective codes."""
NEVER = 2**62


class Case(NamedTuple):
    """What the bounds know of a layer beside its loops.

    ``as_bound``: no transfer takes longer than its bytes at the port. So many ``shares`` of cores have a part each, of which the
    smallest has ``input_channels``; ``tensor_inputs`` and ``tensor_outputs`` are the channels of the tensors in DRAM. ``burst`` in
    bits. ``nonzero``: weights that are not 0 in a share of least, where they are coded in DRAM, else -1. What is kept on chip passes
    no port.
    """

    as_bound: bool
    shares: int
    input_channels: int
    tensor_inputs: int
    tensor_outputs: int
    burst: int
    nonzero: int
    inputs_kept: bool
    outputs_kept: bool


class Energies(NamedTuple):
    """Picojoules of what no tiling changes (``fixed``), per element read and word written, per byte moved, and per cycle."""

    fixed: float
    weight_read: float
    activation_read: float
    accumulator_write: float
    weight_byte: float
    activation_byte: float
    output_byte: float
    dram_read_byte: float
    dram_write_byte: float
    recalled_byte: float
    kept_byte: float
    cycle: float


class Seen(NamedTuple):
    """Input rows and columns summed over all tiles of pixels and taps, those under the first tile, and the input pixels of all
    images under the largest one (``area``), as often as they are fetched."""

    rows: int
    columns: int
    first_rows: int
    first_columns: int
    area: int


class Tiles(NamedTuple):
    """The space: ``pixels`` (P, 5): oh, ow, the places of both in ``rows`` and ``columns``, and n; ``taps`` (T, 4) likewise kh, kw;
    ``channels`` (C, 3): oc, ic, groups; ``rows`` (3, heights, tap heights): input rows summed over all tiles, the most under one
    tile, those under the first; ``columns`` likewise."""

    pixels: Any
    taps: Any
    channels: Any
    rows: Any
    columns: Any


class Totals(NamedTuple):
    """Of all compute tiles: cycles and accesses; of single ones the fewest cycles, the least and the most latency."""

    cycles: int
    weights: int
    reads: int
    writes: int
    shortest: int
    least_latency: int
    most_latency: int


class Traffic(NamedTuple):
    """Bytes as they are asked for, as the activation memory holds them, and on the DRAM's bus."""

    weights: int
    inputs: int
    held: int
    outputs: int
    weight_bus: int
    input_bus: int
    output_bus: int


@njit
def _sizes(size: int, tile: int, which: int) -> Any:
    """(extent, count) of the full tiles (0) or of the remainder (1) along one axis."""
    if which == 0:
        return tile, size // tile
    return size % tile, 1 if size % tile else 0


@njit
def _array_totals(machine: Machine, layer: Loops, tile: Loops, keeps: bool) -> Totals:
    """Of all tiles of a layer; ``keeps``: of the spatial tiles behind the first the weights are there already."""
    cycles, weights, reads, writes, shortest, least, most = 0, 0, 0, 0, NEVER, NEVER, 0
    # Bits of a, b, c, d: full tiles or the remainder along two axes (of d three), so that 2^8 kinds of tiles stand for all.
    for a in range(4):
        images, image_count = _sizes(layer.n, tile.n, a >> 1)
        rows, row_count = _sizes(layer.oh, tile.oh, a & 1)
        for b in range(2):
            columns, column_count = _sizes(layer.ow, tile.ow, b)
            spatial = image_count * row_count * column_count
            if spatial == 0:
                continue
            first = 1 if a == 0 and b == 0 else 0  # the first spatial tile is a full one along every axis
            for c in range(4):
                channels, channel_count = _sizes(layer.oc, tile.oc, c & 1)
                together, group_count = _sizes(layer.groups, tile.groups, c >> 1)
                if channel_count * group_count == 0:
                    continue
                for d in range(8):
                    taps, tap_count = _sizes(layer.kh, tile.kh, d & 1)
                    across, across_count = _sizes(layer.kw, tile.kw, (d >> 1) & 1)
                    depth, depth_count = _sizes(layer.ic, tile.ic, d >> 2)
                    steps = tap_count * across_count * depth_count
                    if steps == 0:
                        continue
                    tiles = channel_count * group_count * steps
                    new = spatial if not keeps else first
                    for kept in range(2):
                        count = tiles * (new if kept == 0 else spatial - new)
                        if count:
                            size = Tile(images * rows * columns, taps * across * depth, channels, together, kept == 1)
                            cost = tile_cost(machine.array, size)
                            cycles += count * cost.cycles
                            weights += count * cost.weight_reads
                            reads += count * cost.activation_reads
                            writes += count * cost.accumulator_writes
                            shortest = min(shortest, cost.cycles)
                            least, most = min(least, cost.latency), max(most, cost.latency)
    return Totals(cycles, weights, reads, writes, shortest, least, most)


@njit(inline="always")
def _traffic(
    machine: Machine, case: Case, layer: Loops, tile: Loops, loads: tuple[Nest, int, int], seen: Seen
) -> Traffic:
    """All that a layer moves: weights once, or for every spatial tile; inputs for all channel tiles at once, or for each."""
    bits, burst, (nest, weight_loads, input_loads) = machine.operands, case.burst, loads
    times = 1 if weight_loads < nest.computes else nest.spatial
    per_channel = 1 if input_loads < nest.computes else parts(layer.oc, tile.oc)
    taps = layer.oc * layer.groups * layer.kh * layer.kw * times
    weights = packed_bytes(taps * layer.ic, bits.weight_bits)
    positions = layer.n * seen.rows * seen.columns * per_channel
    inputs = packed_bytes(positions * case.input_channels, bits.activation_bits)
    pixels = layer.n * layer.oh * layer.ow
    held = inputs
    if machine.im2col.mode != AT_ARRAY:
        matrix = pixels * layer.kh * layer.kw * case.input_channels * per_channel
        held = packed_bytes(matrix, bits.activation_bits)
    outputs = packed_bytes(pixels * layer.oc * layer.groups, bits.output_bits)
    if case.nonzero >= 0:
        weight_bus = packed_bytes(case.nonzero * times, bits.weight_bits)
    else:
        weight_bus = packed_bytes(channel_bits(burst, taps, 1, layer.ic, 1, tile.ic, layer.ic, bits.weight_bits), 1)
    groups = case.input_channels // layer.ic
    input_bus = channel_bits(
        burst, positions, groups, layer.ic, tile.groups, tile.ic, case.tensor_inputs, bits.activation_bits
    )
    output_bus = channel_bits(
        burst, pixels, layer.groups, layer.oc, tile.groups, tile.oc, case.tensor_outputs, bits.output_bits
    )
    input_bus = 0 if case.inputs_kept else packed_bytes(input_bus, 1)
    output_bus = 0 if case.outputs_kept else packed_bytes(output_bus, 1)
    return Traffic(weights, inputs, held, outputs, weight_bus, input_bus, output_bus)


@njit(inline="always")
def _last(size: int, tile: int) -> int:
    """Extent of the last tile along an axis."""
    return (size - 1) % tile + 1


@njit(inline="always")
def _behind(machine: Machine, case: Case, layer: Loops, tile: Loops) -> int:
    """Fewest cycles from the end of the last sums to the end of their write-back, the array's latency apart."""
    last = _last(layer.n, tile.n) * _last(layer.oh, tile.oh) * _last(layer.ow, tile.ow)
    last *= _last(layer.oc, tile.oc) * _last(layer.groups, tile.groups)
    size = packed_bytes(last, machine.operands.output_bits)
    if case.outputs_kept:
        written = unit_cycles(machine.resident, 1, size)
    else:
        written = transfer_cycles(machine.dma, 1, size, 0) + machine.dma.latency_cycles
    return int(unit_cycles(machine.requantizer, last, 0) + written)


@njit(inline="always")
def _first(machine: Machine, case: Case, tile: Loops, seen: Seen) -> Any:
    """(fewest cycles of the loads before the first tile, whether it loads any inputs)."""
    seen_first = tile.n * seen.first_rows * seen.first_columns
    size = footprint(machine.operands, machine.im2col, tile, seen_first)
    inputs = packed_bytes(seen_first * tile.groups * tile.ic, machine.operands.activation_bits)
    cycles = transfer_cycles(machine.dma, 1, 0 if case.nonzero >= 0 else size.weights, 0)
    if inputs > 0 and not case.inputs_kept:
        cycles += transfer_cycles(machine.dma, 1, inputs, 0)
    return cycles, inputs > 0


@njit
def evaluate(
    machine: Machine, case: Case, energies: Energies, layer: Loops, tile: Loops, order: int, seen: Seen
) -> Any:
    """(fewest cycles, picojoules, whether the cycles are the schedule's own) of one tiling.

    No schedule is shorter than the array's work behind the first loads and before the last requantization and store, than the port's
    work, than loads and work in turn where a memory holds one tile only, or than all that each tile of the output needs in turn where
    one queue moves everything: the first loads of the next tile stand behind the store of this one.
    What is kept on chip passes no port, and is a bound of nothing but the end: the last tile is kept after its sums.
    ``layer`` is the smallest share of as many cores: each other has the same work at least, and all share the port.
    """
    dma, nest = machine.dma, nest_of(layer, tile)
    weight_loads, input_loads = loads_of(order, nest)
    total = _array_totals(machine, layer, tile, weight_loads < nest.computes)
    moved = _traffic(machine, case, layer, tile, (nest, weight_loads, input_loads), seen)
    stores = nest.spatial * nest.channels
    load_weights = transfer_cycles(dma, weight_loads, moved.weight_bus, 0)
    load_inputs = 0 if case.inputs_kept else transfer_cycles(dma, input_loads, moved.input_bus, 0)
    store = 0 if case.outputs_kept else transfer_cycles(dma, stores, moved.output_bus, 0)
    first, loads_inputs = _first(machine, case, tile, seen)
    behind = _behind(machine, case, layer, tile) + total.least_latency
    port = case.shares * (load_weights + load_inputs + store)
    cycles = max(first + dma.latency_cycles + total.cycles + behind, port + dma.latency_cycles)
    if machine.depth.weights == 1:
        cycles = max(cycles, load_weights + weight_loads * dma.latency_cycles + total.cycles + behind)
    if machine.depth.activations == 1 and not case.inputs_kept:
        cycles = max(cycles, load_inputs + input_loads * dma.latency_cycles + total.cycles + behind)
    through_dram = not (case.inputs_kept or case.outputs_kept)
    if dma.queues == 1 and through_dram:
        # Each requantization takes a cycle at least, however few its sums.
        in_turn = store + stores * dma.latency_cycles
        in_turn += max(
            stores, unit_cycles(machine.requantizer, layer.n * layer.oh * layer.ow * layer.oc * layer.groups, 0)
        )
        in_turn += load_weights + load_inputs if nest.steps == 1 else 0
        cycles = max(cycles, total.cycles + in_turn + dma.latency_cycles)
    # The schedule's own: transfers take what is taken here, no other core is at the port, the last tile's latency is known, and the
    # array runs from its first tile to its last.
    exact = loads_inputs and case.as_bound and case.shares == 1 and through_dram
    exact = exact and total.least_latency == total.most_latency and (dma.queues > 1 or stores == 1)
    spare = total.shortest - total.most_latency
    exact = exact and (nest.computes == 1 or _array_never_waits(machine, tile, seen.area, spare))
    return cycles, _energy(case, energies, total, moved, cycles), exact


@njit(inline="always")
def _energy(case: Case, pj: Energies, total: Totals, moved: Traffic, cycles: int) -> float:
    """Picojoules of a tiling, exact up to the packing of narrow operands."""
    energy = pj.fixed + total.weights * pj.weight_read + total.reads * pj.activation_read
    energy += total.writes * pj.accumulator_write
    energy += moved.weights * pj.weight_byte + moved.held * pj.activation_byte + moved.outputs * pj.output_byte
    through_dram = (moved.weight_bus + moved.input_bus) * pj.dram_read_byte + moved.output_bus * pj.dram_write_byte
    energy += through_dram + cycles * pj.cycle
    energy += moved.inputs * pj.recalled_byte if case.inputs_kept else 0.0
    energy += moved.outputs * pj.kept_byte if case.outputs_kept else 0.0
    return energy


@njit(inline="always")
def _array_never_waits(machine: Machine, tile: Loops, area: int, spare: int) -> bool:
    """Whether all that can go on beside a compute tile is done within ``spare`` cycles: the shortest one's, less its latency.

    With two slots in every memory, at most a load of weights, a load of activations and two stores stand at the port while a
    tile computes, each enabled when it began or before (with a queue for all loads too, since those of the next tile are the next in
    it); the next tile needs them done, their data arrived, and the sums of the
    tile before the last requantized. So the array runs from its first tile to its last without a pause.
    """
    dma, depth = machine.dma, machine.depth
    double = min(min(depth.weights, depth.activations), min(depth.accumulators, depth.outputs)) > 1
    held = footprint(machine.operands, machine.im2col, tile, area)
    inputs = packed_bytes(area * tile.groups * tile.ic, machine.operands.activation_bits)
    store = transfer_cycles(dma, 1, held.outputs, 0)
    loads = transfer_cycles(dma, 1, held.weights, 0) + transfer_cycles(dma, 1, inputs, 0)
    requantize = unit_cycles(machine.requantizer, tile.n * tile.oh * tile.ow * tile.oc * tile.groups, 0)
    return bool(double and loads + 2 * store + requantize + dma.latency_cycles <= spare)


@njit
def search(
    machine: Machine, case: Case, energies: Energies, layer: Loops, tiles: Tiles, objective: int, values: Any, best: Any
) -> Any:
    """Fill ``values`` (K) and ``best`` (K, 10) with the K tilings of least value, unordered; (tilings visited, tilings that fit)."""
    values[:] = np.inf
    worst, visited, fitting = 0, 0, 0
    for p in range(tiles.pixels.shape[0]):
        oh, ow, y, x, n = tiles.pixels[p]
        for t in range(tiles.taps.shape[0]):
            kh, kw, v, u = tiles.taps[t]
            rows, columns = tiles.rows[:, y, v], tiles.columns[:, x, u]
            total, most, first = range(3)
            area = n * rows[most] * columns[most]
            seen = Seen(rows[total], columns[total], rows[first], columns[first], area)
            for c in range(tiles.channels.shape[0]):
                oc, ic, groups = tiles.channels[c]
                tile = Loops(n, oh, ow, oc, ic, kh, kw, groups)
                visited += ORDERS
                if not fits(machine.capacity, footprint(machine.operands, machine.im2col, tile, area)):
                    continue
                fitting += ORDERS
                for order in range(ORDERS):
                    cycles, energy, exact = evaluate(machine, case, energies, layer, tile, order, seen)
                    value = float(cycles) if objective == CYCLES else energy
                    value = cycles * energy if objective == EDP else value
                    # The K best stand unordered with their worst marked: almost every tiling ends at this comparison.
                    if value < values[worst]:
                        values[worst] = value
                        best[worst] = np.array([oh, ow, oc, ic, kh, kw, groups, n, order, int(exact)])
                        worst = int(np.argmax(values))
    return visited, fitting
