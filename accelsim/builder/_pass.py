"""Numba kernels of a pass: what follows a MAC layer's requantizer on the fly, tile by tile."""

from __future__ import annotations

from typing import Any, NamedTuple

from accelsim.builder._emit import (
    LOAD_ACTIVATIONS,
    ON_THE_FLY,
    OUTPUTS,
    RECALL,
    VECTOR_UNIT,
    Region,
    cover,
    moved,
    note,
    put,
    tiles_before,
)
from accelsim.builder.records import LAG, NONE, TIMES, Follower, Port, State
from accelsim.hardware import Dma, Machine, Unit
from accelsim.hardware.compiled import last_write_cycles, packed_bytes, pass_lag, unit_cycles, written_bytes
from accelsim.numba_cache import borrowing


class Beside(NamedTuple):
    """The load of what a pass reads beside a tile: its operation (NONE: there is none), where the waits end, its bytes and cycles."""

    operation: int
    waits: int
    size: int
    cycles: int


@borrowing
def side_of(follower: Follower, axis: int, low: Any, high: Any) -> tuple[int, int]:
    """First and past-the-last element along an axis of the output that the operand has under ``low`` to ``high``."""
    return (0, 1) if follower.stretched >> axis & 1 else (low[axis], high[axis])


@borrowing
def load_beside(
    follower: Follower, machine: Machine, region: Region, free: int, box: Any, state: State, at: Any
) -> Beside:
    """Load what a layer that follows reads under ``box`` (corners of 4 axes) into the slot of the tile's output, of which ``free`` lets
    go. ``at``: this operation, and where the waits end."""
    (i, w), (low, high), grids, operand = at, box, state.grids, follower.operand
    apart, size = 4 - follower.rank, 1
    for a in range(apart, 4):
        begin, end = side_of(follower, a, low, high)
        size *= end - begin
    size = packed_bytes(size, follower.bits)
    is_kept, stream = operand.keeper != NONE, machine.streams.activations
    cycles = moved(stream, machine.resident, is_kept, size)
    put(
        state.kinds,
        state.figures,
        i,
        RECALL if is_kept else LOAD_ACTIVATIONS,
        cycles,
        0 if is_kept else stream.latency_cycles,
    )
    state.first[i] = w
    if state.figures.shape[0] > TIMES:
        note(state.kinds, state.figures, i, Region(OUTPUTS, region.offset, size), size, operand.number, 0)
        for a in range(apart, 4):
            begin, end = side_of(follower, a, low, high)
            cover(state.boxes, i, a - apart, begin, end)
        if is_kept:
            state.earlier[i] = state.recalled[operand.keeper]
    if is_kept:
        state.recalled[operand.keeper] = i
    state.waits[w], w = free, w + int(free != NONE)
    grid = operand.grid
    while grid != NONE:
        place = 0 if operand.boxwise else grids.count[grid] - 1
        if operand.boxwise:
            for a in range(apart, 4):
                begin, end = side_of(follower, a, low, high)
                place += tiles_before(grids, grid, a - apart, begin, end)
        if place >= 0:
            state.waits[w], w = state.stores[grids.first[grid] + place], w + 1
        grid = grids.next[grid]
    return Beside(i, w, size, cycles)


@borrowing
def vector_of_pass(follower: Follower, port: Port, volume: int, size: int) -> int:
    """Cycles of the vector unit for ``volume`` outputs, of whose operand ``size`` bytes come out of the output buffer."""
    return int(unit_cycles(Unit(port.vector.lanes, port.output.width), volume * follower.steps, size))


@borrowing
def pooled_write(dma: Dma, channels: int, bits: int) -> int:
    """Cycles of a write of the last windows of so many channels, which end together: a store that streams ends so long behind them."""
    return int(last_write_cycles(dma, max(dma.write, written_bytes(dma, 1, channels, bits))))


@borrowing
def put_vector(
    follower: Follower, machine: Machine, region: Region, volume: int, cycles: int, beside: int, state: State, at: Any
) -> int:
    """The vector unit's work on what the requantizer, the operation before, hands on; where the waits end."""
    i, w = at
    put(state.kinds, state.figures, i, VECTOR_UNIT, cycles, 0)
    state.figures[LAG, i], state.first[i] = pass_lag(machine.requantizer, volume), w
    state.waits[w], w = i - 1, w + 1
    state.waits[w], w = beside, w + int(beside != NONE)
    if state.figures.shape[0] > TIMES:
        note(state.kinds, state.figures, i, region, volume * follower.steps, NONE, 1 + int(beside != NONE))
        note(state.kinds, state.figures, i - 1, Region(ON_THE_FLY, 0, 0), volume, NONE, 1)
    return int(w)
