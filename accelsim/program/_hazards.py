"""Numba kernel of the hazard check: vector clocks over queues (an engine of a core), live regions per memory of a core."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import njit
from accelsim.program.kinds import Engine

ENGINES = len(Engine)
LIVE = 512


@njit
def _clock_of(clock: Any, i: int, previous: int, queue: Any, start: Any, dependencies: Any) -> None:
    """Everything known to have finished when operation ``i`` starts, one operation number per queue."""
    for e in range(clock.shape[1]):
        clock[i, e] = clock[previous, e] if previous >= 0 else -1
    for k in range(start[i], start[i + 1]):
        d = dependencies[k]
        for e in range(clock.shape[1]):
            clock[i, e] = max(clock[i, e], clock[d, e])
        clock[i, queue[d]] = max(clock[i, queue[d]], d)


@njit
def find_hazard(
    queues: int,
    queue: Any,
    engine: Any,
    memories: int,
    memory: Any,
    offset: Any,
    extent: Any,
    sources: Any,
    start: Any,
    dependencies: Any,
    wait_start: Any,
    waits: Any,
    stores_needed: Any,
    recalls_needed: Any,
) -> tuple[int, int, int]:
    """(kind, operation, other operation) of the first hazard in program order; kind 0 is none.

    ``queue`` below ``queues`` is each operation's in-order queue, one per engine of a core, and ``memory`` below ``memories`` the
    memory it writes a tile to, -1 where it writes elsewhere. ``stores_needed`` (operations, cores) are the last stores of each
    core that it must wait for. ``dependencies`` say what it reads, ``waits`` what it waits for; they are not the same on
    engines that pipeline operations.

    1: a source's region does not hold its data; 2: overwrites a region that may still be written; 3: overwrites one that may
    still be read; 4: reads a source it does not wait for; 5: loads (recalls) what may not have been stored
    (kept); 6: keeps a tensor where an earlier one may still be read.
    """
    count, pipelined = len(queue), len(waits) < len(dependencies)
    clock = np.full((count, queues), -1, dtype=np.int32)
    previous = np.full(queues, -1, dtype=np.int64)
    live = np.full((memories, LIVE), -1, dtype=np.int64)  # writer of each live region, per memory
    readers = np.full(
        (count, ENGINES), -1, dtype=np.int32
    )  # last reader of each operation's result, per engine of its core
    for i in range(count):
        _clock_of(clock, i, previous[queue[i]], queue, wait_start, waits)
        previous[queue[i]] = i
        for core in range(stores_needed.shape[1]):
            needed = stores_needed[i, core]
            if needed >= 0 and clock[i, queue[needed]] < needed:
                return 5, i, needed
        needed = recalls_needed[i]
        if needed >= 0 and clock[i, queue[needed]] < needed:
            return 6, i, needed
        for k in range(start[i], start[i] + sources[i]):
            source = dependencies[k]
            follows = pipelined and queue[source] == queue[i]
            if clock[i, queue[source]] < source and not follows:
                return 4, i, source
            if extent[source] > 0 and not _is_live(live, memory[source], source):
                return 1, i, source
            readers[source, engine[i]] = i
        if memory[i] < 0 or extent[i] == 0:
            continue
        kind, other = _claim(live, readers, clock, queue, memory, offset, extent, i)
        if kind:
            return kind, i, other
    return 0, -1, -1


@njit
def _is_live(live: Any, memory: int, writer: int) -> bool:
    return bool(np.any(live[memory] == writer))


@njit
def _claim(
    live: Any, readers: Any, clock: Any, queue: Any, memory: Any, offset: Any, extent: Any, i: int
) -> tuple[int, int]:
    """Make operation ``i`` the owner of its region; complain where an earlier owner or its readers may still be busy."""
    free = -1
    for slot in range(LIVE):
        owner = live[memory[i], slot]
        if owner < 0:
            free = slot if free < 0 else free
            continue
        if offset[owner] >= offset[i] + extent[i] or offset[i] >= offset[owner] + extent[owner]:
            continue
        if queue[owner] != queue[i] and clock[i, queue[owner]] < owner:
            return 2, owner
        for e in range(ENGINES):
            reader = readers[owner, e]
            if reader >= 0 and reader != i and clock[i, queue[reader]] < reader:
                return 3, reader
        live[memory[i], slot] = -1
        free = slot
    live[memory[i], free] = i
    return 0, -1


@njit
def last_overlapping(needed: Any, loads: Any, stores: Any, lo: Any, hi: Any, rank: int) -> None:
    """Write into ``needed`` the last of ``stores`` whose box overlaps each load's; an empty box needs none."""
    for load in loads:
        for s in range(len(stores) - 1, -1, -1):
            store = stores[s]
            overlaps = True
            for axis in range(rank):
                if max(lo[load, axis], lo[store, axis]) >= min(hi[load, axis], hi[store, axis]):
                    overlaps = False
                    break
            if overlaps:
                needed[load] = store
                break
