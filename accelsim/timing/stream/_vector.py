"""Numba kernel of the tile operations of one vector layer, in program order: the rules of :mod:`accelsim.builder.vector_layer`."""

from __future__ import annotations

from typing import Any

from accelsim.hardware import Unit
from accelsim.hardware.compiled import moved_no_faster, transfer_cycles, unit_cycles
from accelsim.numba_cache import inner
from accelsim.timing.stream._state import (
    ACTIVATIONS,
    KEEP,
    LOAD_ACTIVATIONS,
    OUTPUTS,
    RECALL,
    STORE,
    VECTOR_UNIT,
    Ends,
    Grids,
    State,
    Work,
    digit,
    dma_of_chip,
    freed_places,
    last_store,
    source_of,
)
from accelsim.timing.stream.records import NONE, Network, Tiles


@inner
def _note_grid(grids: Grids, index: int, tiles: Tiles, cut: int) -> None:
    """How the layer stores its output: its tiles in row-major order."""
    count = 1
    for a in range(tiles.shape.shape[1] - 1, -1, -1):
        size, tile = tiles.shape[cut, a], tiles.tile[cut, a]
        grids.unit[index, a], grids.tile[index, a] = size, tile
        grids.per_unit[index, a] = (size + tile - 1) // tile
        grids.stride[index, a] = count
        count *= grids.per_unit[index, a]
    grids.count[index] = count


@inner
def _under(grids: Grids, work: Work, source: int, tiles: Tiles, row: int) -> int:
    """The last store of ``source`` that a box overlaps."""
    place = 0
    for a in range(tiles.high.shape[1]):
        place += digit(grids, source, a, tiles.high[row, a] - 1)
    return int(work.stores[grids.first[source] + place])


@inner
def vector_operations(
    index: int, network: Network, chip: Any, tiles: Tiles, cut: int, state: State, ends: Ends, counts: Any
) -> Ends:
    """Write the operations of layer ``index`` behind those before it, and what they did into ``counts``."""
    kept, grids, work = state
    record, operands, dma = network.layers[index], network.operands, dma_of_chip(chip)
    resident, output_port = Unit(1, chip.activation_width), Unit(1, chip.output_width)
    vector, outputs_kept = Unit(chip.vector_lanes, chip.activation_width), kept.outputs[index]
    at, inputs = operands.first[index], operands.first[index + 1] - operands.first[index]
    _note_grid(grids, index, tiles, cut)
    grids.first[index] = ends.stores
    engine, cycles, latency, first, waits, consumers = (
        work.engine, work.cycles, work.latency, work.first, work.waits, work.consumers
    )  # fmt: skip
    i, w, stored = ends
    free_places = freed_places(kept, work.recalled, index) if outputs_kept else NONE
    begin, count = tiles.first[cut], tiles.first[cut + 1] - tiles.first[cut]
    for t in range(count):
        free = consumers[ACTIVATIONS, chip.activation_depth - 1]
        consumers[ACTIVATIONS, 1] = consumers[ACTIVATIONS, 0]
        loads, read_bytes = i, 0
        for k in range(inputs):
            row = tiles.reads[cut] + k * count + t
            elements = tiles.elements[row]
            size = (elements * operands.bits[at + k] + 7) // 8
            read_bytes += size
            if elements == 0:
                continue
            source, under, from_chip = source_of(operands, at + k, kept)
            first[i] = w
            if from_chip:
                engine[i], cycles[i], latency[i] = RECALL, unit_cycles(resident, 1, size), 0
                counts.recall_busy += cycles[i]
                counts.recalled_bytes += size
                work.recalled[source] = i
            else:
                engine[i], cycles[i], latency[i] = (
                    LOAD_ACTIVATIONS,
                    transfer_cycles(dma, 1, size, 0),
                    dma.latency_cycles,
                )
                counts.load_activations_busy += cycles[i]
                counts.input_bytes += size
            counts.input_fill += size
            if free != NONE:
                waits[w] = free
                w += 1
            if source != NONE:
                waits[w] = _under(grids, work, source, tiles, row) if under != NONE else last_store(grids, work, source)
                w += 1
            i += 1
        work_steps = tiles.volume[begin + t] * record.steps
        engine[i], latency[i], first[i] = VECTOR_UNIT, 0, w
        cycles[i] = unit_cycles(vector, work_steps, read_bytes)
        if loads == i and free != NONE:
            waits[w] = free
            w += 1
        for load in range(loads, i):
            waits[w] = load
            w += 1
        free = consumers[OUTPUTS, chip.output_depth - 1]
        consumers[OUTPUTS, 1] = consumers[OUTPUTS, 0]
        if free != NONE:
            waits[w] = free
            w += 1
        consumers[ACTIVATIONS, 0] = i
        counts.vector_busy += cycles[i]
        counts.vector_steps += work_steps
        i += 1
        size = (tiles.volume[begin + t] * record.output_bits + 7) // 8
        moved = unit_cycles(resident, 1, size) if outputs_kept else transfer_cycles(dma, 1, size, 0)
        first[i], cycles[i] = w, moved_no_faster(output_port, moved, size)
        if outputs_kept:
            engine[i], latency[i] = KEEP, 0
            counts.keep_busy += cycles[i]
            counts.kept_bytes += size
        else:
            engine[i], latency[i] = STORE, dma.latency_cycles
            counts.store_busy += cycles[i]
            counts.stored_bytes += size
        if t == 0 and free_places != NONE:
            waits[w] = free_places
            w += 1
        waits[w] = i - 1
        w += 1
        counts.output_fill += size
        consumers[OUTPUTS, 0] = work.stores[stored] = i
        stored += 1
        i += 1
    counts.operations, counts.tiles = i - ends.operations, count
    return Ends(i, w, stored)
