"""Numba kernel of the scheduler.

The grant of the shared port is exact although not every engine's next request is known yet: an unknown request waits,
through dependencies, for some known one that has not been granted, and every operation lasts at least one cycle, so it must
come later than the earliest known request.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import njit
from accelsim.program.kinds import DRAM_ENGINES, Engine

ENGINES = len(Engine)
PORT_ENGINES = len(DRAM_ENGINES)
UNKNOWN = -1


@njit
def merge_schedule(
    order: Any, begin: Any, cycles: Any, latency: Any, dependency_start: Any, dependencies: Any
) -> tuple[Any, Any, int]:
    """(start, finish, operations scheduled); engines below PORT_ENGINES share the port, lower number first."""
    count = len(order)
    start = np.full(count, UNKNOWN, dtype=np.int64)
    finish = np.full(count, UNKNOWN, dtype=np.int64)
    head = begin[:-1].copy()
    cursor = np.full(ENGINES, UNKNOWN, dtype=np.int64)
    ready = np.zeros(ENGINES, dtype=np.int64)
    free = np.zeros(ENGINES, dtype=np.int64)
    last = np.zeros(ENGINES, dtype=np.int64)
    port = np.int64(0)
    done = 0
    while True:
        moved = True
        while moved:
            moved = False
            for e in range(PORT_ENGINES, ENGINES):
                while _known(e, order, begin, head, cursor, ready, free, finish, dependency_start, dependencies):
                    _run(e, ready[e], order, head, cursor, free, last, cycles, latency, start, finish)
                    done += 1
                    moved = True
        best = UNKNOWN
        for e in range(PORT_ENGINES):
            if _known(e, order, begin, head, cursor, ready, free, finish, dependency_start, dependencies) and (
                best == UNKNOWN or ready[e] < ready[best]
            ):
                best = e
        if best == UNKNOWN:
            return start, finish, done
        _run(best, max(ready[best], port), order, head, cursor, free, last, cycles, latency, start, finish)
        port = free[best]
        done += 1


@njit
def _known(
    e: int,
    order: Any,
    begin: Any,
    head: Any,
    cursor: Any,
    ready: Any,
    free: Any,
    finish: Any,
    dependency_start: Any,
    dependencies: Any,
) -> bool:
    """Whether the next operation of engine ``e`` has all its dependencies scheduled; then ``ready[e]`` is its ready cycle."""
    if head[e] == begin[e + 1]:
        return False
    i = order[head[e]]
    if cursor[e] == UNKNOWN:
        cursor[e] = dependency_start[i]
        ready[e] = free[e]
    while cursor[e] < dependency_start[i + 1]:
        f = finish[dependencies[cursor[e]]]
        if f == UNKNOWN:
            return False
        ready[e] = max(ready[e], f)
        cursor[e] += 1
    return True


@njit
def _run(
    e: int,
    at: int,
    order: Any,
    head: Any,
    cursor: Any,
    free: Any,
    last: Any,
    cycles: Any,
    latency: Any,
    start: Any,
    finish: Any,
) -> None:
    i = order[head[e]]
    start[i] = at
    free[e] = at + cycles[i]
    last[e] = max(last[e], free[e] + latency[i])
    finish[i] = last[e]
    head[e] += 1
    cursor[e] = UNKNOWN
