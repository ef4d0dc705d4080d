"""Numba kernels that MAC and vector layers share: what an operation waits for, where it writes to."""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.builder.records import (
    AMOUNT,
    BEHIND,
    BUS_BYTES,
    CYCLES,
    ENGINE,
    EXTENT,
    FILLS,
    HI,
    LATENCY,
    LO,
    MEMORY,
    NONE,
    OFFSET,
    OPERAND,
    SOURCES,
    Block,
    Grids,
)
from accelsim.hardware import Dma, Engine, Memory, Unit
from accelsim.hardware.compiled import transfer_cycles, unit_cycles
from accelsim.numba_cache import borrowing, njit

STORE, LOAD_ACTIVATIONS, LOAD_WEIGHTS, COMPUTE, REQUANTIZE, VECTOR_UNIT, KEEP, RECALL = (int(e) for e in Engine)
DRAM, RESIDENT, ON_THE_FLY = int(Memory.DRAM), int(Memory.RESIDENT), int(Memory.ON_THE_FLY)
WEIGHTS, ACTIVATIONS, ACCUMULATORS, OUTPUTS = (
    int(m) for m in (Memory.WEIGHTS, Memory.ACTIVATIONS, Memory.ACCUMULATORS, Memory.OUTPUTS)
)
NOWHERE = -(2**60)
"""Tiles before a box along an axis where the grid has none under it: less than all axes can make up for."""


class Region(NamedTuple):
    """``extent`` bytes at ``offset`` of ``memory``."""

    memory: int
    offset: int
    extent: int


@borrowing
def tiles_before(grids: Grids, grid: int, axis: int, low: int, high: int) -> int:
    """Tiles of ``grid`` before the last one that ``low`` to ``high`` along ``axis`` meets."""
    low, last = max(low, grids.begin[grid, axis]), min(high, grids.end[grid, axis]) - 1
    if low > last:
        return NOWHERE
    last -= grids.begin[grid, axis]
    unit = grids.unit[grid, axis]
    place = last // unit * grids.per_unit[grid, axis] + last % unit // grids.tile[grid, axis]
    return int(place * grids.stride[grid, axis])


@borrowing
def linked(grids: Grids, grid: int) -> int:
    """Grids of a tensor from ``grid`` on."""
    count = 0
    while grid != NONE:
        count, grid = count + 1, grids.next[grid]
    return count


@njit(inline="always")
def put(kinds: Any, figures: Any, i: int, engine: int, cycles: int, latency: int) -> None:
    """Operation ``i``."""
    kinds[ENGINE, i], figures[CYCLES, i], figures[LATENCY, i] = engine, cycles, latency


@njit(inline="always")
def note(kinds: Any, figures: Any, i: int, region: Region, amount: int, operand: int, sources: int) -> None:
    """What else a Program says of operation ``i``; the DRAM's bus moves the bytes that DRAM engines are asked for."""
    kinds[MEMORY, i], kinds[OPERAND, i], kinds[SOURCES, i] = region.memory, operand, sources
    figures[AMOUNT, i], figures[OFFSET, i], figures[EXTENT, i] = amount, region.offset, region.extent
    if kinds[ENGINE, i] <= LOAD_WEIGHTS:
        figures[BUS_BYTES, i] = amount


@njit(inline="always")
def cover(boxes: Any, i: int, axis: int, low: int, high: int) -> None:
    """The box of operation ``i`` along an axis."""
    boxes[LO, i, axis], boxes[HI, i, axis] = low, high


@njit(inline="always")
def wait(waits: Any, w: int, on: int) -> int:
    """Where the waits end once that for operation ``on`` is noted; NONE is none."""
    waits[w] = on
    return w + int(on != NONE)


@njit(inline="always")
def filled(consumers: Any, memory: int, depth: int) -> int:
    """The operation that frees the slot which the next fill of ``memory`` takes, of so many at work at once; NONE: it was never used.

    From here on ``consumers[memory, 0]`` is whoever reads the new fill.
    """
    free = int(consumers[memory, depth - 1])
    for back in range(max(depth, 2) - 1, 0, -1):
        consumers[memory, back] = consumers[memory, back - 1]
    return free


@njit(inline="always")
def behind(consumers: Any, memory: int) -> int:
    """An operation for which this fill waits besides, since shared banks were divided anew; NONE for most."""
    if consumers[memory, FILLS] == 0:
        return NONE
    consumers[memory, FILLS] -= 1
    return int(consumers[memory, BEHIND])


@njit(inline="always")
def offset_of(fills: Any, memory: int, slots: int, capacity: int) -> int:
    """Where the slot whose turn it is begins, which is taken."""
    offset = int(fills[memory] % slots * capacity)
    fills[memory] += 1
    return offset


@njit(inline="always")
def moved(dma: Dma, resident: Unit, is_kept: bool, size: int) -> int:
    """Cycles of a load or store of ``size`` bytes, from or to DRAM or a place on chip."""
    if is_kept:
        return int(unit_cycles(resident, 1, size))
    return int(transfer_cycles(dma, 1, size, 0))


@borrowing
def freed(block: Block, high: int, recall: int, boxes: Any, earlier: Any) -> int:
    """The last RECALL, from ``recall`` back, of rows in whose place of the window rows up to ``high`` go; NONE where none did."""
    while recall != NONE and boxes[LO, recall, block.axis] >= high - block.window:
        recall = earlier[recall]
    return int(recall)
