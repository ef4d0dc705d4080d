"""Numba kernel of the tile operations of one block of a vector layer: load every operand, run the vector unit, store."""

from __future__ import annotations

from typing import Any

from accelsim.builder._emit import (
    ACTIVATIONS,
    DRAM,
    KEEP,
    LOAD_ACTIVATIONS,
    OUTPUTS,
    RECALL,
    RESIDENT,
    STORE,
    VECTOR_UNIT,
    Region,
    behind,
    cover,
    filled,
    freed,
    moved,
    note,
    offset_of,
    put,
    tiles_before,
    wait,
)
from accelsim.builder.records import (
    BITS,
    BOXWISE,
    BUS_BYTES,
    GRID,
    KEEPER,
    LAG,
    NONE,
    RANK,
    TIMES,
    Block,
    Did,
    Ends,
    Grids,
    Port,
    State,
    VectorJob,
    VectorTiles,
)
from accelsim.hardware import Machine
from accelsim.hardware.compiled import moved_no_faster, packed_bytes, parts, unit_cycles, written_bytes
from accelsim.numba_cache import borrowing, tiered

_STEPS = 10
"""Interpreted, of ten microseconds each, per tile."""


@borrowing
def _note_grid(grids: Grids, grid: int, tiles: VectorTiles) -> None:
    """How the block stores its output: its tiles in row-major order."""
    count = 1
    for a in range(len(tiles.shape) - 1, -1, -1):
        size, tile = tiles.shape[a], tiles.tile[a]
        grids.begin[grid, a] = tiles.out_low[0, a]
        grids.end[grid, a] = tiles.out_low[0, a] + size
        grids.unit[grid, a], grids.tile[grid, a] = size, tile
        grids.per_unit[grid, a] = parts(size, tile)
        grids.stride[grid, a] = count
        count *= grids.per_unit[grid, a]
    grids.count[grid], grids.next[grid] = count, NONE


