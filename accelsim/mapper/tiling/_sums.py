"""What a tiling of a MAC layer does, in closed form for compiled loops: cycles of the array, accesses, bytes, energy.

All sums over tiles are taken by their distinct sizes, full and remainder along each axis, so that a tiling costs the same however many
tiles it has.

Functions of many records are inlined: a call would copy every field of theirs, which took a third of the time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.hardware import AT_ARRAY, Array, Loops, Machine
from accelsim.hardware.compiled import (
    Tile,
    channel_bits,
    folds_of,
    held_cost,
    held_weights,
    last_sums,
    packed_bytes,
    parts,
    written_bytes,
)
from accelsim.numba_cache import njit
from accelsim.program.compiled import Nest

NEVER = 2**62


class Case(NamedTuple):
    """What a tiling's costs depend on beside machine, loops and tile.

    ``as_bound``: no transfer takes longer than its bytes at the port. So many ``shares`` of cores have a part each, of which the one at
    hand has ``input_channels``; ``tensor_inputs`` and ``tensor_outputs`` are the channels of the tensors in DRAM. ``burst`` in
    bits. ``code_bits``: what stands in DRAM of a share's weights at least, where they are coded, else -1. ``parameters``: bytes in front of
    the weights of each output channel. What is kept on chip passes no port.
    """

    as_bound: bool
    shares: int
    input_channels: int
    tensor_inputs: int
    tensor_outputs: int
    burst: int
    code_bits: int
    parameters: int
    inputs_kept: bool
    outputs_kept: bool
    weights_kept: bool


class Energies(NamedTuple):
    """Picojoules of what no tiling changes (``fixed``), per element read and word written, per byte moved, and per cycle.

    Where weights and inputs stand in one memory, a byte read there is priced by ``dram_read_byte`` alone; else the two have their own.
    """

    fixed: float
    weight_read: float
    activation_read: float
    accumulator_write: float
    weight_byte: float
    activation_byte: float
    output_byte: float
    dram_read_byte: float
    dram_write_byte: float
    weight_memory_byte: float
    input_memory_byte: float
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


class Totals(NamedTuple):
    """Of all compute tiles: cycles and accesses; of single ones the fewest cycles, the least and the most latency, and the fewest cycles
    until the first final sums."""

    cycles: int
    weights: int
    reads: int
    writes: int
    shortest: int
    least_latency: int
    most_latency: int
    first: int


class Traffic(NamedTuple):
    """Bytes as they are asked for, as the activation memory holds them, and on the DRAM's bus."""

    weights: int
    inputs: int
    held: int
    outputs: int
    weight_bus: int
    input_bus: int
    output_bus: int


class Cut(NamedTuple):
    """An axis in tiles: so many ``full`` ones of ``tile``, and one of the ``rest`` where that is not 0."""

    tile: int
    full: int
    rest: int


@njit(inline="always")
def _cut(size: int, tile: int) -> Cut:
    full = size // tile
    return Cut(tile, full, size - full * tile)


@njit(inline="always")
def _rests(a: Cut, b: Cut, c: Cut) -> int:
    """A bit for each of three axes that has a remainder."""
    return 4 * (a.rest > 0) + 2 * (b.rest > 0) + (c.rest > 0)


@njit(inline="always")
def _some(cut: Cut, rest: int) -> Any:
    """(extent, count) of the full tiles (0) or of the remainder (1) along an axis."""
    if rest == 0:
        return cut.tile, cut.full
    return cut.rest, 1


