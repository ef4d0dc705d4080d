"""Numba kernel of a whole network on a whole machine: its operations, their schedule, and what every layer did."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.builder import (
    ALONE,
    BITS,
    BOXWISE,
    CONSUMERS,
    CYCLES,
    ENGINE,
    FILLS,
    GRID,
    KEEPER,
    LAG,
    LATENCY,
    NEEDS,
    NONE,
    RANK,
    TIMES,
    Block,
    Did,
    Ends,
    Grids,
    MacJob,
    Source,
    State,
    VectorJob,
    VectorTiles,
)
from accelsim.builder.compiled import (
    change_division,
    divide_banks,
    mac_operations,
    need_of_mac,
    need_of_vector,
    vector_operations,
)
from accelsim.hardware import Engine
from accelsim.numba_cache import borrowing, inner, njit
from accelsim.program.compiled import WEIGHTS_OUTER, loads_of, nest_of
from accelsim.timing._merge import Queues, Times
from accelsim.timing._merge import merge_schedule as _tiered_merge
from accelsim.timing.stream._state import (
    beside_of,
    capacity_of_chip,
    follower_of,
    freed_places,
    kept_operand,
    last_of,
    loops_of_record,
    machine_of_chip,
    port_of_chip,
    source_of,
    windows_of_record,
)
from accelsim.timing.stream.records import MAC, MOST_OPERATIONS, VECTOR, Kept, Network, Tiles

ENGINES = len(Engine)
STORE, VECTOR_UNIT, KEEP = int(Engine.STORE), int(Engine.VECTOR), int(Engine.KEEP)
PORTS = 3
"""Engines at the DRAM port, the first ones."""
MOST_WAITS = 4
"""Of one operation of a MAC layer."""
MAX_CYCLES = 2.0**61
merge_schedule: Any = _tiered_merge.compiled  # type: ignore[attr-defined]
"""The scheduler as compiled functions call it."""


@borrowing
def room(network: Network, chip: Any, tilings: Any, tiles: Tiles) -> Ends:
    """The most operations, waits and stores that the network makes."""
    operations, waits, stores, behind = 0, 0, 0, 0
    for index in range(len(network.layers)):
        record, tiling = network.layers[index], tilings[index]
        if behind > 0:  # in the pass of a layer before
            behind -= 1
        elif record.kind == MAC:
            behind = record.behind
            nest = nest_of(loops_of_record(record), loops_of_record(tiling))
            weights, inputs = loads_of(tiling.order, nest)
            finished = nest.spatial * nest.channels
            made = nest.computes + weights + inputs + (4 if behind > 0 else 2) * finished
            operations, waits, stores = operations + made, waits + MOST_WAITS * made, stores + finished
        elif record.kind == VECTOR:
            cut = tiling.cut
            count = tiles.first[cut + 1] - tiles.first[cut]
            inputs = network.operands.first[index + 1] - network.operands.first[index]
            operations += (inputs + 2) * count
            waits += (4 * inputs + MOST_WAITS) * count
            stores += count
    return Ends(operations, waits, stores)


@inner
def cut_of(tiles: Tiles, cut: int) -> VectorTiles:
    """The tiles of one cut."""
    begin, end, first, last = tiles.first[cut], tiles.first[cut + 1], tiles.reads[cut], tiles.reads[cut + 1]
    return VectorTiles(
        tiles.all.volume[begin:end], tiles.all.elements[first:last], tiles.all.low[first:last], tiles.all.high[first:last],
        tiles.all.out_low[begin:end], tiles.all.out_high[begin:end], tiles.all.shape[cut], tiles.all.tile[cut],
    )  # fmt: skip


@inner
def no_consumers() -> Any:
    """Nothing read yet, by memory of the only core."""
    consumers = np.full((1, 4, CONSUMERS), NONE, np.int64)
    for memory in range(4):
        consumers[0, memory, FILLS] = 0
    return consumers


@inner
def new_state(most: Ends, layers: int, rank: int) -> State:
    """Room for so many operations, of which only what the schedule asks is noted."""
    grids = Grids(
        np.zeros(layers, np.int64), np.zeros(layers, np.int64), np.full(layers, NONE, np.int64),
        np.zeros((layers, rank), np.int64), np.ones((layers, rank), np.int64), np.ones((layers, rank), np.int64),
        np.ones((layers, rank), np.int64), np.ones((layers, rank), np.int64), np.zeros((layers, rank), np.int64),
    )  # fmt: skip
    return State(
        np.empty((1, most.operations), np.int8), np.empty((TIMES, most.operations), np.int64), np.empty((2, 0, rank), np.int32),
        np.empty(most.operations + 1, np.int64), np.empty(most.waits + 1, np.int32), np.empty(0, np.int32),
        no_consumers(), np.zeros((1, 4), np.int64), np.full((1, 1, 3), NONE, np.int64),
        np.empty(most.stores, np.int64), np.full(layers, NONE, np.int64), grids,
    )  # fmt: skip


@borrowing
def block_of(index: int, kept: Kept, recalled: Any, vector: int) -> Block:
    """A whole layer on the only core, or the layers of a pass of which it is the last; ``vector``: what the vector unit did last."""
    is_kept = kept.outputs[index]
    freed = freed_places(kept, recalled, index) if is_kept else NONE
    return Block(index, 0, index, 0, 0, 0, 0, 0 if is_kept else NONE, freed, 0, 0, index, vector)


@inner
def mac_layer(
    at_layer: tuple[int, int],
    network: Network,
    chip: Any,
    width: Any,
    tiling: Any,
    kept: Kept,
    state: State,
    ends: Ends,
) -> Any:
    """(where the operations of a MAC layer end, what it did); ``at_layer``: which one, and what the vector unit did last."""
    index, vector = at_layer
    record, at = network.layers[index], network.operands.first[index]
    down, across = windows_of_record(record)
    last = last_of(network, index)
    follower = follower_of(network, index, kept) if last > index else ALONE
    job = MacJob(
        loops_of_record(record), loops_of_record(tiling), tiling.order == WEIGHTS_OUTER, down, across, follower
    )
    left, right = source_of(network, at, kept, 0), Source(NONE, NONE, False, NONE)
    if network.operands.first[index + 1] - at > 1:  # two operands, as a matrix product has
        right = source_of(network, at + 1, kept, 1)
    block = block_of(last, kept, state.recalled, vector if last > index else NONE)
    return mac_operations(
        job, machine_of_chip(chip, width, record), port_of_chip(chip), left, right, block, state, ends
    )


@inner
def vector_layer(
    index: int, network: Network, chip: Any, width: Any, tiles: VectorTiles, kept: Kept, state: State, ends: Ends
) -> Any:
    """(where the operations of a vector layer end, what it did)."""
    record, at = network.layers[index], network.operands.first[index]
    operands = np.empty((network.operands.first[index + 1] - at, 5), np.int64)
    for k in range(len(operands)):
        source = source_of(network, at + k, kept, k)
        operands[k, GRID], operands[k, KEEPER] = source.grid, source.keeper
        operands[k, BOXWISE], operands[k, BITS], operands[k, RANK] = source.boxwise, network.operands.bits[at + k], 0
    job, block = VectorJob(record.steps, record.output_bits, 0), block_of(index, kept, state.recalled, NONE)
    machine = machine_of_chip(chip, width, record)
    return vector_operations(job, machine, port_of_chip(chip), tiles, operands, block, state, ends)


@borrowing
def note_counts(counts: Any, did: Did) -> None:
    """What a layer did, by name."""
    counts.operations, counts.tiles, counts.macs = did.operations, did.tiles, did.macs
    counts.weight_bytes, counts.input_bytes, counts.recalled_bytes = (
        did.weight_bytes,
        did.input_bytes,
        did.recalled_bytes,
    )
    counts.recalled_weight_bytes, counts.stored_bytes, counts.kept_bytes = (
        did.recalled_weight_bytes,
        did.stored_bytes,
        did.kept_bytes,
    )
    counts.weight_fill, counts.input_fill, counts.output_fill = did.weight_fill, did.input_fill, did.output_fill
    counts.weight_reads, counts.activation_reads, counts.sum_writes = (
        did.weight_reads,
        did.activation_reads,
        did.sum_writes,
    )
    counts.requants, counts.vector_steps, counts.stream = did.requants, did.vector_steps, did.stream
    counts.store_busy, counts.load_activations_busy, counts.load_weights_busy = (
        did.store_busy, did.load_activations_busy, did.load_weights_busy
    )  # fmt: skip
    counts.compute_busy, counts.requantize_busy, counts.vector_busy = (
        did.compute_busy,
        did.requantize_busy,
        did.vector_busy,
    )
    counts.keep_busy, counts.recall_busy = did.keep_busy, did.recall_busy


@borrowing
def note_beside(counts: Any, reader: Any, did: Did, is_kept: bool) -> None:
    """What one layer of a pass reads beside, kept on chip or not, goes to ``reader``."""
    reader.operations = did.tiles
    counts.operations -= did.tiles
    reader.input_bytes = 0 if is_kept else did.beside_bytes
    reader.recalled_bytes = did.beside_bytes - reader.input_bytes
    reader.load_activations_busy = 0 if is_kept else did.beside_busy
    reader.recall_busy = did.beside_busy - reader.load_activations_busy
    reader.output_fill = reader.beside_fill = did.beside_bytes


@borrowing
def note_pass(counts: Any, behind: Any, did: Did) -> None:
    """What the vector unit and the stores of a pass did goes to ``behind``, its last layer."""
    behind.operations, behind.tiles = behind.operations + 2 * did.tiles, did.tiles
    counts.operations -= 2 * did.tiles
    behind.output_fill += did.output_fill
    behind.stored_bytes, behind.kept_bytes = did.stored_bytes, did.kept_bytes
    behind.store_busy, behind.keep_busy = did.store_busy, did.keep_busy
    behind.vector_steps, behind.vector_busy = did.vector_steps, did.vector_busy
    counts.stored_bytes, counts.kept_bytes, counts.output_fill = 0, 0, 0
    counts.store_busy, counts.keep_busy, counts.vector_steps, counts.vector_busy = 0, 0, 0, 0


@inner
def by_queue(engine: Any, count: int, queue: Any) -> Any:
    """(operations grouped by queue, in program order; where each group begins)."""
    begin = np.zeros(ENGINES + 1, dtype=np.int64)
    for i in range(count):
        begin[queue[engine[i]] + 1] += 1
    for e in range(ENGINES):
        begin[e + 1] += begin[e]
    order, at = np.empty(count, dtype=np.int64), begin.copy()
    for i in range(count):
        e = queue[engine[i]]
        order[at[e]] = i
        at[e] += 1
    return order, begin


@inner
def division_of(network: Network, chip: Any, widths: Any, tilings: Any, tiles: Tiles) -> Any:
    """Banks of the weights of every layer in a memory that is divided for each; none where it is not."""
    layers, behind = len(network.layers) if chip.bank > 0 else 0, 0
    needs, division = np.full((layers, NEEDS), NONE, np.int64), np.empty(layers, np.int64)
    for index in range(layers):
        record, tiling, row = network.layers[index], tilings[index], needs[index]
        if behind > 0:  # in the tiles of a layer before
            behind -= 1
        elif record.kind == MAC:
            down, across = windows_of_record(record)
            job = MacJob(
                loops_of_record(record), loops_of_record(tiling), tiling.order == WEIGHTS_OUTER, down, across, ALONE
            )
            behind = record.behind
            need_of_mac(job, machine_of_chip(chip, widths[record.width], record), row)
        elif record.kind == VECTOR:
            bits = network.operands.bits[network.operands.first[index] : network.operands.first[index + 1]]
            need_of_vector(cut_of(tiles, tiling.cut).elements, bits, capacity_of_chip(chip), row)
    divide_banks(needs, chip.banks, division)
    return division


@inner
def operations_of(network: Network, chip: Any, widths: Any, tilings: Any, tiles: Tiles, kept: Kept, counts: Any) -> Any:
    """(the operations of all layers in program order, where they end); counts of each layer into ``counts``."""
    layers, ends, vector, behind = len(network.layers), Ends(0, 0, 0), NONE, 0
    state = new_state(room(network, chip, tilings, tiles), layers, tiles.all.shape.shape[1])
    division = division_of(network, chip, widths, tilings, tiles)
    for index in range(layers):
        record, tiling = network.layers[index], tilings[index]
        width = widths[record.width]
        if 0 < index < len(division) and division[index] != division[index - 1]:
            change_division(state.consumers[0])
        if behind > 0:  # in the pass of a layer before
            behind -= 1
        elif record.kind == MAC:
            ends, did = mac_layer((index, vector), network, chip, width, tiling, kept, state, ends)
            note_counts(counts[index], did)
            behind = record.behind
            if record.reader > 0:
                on_chip = kept_operand(network.operands, beside_of(network, index), kept)
                note_beside(counts[index], counts[index + record.reader], did, on_chip)
            if behind > 0:
                note_pass(counts[index], counts[index + behind], did)
                vector = ends.operations - 2  # in front of its store
        elif record.kind == VECTOR:
            ends, did = vector_layer(index, network, chip, width, cut_of(tiles, tiling.cut), kept, state, ends)
            note_counts(counts[index], did)
            vector = ends.operations - 2
    state.first[ends.operations] = ends.waits
    return state, ends.operations


@njit
def network_cycles(
    network: Network, chip: Any, widths: Any, tilings: Any, tiles: Tiles, kept: Kept, queues: Any, counts: Any
) -> int:
    """Cycles of the network, NONE where they could pass 2^62 or it makes more than MOST_OPERATIONS; what each layer did into ``counts``.

    ``queues``: of each engine, and its port. The schedule is that of :func:`accelsim.timing.schedule`.
    """
    if room(network, chip, tilings, tiles).operations > MOST_OPERATIONS:
        return NONE
    state, count = operations_of(network, chip, widths, tilings, tiles, kept, counts)
    engine, cycles, latency = state.kinds[ENGINE], state.figures[CYCLES, :count], state.figures[LATENCY, :count]
    most = 0.0
    for i in range(count):
        most += cycles[i] + latency[i]
    if most >= MAX_CYCLES:
        return NONE
    order, begin = by_queue(engine, count, queues[0])
    priority = np.empty(0 if chip.dma_queues == PORTS else count, dtype=np.int64)
    for i in range(len(priority)):
        priority[i] = engine[i]
    lanes = Queues(order, begin, PORTS, queues[1], priority)
    passes = False
    for index in range(len(network.layers)):
        passes |= network.layers[index].behind > 0
    times = Times(engine, cycles, latency, chip.streaming, passes, state.figures[LAG, :count])
    _, finish, _ = merge_schedule(lanes, times, state.first[: count + 1], state.waits)
    total, at, stored, behind = 0, 0, 0, 0
    for index in range(len(network.layers)):
        operations = counts[index].operations
        # Operations of a pass stand tile by tile; those of its first layer end with the requantizations, behind all loads.
        if behind > 0:
            behind, operations = behind - 1, 0
            total = max(total, stored if behind == 0 else 0)
        elif network.layers[index].behind > 0:
            behind, stored = network.layers[index].behind, 0
            for other in range(index + 1, index + 1 + behind):
                operations += counts[other].operations
        for _ in range(operations):
            if behind > 0 and (engine[at] == STORE or engine[at] == VECTOR_UNIT or engine[at] == KEEP):
                stored = max(stored, finish[at])
            else:
                total = max(total, finish[at])
            at += 1
        counts[index].finish = total
    return int(total)
