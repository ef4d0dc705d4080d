"""Numba kernel of the stall attribution: back along what each operation waited for, through every idle stretch of the array."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.numba_cache import njit, tiered

NONE = -1


@njit
def _binding(
    i: int, t: int, arrivals: Any, until: Any, first: Any, waits: Any, before: Any, at_port: Any
) -> tuple[int, bool]:
    """What let operation ``i`` start at ``t`` and not earlier: a dependency (True), or what held its engine or the port."""
    for k in range(first[i], first[i + 1]):
        if arrivals[k] == t:
            return waits[k], True
    if before[i] != NONE and until[before[i]] == t:
        return before[i], False
    if at_port[i] != NONE and until[at_port[i]] == t:
        return at_port[i], False
    return NONE, False


@tiered(lambda gaps, engine, *rest: len(engine))
def attribute(
    gaps: Any,
    engine: Any,
    layer: Any,
    start: Any,
    arrivals: Any,
    until: Any,
    first: Any,
    waits: Any,
    before: Any,
    at_port: Any,
    late: Any,
    stalls: Any,
) -> int:
    """Add the cycles of each gap to ``stalls`` (causes, layers).

    ``arrivals``: when each of the waits is over. A gap is (idle from, idle to, operation, whether that finishes at its end rather than
    starts there). ``until`` is where an operation lets go of its engine, ``before`` its predecessor there, ``at_port`` the one at the DRAM port.
    A result that arrives after its engine is free counts in row ``late`` of that. Returns the cycles that nothing explains: 0.
    """
    unexplained = 0
    for g in range(gaps.shape[0]):
        low, t, i = gaps[g, 0], gaps[g, 1], gaps[g, 2]
        while t > low:
            cause, arrived = i, True
            # An array that idles until `i` finishes waits for `i` itself; else, and further back, for what `i` waited for.
            if t < gaps[g, 1] or gaps[g, 3] == 0:
                cause, arrived = _binding(i, t, arrivals, until, first, waits, before, at_port)
            if cause == NONE:
                unexplained += t - low
                break
            # Behind the work of an engine its result is still under way, which is latency and nobody's work.
            free = until[cause] if arrived else t
            stalls[late[engine[cause]], layer[cause]] += t - max(low, min(free, t))
            stalls[engine[cause], layer[cause]] += max(0, min(free, t) - max(low, start[cause]))
            t, i = start[cause], cause
    return unexplained


@tiered(lambda order, count: count)
def predecessors(order: Any, count: int) -> Any:
    """The operation before each one in ``order``; NONE for the first and for those that are not in it."""
    previous = np.full(count, NONE, dtype=np.int64)
    for k in range(1, order.size):
        previous[order[k]] = order[k - 1]
    return previous