@njit
def array_totals(array: Array, layer: Loops, tile: Loops, keeps: bool, streams: bool) -> Totals:
    """Of all tiles of a layer; ``keeps``: of the spatial tiles behind the first the weights are there already; ``streams``: somebody asks
    when a tile's first sums are there."""
    cycles, weights, reads, writes, shortest, least, most, first = 0, 0, 0, 0, NEVER, NEVER, 0, NEVER
    images, rows, columns = _cut(layer.n, tile.n), _cut(layer.oh, tile.oh), _cut(layer.ow, tile.ow)
    channels, together = _cut(layer.oc, tile.oc), _cut(layer.groups, tile.groups)
    down, across, deep = _cut(layer.kh, tile.kh), _cut(layer.kw, tile.kw), _cut(layer.ic, tile.ic)
    outer, inner = _rests(images, rows, columns), _rests(down, across, deep)
    some = 2 * (together.rest > 0) + (channels.rest > 0)
    # Bits of p, r, c: full tiles or the remainder along three, three and two axes, so that 2^8 kinds of tiles stand for all.
    for r in range(inner + 1):
        if r & ~inner:
            continue
        (kh, some_kh), (kw, some_kw), (ic, some_ic) = (
            _some(down, r >> 2),
            _some(across, r >> 1 & 1),
            _some(deep, r & 1),
        )
        steps = some_kh * some_kw * some_ic
        for c in range(some + 1):
            if c & ~some:
                continue
            (oc, some_oc), (groups, some_groups) = _some(channels, c & 1), _some(together, c >> 1)
            tiles, held = some_oc * some_groups * steps, folds_of(array, kh * kw, ic, oc, groups)
            for p in range(outer + 1):
                if p & ~outer:
                    continue
                (n, some_n), (oh, some_oh), (ow, some_ow) = (
                    _some(images, p >> 2),
                    _some(rows, p >> 1 & 1),
                    _some(columns, p & 1),
                )
                pixels, spatial = n * oh * ow, some_n * some_oh * some_ow
                new = 1 if p == 0 else 0  # the first spatial tile is a full one along every axis
                for kept in range(2 if keeps else 1):
                    count = tiles * (spatial if not keeps else spatial - new if kept == 1 else new)
                    if count == 0:
                        continue
                    one = Tile(pixels, kh * kw, ic, oc, groups, kept == 1)
                    cost = held_cost(array, held, one)
                    cycles += count * cost.cycles
                    weights += count * cost.weight_reads
                    reads += count * cost.activation_reads
                    writes += count * cost.accumulator_writes
                    shortest = min(shortest, cost.cycles)
                    least, most = min(least, cost.latency), max(most, cost.latency)
                    if streams:
                        first = min(first, last_sums(array, held, one).first)
    return Totals(cycles, weights, reads, writes, shortest, least, most, first)


@njit(inline="always")
def traffic_of(
    machine: Machine, case: Case, layer: Loops, tile: Loops, loads: tuple[Nest, int, int], seen: Seen
) -> Traffic:
    """All that a layer moves: weights once, or for every spatial tile; inputs for all channel tiles at once, or for each."""
    bits, burst, (nest, weight_loads, input_loads) = machine.operands, case.burst, loads
    times = 1 if weight_loads < nest.computes else nest.spatial
    per_channel = 1 if input_loads < nest.computes else parts(layer.oc, tile.oc)
    taps = layer.oc * layer.groups * layer.kh * layer.kw * times
    weights = 0 if case.weights_kept else packed_bytes(taps * layer.ic, bits.weight_bits)
    blocks = bits.block_rows * bits.block_cols > 1
    if blocks and not case.weights_kept:
        weights = packed_bytes(times * _in_blocks(machine, layer, tile), bits.weight_bits)
    positions = layer.n * seen.rows * seen.columns * per_channel
    inputs = packed_bytes(positions * case.input_channels, bits.activation_bits)
    pixels = layer.n * layer.oh * layer.ow
    held = inputs
    if machine.im2col.mode != AT_ARRAY:
        matrix = pixels * layer.kh * layer.kw * case.input_channels * per_channel
        held = packed_bytes(matrix, bits.activation_bits)
    pixels = int(pixels * bits.pool_share + 0.5)  # what leaves the pass, exactly: tiles hold whole windows
    outputs = packed_bytes(pixels * layer.oc * layer.groups, bits.output_bits)
    parameters = times * layer.oc * layer.groups * case.parameters
    if case.weights_kept:
        weight_bus = 0
    elif blocks:
        weight_bus = weights + parameters
    elif case.code_bits >= 0:
        weight_bus = packed_bytes(case.code_bits * times, 1) + parameters
    elif parameters > 0:  # tiles one by one, which no bursts cut
        weight_bus = weights + parameters
    else:
        weight_bus = packed_bytes(channel_bits(burst, taps, 1, layer.ic, 1, tile.ic, layer.ic, bits.weight_bits), 1)
    groups = case.input_channels // layer.ic
    input_bus = channel_bits(
        burst, positions, groups, layer.ic, tile.groups, tile.ic, case.tensor_inputs, bits.activation_bits
    )
    output_bus = 8 * _written(machine, layer, tile, pixels)
    if burst > 8:
        output_bus = channel_bits(
            burst, pixels, layer.groups, layer.oc, tile.groups, tile.oc, case.tensor_outputs, bits.output_bits
        )
    input_bus = 0 if case.inputs_kept else packed_bytes(input_bus, 1)
    output_bus = 0 if case.outputs_kept else packed_bytes(output_bus, 1)
    return Traffic(weights, inputs, held, outputs, weight_bus, input_bus, output_bus)


