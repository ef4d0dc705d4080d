"""Numba kernel of the scheduler.

The grant of a shared port is exact although not every queue's next request is known yet: an unknown request waits,
through dependencies, for some known one that has not been granted, and every operation lasts at least one cycle, so it must
come later than the earliest known request.

One function, because every call that passes arrays counts references: split into helpers it took ten times as long.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from accelsim.hardware import FREED, Engine
from accelsim.numba_cache import tiered

NONE = -1
STORE, COMPUTE, REQUANTIZE, VECTOR = (
    int(engine) for engine in (Engine.STORE, Engine.COMPUTE, Engine.REQUANTIZE, Engine.VECTOR)
)


class Queues(NamedTuple):
    """In-order queues: operations grouped by queue (``order``), where those of each begin; the first ``at_ports`` of them take turns at the
    ports of their engines (``port_of``), the lowest ``priority`` of an operation first. An empty ``priority``: that of an operation is the
    number of its queue."""

    order: Any
    begin: Any
    at_ports: int
    port_of: Any
    priority: Any


class Times(NamedTuple):
    """Engine, cycles and latency of every operation; how far the machine ``streams``, whether it has ``passes``, in which the vector unit
    takes the requantizer's outputs as they come; and the ``lag`` of what takes something so."""

    engine: Any
    cycles: Any
    latency: Any
    streams: int
    passes: bool
    lag: Any


@tiered(lambda lanes, *rest: len(lanes.order))
def merge_schedule(lanes: Queues, times: Times, dependency_start: Any, dependencies: Any) -> tuple[Any, Any, int]:
    """(start, finish, operations scheduled).

    Who waits to overwrite what another reads (:data:`accelsim.hardware.FREED`) waits until that lets go of its engine, everybody else
    until the result is there. What streams (1, requantizations, 2, stores behind them as well) waits for the first results of what it
    reads: sums ``lag`` cycles after the start of their tile, outputs a cycle and the unit's latency after that of theirs. It ends ``lag``
    cycles of its own behind the last ones at the earliest. So does the vector unit in ``passes``, and the stores of a machine that streams
    to them behind it.

    ``begin`` (queues + 1,) is where each queue's operations begin in ``order``. Each queue has its next operation (``head``), the
    first of its dependencies not known to have finished (``cursor``) and the cycle up to which it is known to have to wait
    (``ready``). Queues are visited from the last to the first; one that does not use the port starts its operation at once and
    the round begins again; the port goes to the earliest request that a whole round finds.
    """
    order, begin, at_port, port_of, priority = lanes
    engine, cycles, latency, streams, passes, lag = times
    count, queues = len(order), len(begin) - 1
    start = np.full(count, NONE, dtype=np.int64)
    finish = np.full(count, NONE, dtype=np.int64)
    until = np.empty(count, dtype=np.int64)  # where an operation lets go of its engine
    position = begin.copy()
    head = np.full(queues, NONE, dtype=np.int64)
    cursor = np.zeros(queues, dtype=np.int64)
    ready = np.zeros(queues, dtype=np.int64)
    last = np.zeros(queues, dtype=np.int64)
    last_in = np.zeros(queues, dtype=np.int64)  # when the last of what the operation of a queue streams is there
    of_queue = priority.size == 0
    free = np.zeros(len(port_of), dtype=np.int64)  # when each port is
    done = 0
    for e in range(queues):
        if begin[e] < begin[e + 1]:
            head[e] = order[begin[e]]
            cursor[e] = dependency_start[head[e]]
    while True:
        chosen = NONE
        # Downwards: queues beside the port come first, and of equal requests at it the lowest queue is seen last and wins.
        e = queues - 1
        while e >= 0:
            i = head[e]
            if i != NONE:
                stop = dependency_start[i + 1]
                # What has finished stays so: the cursor never goes back, and each dependency is passed once in all rounds.
                while cursor[e] < stop and finish[dependencies[cursor[e]]] != NONE:
                    on = dependencies[cursor[e]]
                    there = until[on] if FREED[engine[i], engine[on]] else finish[on]
                    if streams > 0 or passes:
                        by, of = engine[i], engine[on]
                        stores = streams == 2 and by == STORE
                        if streams > 0 and by == REQUANTIZE and of == COMPUTE:
                            there, last_in[e] = start[on] + lag[on], finish[on]
                        elif (of == REQUANTIZE and (stores or by == VECTOR)) or (
                            of == VECTOR and stores and lag[on] > 0
                        ):
                            there, last_in[e] = start[on] + latency[on] + 1, finish[on]
                    ready[e] = max(ready[e], there)
                    cursor[e] += 1
                if cursor[e] == stop:
                    if e >= at_port:  # nothing that is still unknown can hold it up
                        chosen = e
                        break
                    first = chosen == NONE or ready[e] < ready[chosen]
                    if first or (ready[e] == ready[chosen] and (of_queue or priority[i] < priority[head[chosen]])):
                        chosen = e
            e -= 1
        if chosen == NONE:  # the end, or dependencies in a circle: the caller counts
            return start, finish, done
        e, i = chosen, head[chosen]
        start[i] = ready[e] if e >= at_port else max(ready[e], free[port_of[engine[i]]])
        ready[e] = start[i] + cycles[i]
        if last_in[e] > 0:
            ready[e], last_in[e] = max(ready[e], last_in[e] + lag[i]), 0
        until[i] = ready[e]
        if e < at_port:
            free[port_of[engine[i]]] = ready[e]
        # A queue delivers in order: what has less latency does not overtake what went before.
        last[e] = max(last[e], ready[e] + latency[i])
        finish[i] = last[e]
        done += 1
        position[e] += 1
        head[e] = NONE
        if position[e] < begin[e + 1]:
            head[e] = order[position[e]]
            cursor[e] = dependency_start[head[e]]
