"""Numba kernel of the hazard check: vector clocks over queues, live regions per memory of a core."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.hardware import FREED, Engine
from accelsim.numba_cache import njit, tiered

ENGINES = len(Engine)
LIVE = 512
"""Most pieces of regions that a memory is tracked in."""
OWNER, LOW, HIGH, WHOLE = range(4)
"""Of a piece: the operation that wrote it, where it begins and ends, and whether it is all that was written."""


@njit(inline="always")
def _clocks_of(
    clock: Any, freed: Any, i: int, previous: int, waits: Any, engine: Any, queue: Any, streamed: Any
) -> None:
    """Everything known to have finished, or to have let go of its engine, when operation ``i`` starts: an operation number per queue."""
    (start, on), queues = waits, clock.shape[1]
    for e in range(queues):
        clock[i, e] = clock[previous, e] if previous >= 0 else -1
        freed[i, e] = freed[previous, e] if previous >= 0 else -1
    if previous >= 0:
        freed[i, queue[i]] = previous
    for k in range(start[i], start[i + 1]):
        d = on[k]
        # A clock holds what was known when `d` started, so that waits reach through waits; `d` itself comes on top.
        for e in range(queues):
            clock[i, e], freed[i, e] = max(clock[i, e], clock[d, e]), max(freed[i, e], freed[d, e])
        if streamed[i] == d:  # has begun, no more
            continue
        freed[i, queue[d]] = max(freed[i, queue[d]], d)
        if not FREED[engine[i], engine[d]]:
            clock[i, queue[d]] = max(clock[i, queue[d]], d)
        taken = streamed[d]
        while taken >= 0:  # it did not end before what it takes as it comes
            clock[i, queue[taken]] = max(clock[i, queue[taken]], taken)
            taken = streamed[taken]
    for e in range(queues):
        freed[i, e] = max(freed[i, e], clock[i, e])


@tiered(lambda queues, queue, *rest: len(queue))
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
    streamed: Any,
    stores_needed: Any,
    recalls_needed: Any,
) -> tuple[int, int, int]:
    """(kind, operation, other operation) of the first hazard in program order; kind 0 is none.

    ``queue`` below ``queues`` is each operation's in-order queue, and ``memory`` below ``memories`` the
    memory it writes a tile to, -1 where it writes elsewhere. ``stores_needed`` (operations, cores) are the last stores of each
    core that it must wait for. ``dependencies`` say what it reads, ``waits`` what it waits for; they are not the same on
    engines that pipeline operations. ``streamed``: the operation whose results each takes as they come, else -1.

    1: a source's region does not hold its data; 2: overwrites a region that may still be written; 3: overwrites one that may
    still be read; 4: reads a source it does not wait for; 5: loads (recalls) what may not have been stored
    (kept); 6: keeps a tensor where an earlier one may still be read.
    """
    count, pipelined = len(queue), len(waits) < len(dependencies)
    clock, freed = np.full((count, queues), -1, dtype=np.int32), np.full((count, queues), -1, dtype=np.int32)
    previous = np.full(queues, -1, dtype=np.int64)
    pieces = np.zeros((memories, LIVE, 4), dtype=np.int64)  # what stands in each memory, in any order
    count_of = np.zeros(memories, dtype=np.int64)
    # The last consumer of each operation's result per engine of its core: queues are in order, so it speaks for those before.
    consumers = np.full((count, ENGINES), -1, dtype=np.int32)
    for i in range(count):
        _clocks_of(clock, freed, i, previous[queue[i]], (wait_start, waits), engine, queue, streamed)
        previous[queue[i]] = i
        for core in range(stores_needed.shape[1]):
            needed = stores_needed[i, core]
            if needed >= 0 and clock[i, queue[needed]] < needed:
                return 5, i, needed
        needed = recalls_needed[i]
        if needed >= 0 and freed[i, queue[needed]] < needed:
            return 6, i, needed
        for k in range(start[i], start[i] + sources[i]):
            source = dependencies[k]
            # An array that pipelines tiles hands sums on inside: no wait stands for that, the order of its queue does.
            follows = (pipelined and queue[source] == queue[i]) or streamed[i] == source
            if clock[i, queue[source]] < source and not follows:
                return 4, i, source
            at = memory[source]
            if extent[source] > 0 and not _is_whole(pieces, count_of, at, source):
                return 1, i, source
            consumers[source, engine[i]] = i
        if memory[i] < 0 or extent[i] == 0:
            continue
        at = memory[i]
        kind, other = _claim(
            pieces, count_of, at, consumers, (clock, freed), queue, offset[i], offset[i] + extent[i], i
        )
        if kind:
            return kind, i, other
    return 0, -1, -1


@njit(inline="always")
def _is_whole(pieces: Any, count_of: Any, at: int, writer: int) -> bool:
    """Whether all that ``writer`` wrote to memory ``at`` still stands."""
    whole = False
    for p in range(count_of[at]):
        whole |= pieces[at, p, OWNER] == writer and pieces[at, p, WHOLE] == 1
    return whole


@njit(inline="always")
def _claim(
    pieces: Any, count_of: Any, at: int, consumers: Any, clocks: Any, queue: Any, low: int, high: int, i: int
) -> tuple[int, int]:
    """Make operation ``i`` the owner of ``low`` to ``high``; complain where an earlier owner or its consumers may still be busy.

    What an earlier owner wrote beyond that stays its own, though no longer whole: its consumers may not be done with it.
    """
    (clock, freed), p = clocks, 0
    while p < count_of[at]:
        owner, first, last = pieces[at, p, OWNER], pieces[at, p, LOW], pieces[at, p, HIGH]
        if first >= high or low >= last:
            p += 1
            continue
        if queue[owner] != queue[i] and clock[i, queue[owner]] < owner:
            return 2, owner
        for e in range(consumers.shape[1]):
            consumer = consumers[owner, e]
            # An operation may take the place of its own source: it reads before it writes, as sums that are added to.
            if consumer >= 0 and consumer != i and freed[i, queue[consumer]] < consumer:
                return 3, consumer
        # The last piece moves to this place, so that there are no holes, and is looked at next.
        count_of[at] -= 1
        for field in range(pieces.shape[2]):  # a whole row would compile numpy's message for rows that do not fit
            pieces[at, p, field] = pieces[at, count_of[at], field]
        if first < low:
            _add(pieces, count_of, at, owner, first, low, 0)
        if high < last:
            _add(pieces, count_of, at, owner, high, last, 0)
    _add(pieces, count_of, at, i, low, high, 1)
    return 0, -1


@njit(inline="always")
def _add(pieces: Any, count_of: Any, at: int, owner: int, low: int, high: int, whole: int) -> None:
    n = count_of[at]
    if n == pieces.shape[1]:
        raise ValueError("a memory is in too many pieces to be checked")
    pieces[at, n, OWNER], pieces[at, n, LOW], pieces[at, n, HIGH], pieces[at, n, WHOLE] = owner, low, high, whole
    count_of[at] = n + 1


@tiered(lambda needed, loads, *rest: len(loads))
def last_overlapping(
    needed: Any, loads: Any, producer: Any, axes: Any, stores: Any, core: Any, lo: Any, hi: Any
) -> None:
    """Write into ``needed`` (operations, cores) the last store of each core that each of ``loads`` overlaps; an empty box needs none.

    ``stores``: (operations in program order by layer, where those of each begin), of which load ``k`` reads those of layer
    ``producer[k]`` and compares the first ``axes[k]`` axes of the boxes, none where any store is needed.
    """
    order, begin = stores
    for k in range(len(loads)):
        load, left = loads[k], needed.shape[1]
        for s in range(begin[producer[k] + 1] - 1, begin[producer[k]] - 1, -1):
            store = order[s]
            overlaps = needed[load, core[store]] < 0
            for axis in range(axes[k]):
                if max(lo[load, axis], lo[store, axis]) >= min(hi[load, axis], hi[store, axis]):
                    overlaps = False
                    break
            if overlaps:
                needed[load, core[store]] = store
                left -= 1
            if left == 0:
                break