@borrowing
def vector_operations(
    job: VectorJob,
    machine: Machine,
    port: Port,
    tiles: VectorTiles,
    operands: Any,
    block: Block,
    state: State,
    ends: Ends,
) -> tuple[Ends, Did]:
    """Write the operations of a block behind those before it; (where they end, what they did).

    Operands stand side by side in one slot of the activation memory, in input order. A tile that reads nothing (all padding) still
    takes its turn of the slot, and waits for it itself.
    """
    streams, resident, whole = machine.streams, machine.resident, state.figures.shape[0] > TIMES
    grids, consumers, fills = state.grids, state.consumers[block.core], state.fills[block.core]
    kinds, figures, boxes, first, waits = state.kinds, state.figures, state.boxes, state.first, state.waits
    stores, recalled, earlier = state.stores, state.recalled, state.earlier
    _note_grid(grids, block.grid, tiles)
    grids.first[block.grid] = ends.stores
    outputs_kept, free_place = block.address != NONE, block.freed
    count, inputs = len(tiles.volume), len(operands)
    i, w, stored = ends
    input_bytes, input_fill, recalled_bytes, output_fill, steps = 0, 0, 0, 0, 0
    busy_loads, busy_recalls, busy_vector, busy_stores = 0, 0, 0, 0
    for t in range(count):
        free, loads, read_bytes = filled(consumers, ACTIVATIONS, machine.depth.activations), i, 0
        also = behind(consumers, ACTIVATIONS)
        offset = offset_of(fills, ACTIVATIONS, port.slots.activations, machine.capacity.activations)
        for k in range(inputs):
            row = k * count + t
            size = packed_bytes(tiles.elements[row], operands[k, BITS])
            read_bytes += size
            if tiles.elements[row] == 0:
                continue
            keeper, boxwise = operands[k, KEEPER], operands[k, BOXWISE] != 0
            cycles = moved(streams.activations, resident, keeper != NONE, size)
            engine, latency = (RECALL, 0) if keeper != NONE else (LOAD_ACTIVATIONS, streams.activations.latency_cycles)
            put(kinds, figures, i, engine, cycles, latency)
            first[i] = w
            if whole:
                note(kinds, figures, i, Region(ACTIVATIONS, offset, size), size, k, 0)
                for a in range(operands[k, RANK]):
                    cover(boxes, i, a, tiles.low[row, a], tiles.high[row, a])
            w = wait(waits, wait(waits, w, free), also)
            grid = operands[k, GRID]
            while grid != NONE:
                place = 0 if boxwise else grids.count[grid] - 1
                if boxwise:
                    for a in range(tiles.high.shape[1]):
                        place += tiles_before(grids, grid, a, tiles.low[row, a], tiles.high[row, a])
                if place >= 0:
                    w = wait(waits, w, stores[grids.first[grid] + place])
                grid = grids.next[grid]
            if keeper != NONE:
                if whole:
                    earlier[i] = recalled[keeper]
                recalled[keeper] = i
                busy_recalls += cycles
                recalled_bytes += size
            else:
                busy_loads += cycles
                input_bytes += size
            input_fill += size
            offset += size
            i += 1
        work = tiles.volume[t] * job.steps
        cycles = unit_cycles(port.vector, work, read_bytes)
        put(kinds, figures, i, VECTOR_UNIT, cycles, 0)
        figures[LAG, i], first[i] = 0, w
        for load in range(loads, i):
            w = wait(waits, w, load)
        if loads == i:
            w = wait(waits, wait(waits, w, free), also)
        size = packed_bytes(tiles.volume[t], job.output_bits)
        w = wait(waits, w, filled(consumers, OUTPUTS, machine.depth.outputs))
        offset = offset_of(fills, OUTPUTS, port.slots.outputs, machine.capacity.outputs)
        if whole:
            note(kinds, figures, i, Region(OUTPUTS, offset, size), work, NONE, i - loads)
        consumers[ACTIVATIONS, 0] = i
        busy_vector += cycles
        steps += work
        i += 1
        written = size
        if not outputs_kept and streams.outputs.write > 1:
            channels = tiles.out_high[t, job.rank - 1] - tiles.out_low[t, job.rank - 1]
            written = written_bytes(streams.outputs, tiles.volume[t] // channels, channels, job.output_bits)
        cycles = moved_no_faster(port.output, moved(streams.outputs, resident, outputs_kept, written), size)
        engine, latency = (KEEP, 0) if outputs_kept else (STORE, streams.outputs.latency_cycles)
        put(kinds, figures, i, engine, cycles, latency)
        first[i] = w
        w = wait(waits, w, i - 1)
        if block.window > 0:
            high = tiles.out_high[t, block.axis]
            free_place = max(free_place, freed(block, high, recalled[block.keeper], boxes, earlier))
        w = wait(waits, w, free_place)
        free_place = NONE  # what stood in the place before holds up the first store alone
        if whole:
            memory = RESIDENT if outputs_kept else DRAM
            note(kinds, figures, i, Region(memory, max(block.address, 0), size), size, NONE, 1)
            if not outputs_kept:
                figures[BUS_BYTES, i] = written
            for a in range(job.rank):
                cover(boxes, i - 1, a, tiles.out_low[t, a], tiles.out_high[t, a])
                cover(boxes, i, a, tiles.out_low[t, a], tiles.out_high[t, a])
        busy_stores += cycles
        output_fill += size
        consumers[OUTPUTS, 0] = stores[stored] = i
        stored += 1
        i += 1
    kept_bytes, busy_keeps = (output_fill, busy_stores) if outputs_kept else (0, 0)
    return Ends(i, w, stored), Did(
        i - ends.operations, count, 0, 0, input_bytes, recalled_bytes, 0, output_fill - kept_bytes, kept_bytes,
        0, input_fill, output_fill, 0, 0, 0, 0, steps, 0,
        busy_stores - busy_keeps, busy_loads, 0, 0, 0, busy_vector, busy_keeps, busy_recalls, 0, 0,
    )  # fmt: skip


@tiered(lambda job, machine, port, tiles, operands, *rest: _STEPS * len(tiles.volume))
def vector_block(
    job: VectorJob,
    machine: Machine,
    port: Port,
    tiles: VectorTiles,
    operands: Any,
    block: Block,
    state: State,
    ends: Ends,
) -> Ends:
    """:func:`vector_operations` for Python: where they end."""
    end, _ = vector_operations(job, machine, port, tiles, operands, block, state, ends)
    return end