@njit(inline="always")
def _in_blocks(machine: Machine, layer: Loops, tile: Loops) -> int:
    """Weights of all tiles with the padding of their blocks."""
    down, across, deep = _cut(layer.kh, tile.kh), _cut(layer.kw, tile.kw), _cut(layer.ic, tile.ic)
    wide, total, bits = _cut(layer.oc, tile.oc), 0, machine.operands
    for r in range(8):
        (kh, some_kh), (kw, some_kw), (ic, some_ic) = _some(down, r >> 2), _some(across, r >> 1 & 1), _some(deep, r & 1)
        for c in range(2):
            oc, some_oc = _some(wide, c)
            if kh * kw * ic * oc > 0:
                held = held_weights(bits.block_rows, bits.block_cols, kh * kw * ic, oc, layer.groups)
                total += some_kh * some_kw * some_ic * some_oc * held
    return total


@njit(inline="always")
def _written(machine: Machine, layer: Loops, tile: Loops, pixels: int) -> Any:
    """Bytes that all stores move: the channels of each tile by themselves."""
    dma, bits = machine.streams.outputs, machine.operands.output_bits
    if dma.write == 1:
        return packed_bytes(pixels * layer.oc * layer.groups, bits)
    oc, groups = layer.oc, _cut(layer.groups, tile.groups)
    if tile.oc < oc:
        each = _cut(oc, tile.oc)
        some = each.full * written_bytes(dma, pixels, each.tile, bits) + written_bytes(dma, pixels, each.rest, bits)
        return layer.groups * some
    return groups.full * written_bytes(dma, pixels, groups.tile * oc, bits) + written_bytes(
        dma, pixels, groups.rest * oc, bits
    )


@njit(inline="always")
def through_bus(pj: Energies, weights: float, inputs: float, outputs: float) -> float:
    """Picojoules of so many bytes between the buffers and the memories outside."""
    apart = weights * pj.weight_memory_byte + inputs * pj.input_memory_byte
    return (weights + inputs) * pj.dram_read_byte + outputs * pj.dram_write_byte + apart


@njit(inline="always")
def energy_of(case: Case, pj: Energies, total: Totals, moved: Traffic, cycles: int) -> float:
    """Picojoules of a tiling, exact but for what each transfer rounds up: packed narrow operands, the share of coded activations."""
    energy = pj.fixed + total.weights * pj.weight_read + total.reads * pj.activation_read
    energy += total.writes * pj.accumulator_write
    energy += moved.weights * pj.weight_byte + moved.held * pj.activation_byte + moved.outputs * pj.output_byte
    energy += through_bus(pj, moved.weight_bus, moved.input_bus, moved.output_bus) + cycles * pj.cycle
    energy += moved.inputs * pj.recalled_byte if case.inputs_kept else 0.0
    energy += moved.outputs * pj.kept_byte if case.outputs_kept else 0.0
    return energy


@njit(inline="always")
def energies_at(rates: Any, shares: float, macs: float, outputs: float) -> Energies:
    """Of a layer in so many equal ``shares``, one of which has so many ``macs`` and ``outputs``; ``rates`` is a record of
    :data:`accelsim.mapper.tiling.RATES`. All but the cycle counts as often as there are shares."""
    fixed = shares * (macs * rates.mac + outputs * rates.requant)
    return Energies(
        fixed, shares * rates.weight_read, shares * rates.activation_read, shares * rates.accumulator_write,
        shares * rates.weight_byte, shares * rates.activation_byte, shares * rates.output_byte, shares * rates.dram_read_byte,
        shares * rates.dram_write_byte, shares * rates.weight_memory_byte, shares * rates.input_memory_byte,
        shares * rates.recalled_byte, shares * rates.kept_byte, rates.cycle,
    )  # fmt: skip
