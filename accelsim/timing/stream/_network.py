"""Numba kernel of a whole network on a whole machine: its operations, their schedule, and what every layer did."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.hardware import Engine
from accelsim.numba_cache import inner, njit
from accelsim.program.compiled import loads_of, nest_of
from accelsim.timing._merge import merge_schedule as _tiered_merge
from accelsim.timing.stream._mac import mac_operations
from accelsim.timing.stream._state import Ends, Grids, State, Work, loops_of_record
from accelsim.timing.stream._vector import vector_operations
from accelsim.timing.stream.records import MAC, MOST_OPERATIONS, NONE, VECTOR, Kept, Network, Tiles

ENGINES = len(Engine)
PORTS = 3
"""Engines at the DRAM port, the first ones."""
MOST_WAITS = 4
"""Of one operation of a MAC layer."""
MAX_CYCLES = 2.0**61
merge_schedule: Any = _tiered_merge.compiled  # type: ignore[attr-defined]
"""The scheduler as compiled functions call it."""


@inner
def room(network: Network, tilings: Any, tiles: Tiles) -> Ends:
    """The most operations, waits and stores that the network makes."""
    operations, waits, stores = 0, 0, 0
    for index in range(len(network.layers)):
        record, tiling = network.layers[index], tilings[index]
        if record.kind == MAC:
            nest = nest_of(loops_of_record(record), loops_of_record(tiling))
            weights, inputs = loads_of(tiling.order, nest)
            finished = nest.spatial * nest.channels
            operations += nest.computes + weights + inputs + 2 * finished
            waits += MOST_WAITS * (nest.computes + weights + inputs + 2 * finished)
            stores += finished
        elif record.kind == VECTOR:
            cut = tiling.cut
            count = tiles.first[cut + 1] - tiles.first[cut]
            inputs = network.operands.first[index + 1] - network.operands.first[index]
            operations += (inputs + 2) * count
            waits += (3 * inputs + MOST_WAITS) * count
            stores += count
    return Ends(operations, waits, stores)


@inner
def new_grids(layers: int, rank: int) -> Grids:
    """Nothing stored yet."""
    return Grids(
        np.zeros(layers, np.int64), np.zeros(layers, np.int64), np.ones((layers, rank), np.int64),
        np.ones((layers, rank), np.int64), np.ones((layers, rank), np.int64), np.zeros((layers, rank), np.int64),
    )  # fmt: skip


@inner
def new_work(most: Ends, layers: int) -> Work:
    """Room for so many operations."""
    return Work(
        np.empty(most.operations, np.int8), np.empty(most.operations, np.int64), np.empty(most.operations, np.int64),
        np.empty(most.operations + 1, np.int64), np.empty(most.waits + 1, np.int64), np.full((4, 2), NONE, np.int64),
        np.empty(most.stores, np.int64), np.full(layers, NONE, np.int64),
    )  # fmt: skip


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
def operations_of(network: Network, chip: Any, widths: Any, tilings: Any, tiles: Tiles, kept: Kept, counts: Any) -> Any:
    """(the operations of all layers in program order, their number); counts of each layer into ``counts``."""
    layers, ends = len(network.layers), Ends(0, 0, 0)
    work = new_work(room(network, tilings, tiles), layers)
    state = State(kept, new_grids(layers, tiles.shape.shape[1]), work)
    for index in range(layers):
        record, tiling = network.layers[index], tilings[index]
        if record.kind == MAC:
            ends = mac_operations(index, network, chip, widths[record.width], tiling, state, ends, counts[index])
        elif record.kind == VECTOR:
            ends = vector_operations(index, network, chip, tiles, tiling.cut, state, ends, counts[index])
    work.first[ends.operations] = ends.waits
    return work, ends.operations


@njit
def network_cycles(
    network: Network, chip: Any, widths: Any, tilings: Any, tiles: Tiles, kept: Kept, queue: Any, counts: Any
) -> int:
    """Cycles of the network, NONE where they could pass 2^62 or it makes more than MOST_OPERATIONS; what each layer did into ``counts``.

    ``queue``: that of each engine. The schedule is that of :func:`accelsim.timing.schedule`.
    """
    if room(network, tilings, tiles).operations > MOST_OPERATIONS:
        return NONE
    work, count = operations_of(network, chip, widths, tilings, tiles, kept, counts)
    cycles, latency = work.cycles[:count], work.latency[:count]
    most = 0.0
    for i in range(count):
        most += cycles[i] + latency[i]
    if most >= MAX_CYCLES:
        return NONE
    order, begin = by_queue(work.engine, count, queue)
    priority = np.empty(0 if chip.dma_queues == PORTS else count, dtype=np.int64)
    for i in range(len(priority)):
        priority[i] = work.engine[i]
    _, finish, _ = merge_schedule(order, begin, cycles, latency, work.first[: count + 1], work.waits, PORTS, priority)
    total, at = 0, 0
    for index in range(len(network.layers)):
        for _ in range(counts[index].operations):
            total = max(total, finish[at])
            at += 1
        counts[index].finish = total
    return int(total)
