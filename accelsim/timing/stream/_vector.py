"""Numba kernel of the tile operations of one vector layer, in program order: the rules of :mod:`accelsim.builder.vector_layer`."""

from __future__ import annotations

from typing import Any

from accelsim.hardware import Unit
from accelsim.hardware.compiled import moved_no_faster, packed_bytes, parts, unit_cycles
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
    digit,
    dma_of_chip,
    filled,
    freed_places,
    moved,
    operand_of,
    put,
    wait,
    written,
)
from accelsim.timing.stream.records import NONE, Network, Tiles


@inner
def _note_grid(grids: Grids, index: int, tiles: Tiles, cut: int) -> None:
    """How the layer stores its output: its tiles in row-major order."""
    count = 1
    for a in range(tiles.shape.shape[1] - 1, -1, -1):
        size, tile = tiles.shape[cut, a], tiles.tile[cut, a]
        grids.unit[index, a], grids.tile[index, a] = size, tile
        grids.per_unit[index, a] = parts(size, tile)
        grids.stride[index, a] = count
        count *= grids.per_unit[index, a]
    grids.count[index] = count


@inner
def _before(grids: Grids, source: int, tiles: Tiles, row: int) -> int:
    """Tiles of ``source`` before the last one that a box overlaps."""
    place = 0
    for a in range(tiles.high.shape[1]):
        place += digit(grids, source, a, tiles.high[row, a] - 1)
    return place


@inner
def vector_operations(
    index: int, network: Network, chip: Any, tiles: Tiles, cut: int, state: State, ends: Ends, counts: Any
) -> Ends:
    """Write the operations of layer ``index`` behind those before it, and what they did into ``counts``."""
    record, operands, dma, work = network.layers[index], network.operands, dma_of_chip(chip), state.work
    at, inputs, outputs_kept = (
        operands.first[index],
        operands.first[index + 1] - operands.first[index],
        state.kept.outputs[index],
    )
    freed = freed_places(state.kept, work.recalled, index) if outputs_kept else NONE
    _note_grid(state.grids, index, tiles, cut)
    state.grids.first[index] = ends.stores
    i, w, stored = ends
    begin, count = tiles.first[cut], tiles.first[cut + 1] - tiles.first[cut]
    for t in range(count):
        free, loads, read_bytes = filled(work, ACTIVATIONS, chip.activation_depth), i, 0
        for k in range(inputs):
            row = tiles.reads[cut] + k * count + t
            size = packed_bytes(tiles.elements[row], operands.bits[at + k])
            read_bytes += size
            if tiles.elements[row] == 0:
                continue
            operand = operand_of(network, at + k, state)
            is_kept = operand.keeper != NONE
            cycles = moved(chip, dma, is_kept, size)
            engine, latency = (RECALL, 0) if is_kept else (LOAD_ACTIVATIONS, dma.latency_cycles)
            put(work, i, w, engine, cycles, latency)
            place = _before(state.grids, operand.under, tiles, row) if operand.under != NONE else 0
            w = wait(work, wait(work, w, free), written(operand, state, place))
            if is_kept:
                work.recalled[operand.keeper] = i
                counts.recall_busy += cycles
                counts.recalled_bytes += size
            else:
                counts.load_activations_busy += cycles
                counts.input_bytes += size
            counts.input_fill += size
            i += 1
        steps = tiles.volume[begin + t] * record.steps
        cycles = unit_cycles(Unit(chip.vector_lanes, chip.activation_width), steps, read_bytes)
        put(work, i, w, VECTOR_UNIT, cycles, 0)
        if loads == i:  # nothing but padding: it takes its turn of the slot all the same
            w = wait(work, w, free)
        for load in range(loads, i):
            w = wait(work, w, load)
        w = wait(work, w, filled(work, OUTPUTS, chip.output_depth))
        work.consumers[ACTIVATIONS, 0] = i
        counts.vector_busy += cycles
        counts.vector_steps += steps
        i += 1
        size = packed_bytes(tiles.volume[begin + t], record.output_bits)
        cycles = moved_no_faster(Unit(1, chip.output_width), moved(chip, dma, outputs_kept, size), size)
        engine, latency = (KEEP, 0) if outputs_kept else (STORE, dma.latency_cycles)
        put(work, i, w, engine, cycles, latency)
        w = wait(work, wait(work, w, freed if t == 0 else NONE), i - 1)
        if outputs_kept:
            counts.keep_busy += cycles
            counts.kept_bytes += size
        else:
            counts.store_busy += cycles
            counts.stored_bytes += size
        counts.output_fill += size
        work.consumers[OUTPUTS, 0] = work.stores[stored] = i
        stored += 1
        i += 1
    counts.operations, counts.tiles = i - ends.operations, count
    return Ends(i, w, stored)
